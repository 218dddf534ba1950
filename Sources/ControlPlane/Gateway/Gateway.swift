internal import Authentication
package import GatewayConfiguration
internal import GatewayTerms
internal import Glibc
package import Logging
internal import NIOCore
internal import NIOPosix
internal import Proxy
internal import Synchronization

/// The running gateway: loops and their listeners, key sets, logs, the health port; and the orders that change them. A process has one.
package final class Gateway: Sendable {
    package enum StartFault: Error, CustomStringConvertible {
        case configuration(Diagnostics)
        case cannotListen(setting: String, address: String, reason: String)
        case setUp(String)

        package var description: String {
            switch self {
            case .configuration(let diagnostics): diagnostics.description
            case .cannotListen(let setting, let address, let reason): "\(setting): cannot listen on \(address): \(reason). Free it or choose another one."
            case .setUp(let reason): reason
            }
        }
    }

    /// Where the listening sockets come from.
    package enum Start: Sendable {
        /// Opened, unless the service manager passes them.
        case fresh
        /// Taken over from the gateway that runs with the same state directory, which then drains.
        case upgrade
    }

    /// What the process hears of its gateway.
    package struct Ears: Sendable {
        /// An operator asks over the socket for what SIGTERM asks for.
        package var drainWanted: @Sendable () -> Void
        /// A successor serves: drain, and end.
        package var succeeded: @Sendable (Gateway) -> Void

        package init(drainWanted: @escaping @Sendable () -> Void, succeeded: @escaping @Sendable (Gateway) -> Void) {
            (self.drainWanted, self.succeeded) = (drainWanted, succeeded)
        }
    }

    struct State {
        var loaded: LoadedConfiguration
        var snapshot: Snapshot?
        var certificates: [CertificateStanding] = []
        var certificateWarnings = CertificateWarnings()
        var adminSocket: AdminSocket?
        var watcher: FileWatcher?
        var offer: UpgradeOffer?
        /// A successor accepts in place of this process.
        var isSucceeded = false
    }

    let path: String
    let surroundings: Surroundings
    let logger: Logger
    let level: LogLevel
    let loopCount: Int
    let group: MultiThreadedEventLoopGroup
    let workers = WorkerSet()
    let readiness = Readiness()
    let reloads: ReloadRecord
    let reloadTurn = ReloadTurn()
    let names: MetricNames
    let traffic = TrafficHistory()
    let started = ContinuousClock.now
    let client: IdentityProviderClient
    let custody: KeySetCustody
    let endpointHealth: EndpointHealth
    let loginProvider: LoginProvider
    let discovery: EndpointDiscovery
    let endedLogins: SharedEndedLogins
    let endedLoginKeeper: EndedLoginKeeper
    let revocationFile: RevocationFile
    let logWriter: LogWriter
    let ports: Ports
    let notification: ServiceNotification
    let ears: Ears
    let state: Mutex<State>

    /// Reads and checks the configuration at `path`, opens every port and serves. Returns when requests are accepted; `/readyz` may still
    /// wait for keys.
    /// - Parameter level: of `logger`; follows the configuration, and the operators' word.
    package static func start(
        path: String, from start: Start = .fresh, logger: Logger, level: LogLevel = LogLevel(), surroundings: Surroundings = .machine,
        notification: ServiceNotification = .machine, ears: Ears
    ) async throws(StartFault) -> Gateway {
        let stamps = FileStamps(of: [path])
        let loaded: LoadedConfiguration
        do throws(Diagnostics) { loaded = try Configuration.load(path: path, surroundings: surroundings).get() } catch { throw .configuration(error) }
        let predecessor: UpgradeRequest? = switch start {
        case .fresh: nil
        case .upgrade: try UpgradeRequest(stateDirectory: loaded.configuration.stateDirectory.value)
        }
        do throws(StartFault) {
            return try await serve(loaded, stamps, path: path, in: predecessor, logger: logger, level: level, surroundings: surroundings, notification: notification, ears: ears)
        } catch {
            predecessor?.failed("\(error)")
            throw error
        }
    }

    static func serve(
        _ loaded: LoadedConfiguration, _ stamps: FileStamps, path: String, in predecessor: UpgradeRequest?, logger: Logger, level: LogLevel,
        surroundings: Surroundings, notification: ServiceNotification, ears: Ears
    ) async throws(StartFault) -> Gateway {
        let passage: ChangeGate.Passage
        let compiled: (snapshot: Snapshot, warnings: [Diagnostic])
        let loops = loaded.configuration.eventLoops ?? System.coreCount
        let names = MetricNames()
        do throws(Diagnostics) {
            passage = try ChangeGate.passAtStart(loaded.configuration, surroundings: surroundings)
            compiled = try SnapshotCompiler.compile(loaded, loops: loops, now: .current, surroundings: surroundings, names: names).get()
        } catch { throw .configuration(error) }
        level.current = loaded.configuration.log.level.loggerLevel
        for warning in compiled.warnings { logger.warning("\(warning)") }
        let inherited = if let predecessor { try predecessor.sockets() } else {
            try SocketActivation.take(wanted: Ports.purposes(loaded.configuration), environment: surroundings.environment)
        }
        let gateway: Gateway
        do {
            gateway = try Gateway(
                path: path, loaded: loaded, loops: loops, inherited: inherited, logger: logger, level: level, names: names, surroundings: surroundings,
                notification: notification, ears: ears)
        } catch { throw .setUp("\(error)") }
        do {
            try await gateway.startWorkers(compiled.snapshot, loaded.configuration)
            gateway.restoreEndedLogins()
            try gateway.follow(loaded.configuration)
            gateway.accept(loaded, compiled.snapshot)
            if predecessor != nil { await gateway.awaitKeys() }
            try await gateway.openPorts(loaded.configuration)
            try gateway.watch(stamps.covering(Set(loaded.files)))
            try predecessor?.ready()
            gateway.openUpgradeOffer()
            try await gateway.ports.startAccepting()
            inherited.closeRest()
        } catch {
            // The file is the predecessor's still.
            if predecessor != nil { gateway.state.withLock { $0.adminSocket = nil } }
            await gateway.stop()
            throw error as? StartFault ?? .setUp("\(error)")
        }
        gateway.takeUpUpgrades()
        gateway.remember(loaded, passage)
        notification.send(.ready("serving configuration \(loaded.shortVersion)"))
        return gateway
    }

    init(
        path: String, loaded: LoadedConfiguration, loops: Int, inherited: InheritedSockets, logger: Logger, level: LogLevel, names: MetricNames,
        surroundings: Surroundings, notification: ServiceNotification, ears: Ears
    ) throws {
        (self.notification, self.ears) = (notification, ears)
        self.path = path
        self.surroundings = surroundings
        self.logger = logger
        self.level = level
        self.names = names
        loopCount = loops
        state = Mutex(State(loaded: loaded))
        reloads = ReloadRecord(version: loaded.shortVersion, at: .current)
        client = try IdentityProviderClient(userAgent: "metaflow-gateway")
        let destination: LogDestination = switch loaded.configuration.accessLog.destination {
        case .standardOutput: .standardOutput
        case .file(let path): .file(path: path)
        }
        logWriter = try LogWriter(producers: loops, destination: destination) { logger.warning("\($0)") }
        group = MultiThreadedEventLoopGroup(numberOfThreads: loops)
        ports = Ports(group: group, inherited: inherited, logger: logger)
        // The folder itself, not those above it: a slip of the pen must not grow a tree. What goes wrong shows when something is kept.
        unsafe mkdir(loaded.configuration.stateDirectory.value, 0o700)
        let (workers, readiness) = (workers, readiness)
        custody = KeySetCustody(
            client: client, store: KeySetStore(folder: loaded.configuration.stateDirectory.value + "/key-sets"), wallNow: { .current },
            publish: { workers.publish($0) }, observe: { KeySetReport.write($0, to: logger, readiness) })
        let endedLogins = SharedEndedLogins { workers.publish($0) }
        self.endedLogins = endedLogins
        let store = EndedLoginStore(path: loaded.configuration.stateDirectory.value + "/ended-logins.json")
        let keeper = EndedLoginKeeper(store, entries: { endedLogins.own(at: .current) }) { logger.error("logins that have ended are not kept over a restart: \($0)") }
        endedLoginKeeper = keeper
        revocationFile = RevocationFile(surroundings: surroundings, publish: { endedLogins.follow($0, now: .current) }) { event in
            switch event {
            case .accepted(let path, let entries): logger.notice("revocation file read", metadata: ["file": "\(path)", "entries": "\(entries)"])
            case .refused(_, let reason): logger.error("revocation file refused, its last good version stays in force: \(reason)")
            }
        }
        let ended: @Sendable ([Revocation.Entry]) -> Void = { entries in
            endedLogins.end(entries, now: .current)
            keeper.keepSoon()
        }
        loginProvider = LoginProvider(client: client, ended: ended, renewed: { workers.renewed(login: $0, until: $1) }) { what, fault in
            logger.warning("login: \(fault)", metadata: ["of": "\(what)"])
        }
        discovery = EndpointDiscovery(
            ports: KeySetPorts(client: client, wallNow: { .current }), publish: { workers.publish($0) },
            failed: { logger.warning("login endpoints not discovered: \($1)", metadata: ["issuer": "\($0)"]) })
        endpointHealth = EndpointHealth(client: client, logger: logger) { workers.publish(unhealthy: $0) }
    }

    private func startWorkers(_ snapshot: Snapshot, _ configuration: Configuration) async throws {
        let (keyRing, warning) = try LoginKeyRing.of(configuration, surroundings: surroundings, now: .current)
        if let warning { logger.warning("\(warning)") }
        for (index, loop) in Array(group.makeIterator()).enumerated() {
            let (custody, loginProvider, ring) = (custody, loginProvider, logWriter.rings[index])
            workers.add(try await loop.submit {
                let worker = try Worker(
                    loop: loop, snapshot: snapshot, keySets: KeySets(), revocation: .none, provider: custody, loginPort: loginProvider, keyRing: keyRing, ring: ring)
                worker.start()
                return NIOLoopBound(worker, eventLoop: loop)
            }.get())
        }
    }

    var configuration: Configuration { state.withLock { $0.loaded.configuration } }
    var certificates: [CertificateStanding] { state.withLock { $0.certificates } }
}
