internal import GRDB
internal import GatewayTerms
internal import Synchronization

/// The three services over one state directory.
struct Platform: Sendable {
    struct Options: Sendable {
        var host = "127.0.0.1"
        var ports = PlatformPorts()
        var stages = ["local", "second"]
        var accessTokenSeconds: Int64 = 3600
        var refreshGraceSeconds: Int64 = 60
        var rotatesRefreshTokens = false
        var tokenDelayMilliseconds: Int64 = 0
        var redirectHosts: [String] = []
    }

    let options: Options
    let state: StateDirectory
    let database: DatabasePool
    let identity: IdentityProvider
    let metadata: MetadataService
    let browser: RunBrowser
    let live: LiveUpdates

    init(options: Options, stateDirectory: String, clock: @escaping @Sendable () -> WallTime) throws(PlatformError) {
        guard options.host == "localhost" || IPAddress(options.host)?.isLoopback == true else { throw .notLoopback(host: options.host) }
        self.options = options
        state = try StateDirectory(stateDirectory)
        database = try StateDatabase.open(at: state.databasePath)
        var pools: [UserPool] = []
        for stage in options.stages {
            pools.append(try UserPool(
                stage: stage, keyDirectory: stateDirectory + "/keys", redirectHosts: options.redirectHosts,
                rotatesRefreshTokens: options.rotatesRefreshTokens))
        }
        identity = IdentityProvider(
            pools: pools, database: database,
            settings: IdentityProvider.Settings(accessTokenSeconds: options.accessTokenSeconds, refreshGraceSeconds: options.refreshGraceSeconds),
            switches: DevelopmentSwitches(tokenDelayMilliseconds: options.tokenDelayMilliseconds), clock: clock)
        metadata = MetadataService(store: MetadataStore(database: database, clock: clock))
        browser = RunBrowser(runs: RunReader(database: database), clock: clock)
        live = LiveUpdates(browser: browser, database: database, clock: clock)
    }

    private enum Event: Sendable {
        case running(service: String, port: Int)
        case failed(PlatformError)
    }

    /// Serves until the task is cancelled. `ready` is told the ports once all three accept.
    func run(ready: @escaping @Sendable (PlatformPorts) async -> Void) async throws(PlatformError) {
        let services = [
            LoopbackService(name: "identity", host: options.host, port: options.ports.identity, bodyBytesMax: 256 * 1024, answer: identity.answer),
            LoopbackService(name: "metadata", host: options.host, port: options.ports.metadata, bodyBytesMax: 64 * 1024 * 1024, answer: metadata.answer),
            LoopbackService(name: "browser", host: options.host, port: options.ports.browser, bodyBytesMax: 64 * 1024, answer: browser.answer, webSocket: live.endpoint),
        ]
        let (events, report) = AsyncStream.makeStream(of: Event.self)
        let fault = await withTaskGroup(of: Void.self) { group -> PlatformError? in
            for service in services {
                group.addTask {
                    do throws(PlatformError) {
                        try await service.run { report.yield(.running(service: service.name, port: $0)) }
                        report.finish()
                    } catch {
                        report.yield(.failed(error))
                    }
                }
            }
            var ports = PlatformPorts()
            for await event in events {
                switch event {
                case .failed(let error):
                    group.cancelAll()
                    return error
                case .running("identity", let port): ports.identity = port
                case .running("metadata", let port): ports.metadata = port
                case .running(_, let port): ports.browser = port
                }
                if ports.identity > 0, ports.metadata > 0, ports.browser > 0 {
                    identity.isReached(at: "http://\(options.host.contains(":") ? "[\(options.host)]" : options.host):\(ports.identity)")
                    do throws(PlatformError) {
                        try state.publish(ports)
                    } catch {
                        group.cancelAll()
                        return error
                    }
                    await ready(ports)
                }
            }
            group.cancelAll()
            return nil
        }
        if let fault { throw fault }
    }

    /// The end: nothing of the running platform is left to be found.
    func close() {
        state.withdraw()
        try? database.close()
    }
}
