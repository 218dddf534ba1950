internal import ArgumentParser
internal import ControlPlane
internal import GatewayConfiguration
internal import Glibc
internal import Logging
internal import Synchronization
internal import UnixSignals

/// Serves until it is told to stop.
struct Serve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Serve in the foreground.",
        discussion: """
            Signals: HUP reads the configuration anew (all or nothing), USR1 reopens the access log, USR2 starts the program's file anew with \
            --upgrade, TERM drains and stops, INT or a second TERM stops at once. A changed file is taken up as by HUP, unless reload.watch_files \
            is false. The commands status, reload, drain, log-level and revoke ask it over admin.socket.

            Listening sockets of systemd (LISTEN_FDS) are used where they are passed, and systemd is told how it goes (NOTIFY_SOCKET).

            Examples:
              metaflow-gateway serve --config config/local.yaml
              metaflow-gateway serve --config /etc/metaflow-gateway/gateway.yaml --upgrade
            """
    )

    @OptionGroup var file: ConfigurationOption
    @Flag(help: "Take every listening socket over from the gateway that runs with the same state_directory; it then drains. If this one cannot start, that one goes on.")
    var upgrade = false
    @Flag(help: "For emergencies: start although the configuration makes something weaker that no approve names; each such change is logged.")
    var acceptWeaker = false

    func run() async throws {
        // A client or a log pipe that goes away is an error of that write, never a reason to die.
        signal(SIGPIPE, SIG_IGN)
        let level = LogLevel()
        LoggingSystem.bootstrap { label in LeveledLogHandler(StreamLogHandler.standardError(label: label), level: level) }
        let logger = Logger(label: "metaflow-gateway")
        let signals = await UnixSignalsSequence(trapping: [.sighup, .sigusr1, .sigusr2, .sigterm, .sigint])
        let departure = Departure()
        if acceptWeaker {
            do throws(Diagnostics) {
                for sentence in try UnapprovedChanges.accept(path: file.config) {
                    logger.warning("accepted without approval, as --accept-weaker demands: \(sentence)")
                }
            } catch {
                StandardError.write("\(error)\n")
                throw ExitCode(1)
            }
        }
        let gateway: Gateway
        do throws(Gateway.StartFault) {
            gateway = try await Gateway.start(
                path: file.config, from: upgrade ? .upgrade : .fresh, logger: logger, level: level,
                ears: Gateway.Ears(drainWanted: { kill(getpid(), SIGTERM) }, succeeded: { departure.begin($0, isSignal: false) }))
        } catch {
            StandardError.write("\(error)\n")
            throw ExitCode(1)
        }
        logger.notice("ready", metadata: ["pid": "\(getpid())"])
        for await signal in signals {
            switch signal {
            case .sighup: await gateway.reload(.signal)
            case .sigusr1: gateway.reopenLogs()
            case .sigusr2:
                if let reason = Successor.start() { logger.error("no successor: \(reason)") }
            case .sigterm where departure.begin(gateway, isSignal: true): break
            default:
                logger.notice("stopping at once")
                await gateway.stop()
                leave(0)
            }
        }
    }
}

/// The drain, which begins once: by SIGTERM, or because a successor serves.
private final class Departure: Sendable {
    private struct State {
        var isDraining = false
        var signals = 0
    }
    private let state = Mutex(State())

    /// False when a signal has asked for it before.
    @discardableResult
    func begin(_ gateway: Gateway, isSignal: Bool) -> Bool {
        let (isFirst, isAsked) = state.withLock { state in
            defer {
                state.isDraining = true
                if isSignal { state.signals += 1 }
            }
            return (!state.isDraining, !isSignal || state.signals == 0)
        }
        if isFirst {
            Task {
                await gateway.drain()
                leave(0)
            }
        }
        return isAsked
    }
}

/// Leaves without waiting for tasks that only wait themselves.
private func leave(_ code: Int32) -> Never { exit(code) }

enum StandardError {
    static func write(_ text: String) {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let count = unsafe bytes.withUnsafeBytes { unsafe Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
            guard count > 0 else { return }
            bytes = bytes.dropFirst(count)
        }
    }
}
