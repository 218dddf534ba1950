internal import ArgumentParser
internal import Dispatch
internal import Foundation
internal import GatewayTerms
internal import Glibc

struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve", abstract: "Start the three services; print one line when they accept.",
        discussion: "SIGINT and SIGTERM end it at once. What has been answered for is on disk, after SIGKILL too.")

    @Option(help: "Loopback address to listen on; others are refused.") var host = "127.0.0.1"
    @Option(help: "Port of the identity provider; 0 lets the system choose, for this and the others.") var identityPort = 9000
    @Option(help: "Port of the metadata service.") var metadataPort = 9001
    @Option(help: "Port of the run browser.") var browserPort = 9002
    @Option(help: "Directory of the database and the signing keys.") var state = StateDirectory.standardPath
    @Option(help: "Stages, each with a user pool of its own: local becomes us-west-2_LocalStage.") var stages = "local,second"
    @Option(help: "Life of access and ID tokens, in seconds.") var accessTokenSeconds: Int64 = 3600
    @Flag(help: "Rotate the browser client's refresh tokens too; the command-line client's always are.") var rotateRefreshTokens = false
    @Option(help: "How long a rotated refresh token stays good, in seconds, 0 to 60.") var refreshGraceSeconds: Int64 = 60
    @Option(help: "Make every token request take this long.") var slowTokenMs: Int64 = 0
    @Option(help: "A further host name at which browsers reach a gateway; may be repeated.") var redirectHost: [String] = []

    func validate() throws {
        for port in [identityPort, metadataPort, browserPort] where !(0...65_535).contains(port) {
            throw ValidationError("\(port) is not a port; ports are 0 to 65535.")
        }
        guard (1...86_400).contains(accessTokenSeconds) else { throw ValidationError("--access-token-seconds is \(accessTokenSeconds), outside 1 to 86400.") }
        guard (0...60).contains(refreshGraceSeconds) else { throw ValidationError("--refresh-grace-seconds is \(refreshGraceSeconds), outside 0 to 60.") }
        guard (0...600_000).contains(slowTokenMs) else { throw ValidationError("--slow-token-ms is \(slowTokenMs), outside 0 to 600000.") }
    }

    func run() async throws {
        do throws(PlatformError) {
            let platform = try Platform(
                options: Platform.Options(
                    host: host, ports: PlatformPorts(identity: identityPort, metadata: metadataPort, browser: browserPort),
                    stages: try UserPool.stages(from: stages), accessTokenSeconds: accessTokenSeconds, refreshGraceSeconds: refreshGraceSeconds,
                    rotatesRefreshTokens: rotateRefreshTokens, tokenDelayMilliseconds: slowTokenMs, redirectHosts: redirectHost),
                stateDirectory: state, clock: WallTime.now)
            let signals = [SIGINT, SIGTERM].map { (number: Int32) -> any DispatchSourceSignal in
                signal(number, SIG_IGN)
                let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
                source.setEventHandler {
                    platform.close()
                    Glibc.exit(0)
                }
                source.resume()
                return source
            }
            defer { for source in signals { source.cancel() } }
            try await platform.run { ports in
                print("ready identity=\(ports.identity) metadata=\(ports.metadata) browser=\(ports.browser)")
                // A pipe is buffered by blocks, and whoever starts the platform waits for this line.
                fflush(nil)
            }
        } catch {
            FileHandle.standardError.write(Data("\(error)\n".utf8))
            throw ExitCode(1)
        }
    }
}

extension WallTime {
    /// The system's clock; everything else is handed its time.
    @Sendable static func now() -> WallTime { WallTime(milliseconds: Int64(Date().timeIntervalSince1970 * 1000)) }
}
