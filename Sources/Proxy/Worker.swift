package import Authentication
internal import CommandLineAPI
package import GatewayTerms
internal import HTTPWire
package import NIOCore
internal import Glibc

/// What an exchange asks of the identity provider; ControlPlane implements it. Answers come on any thread; the worker brings them to its loop.
package protocol ProviderPort: Sendable {
    /// Asks for an issuer's keys once more, because a token names an unknown one or there are none yet (C6). Answers within a second. New
    /// key sets have been published to the loops before the answer comes.
    func refetchKeys(issuer: String, keyID: String?, completion: @escaping @Sendable (RefetchState) -> Void)
}

/// Everything that one event loop owns: its connections, pools, counters, log ring and timer wheel. Touched on that loop only.
package final class Worker {
    package let loop: any EventLoop
    package private(set) var snapshot: Snapshot
    package private(set) var keySets: KeySets
    package private(set) var revocation: Revocation
    package private(set) var isDraining = false

    let authenticator: BearerAuthenticator
    let loginAuthenticator: LoginAuthenticator
    let loginPort: any LoginPort
    /// Seals the browser's cookies.
    private var keyRing: KeyRing
    /// Endpoints of providers that are not Cognito, as far as they are known.
    private var discovered: [LoginSurroundings.Discovered] = []
    /// Command-line services, by stage, that know their endpoints from there.
    private var commandLinesDiscovered: [String: (stage: Stage, service: CommandLineService)] = [:]
    let provider: any ProviderPort
    let scratch = Scratch()
    let compressors = CompressorPool()
    var wheel: TimerWheel
    var headWriter = HeadWriter(capacity: 4096)
    var requestIDs = RequestIDGenerator()
    var traces = TraceGenerator()
    private var lineWriter = JSONLineWriter()
    private var recentLines = RecentLines()
    private let ring: LogRing
    private var pools: [String: EndpointPool] = [:]
    /// The same pools by upstream and endpoint of the current snapshot, so that a request finds its own without hashing a text.
    private var poolsOfSnapshot: [[EndpointPool?]] = []
    private var balancers: [String: Balancer] = [:]
    private var unhealthy: Set<String> = []
    /// TLS handshakes under way.
    var handshakes = 0
    /// Client connections that are open; the wheel has the upstreams' too.
    var downstreamConnections = 0
    var openTunnels = 0
    var boundStreams = BoundStreams()
    private var commandLineLimits: [String: (allowance: RateLimit.Allowance, limit: RateLimit)] = [:]
    private let monotonicStart = NIODeadline.now()
    private var dateSecond: Int64 = .min
    private var dateText = ""
    var counters = Counters()

    package init(loop: any EventLoop, snapshot: Snapshot, keySets: KeySets, revocation: Revocation, provider: any ProviderPort, loginPort: any LoginPort, keyRing: KeyRing, ring: LogRing) throws(AuthenticationError) {
        self.loop = loop
        self.snapshot = snapshot
        self.keySets = keySets
        self.revocation = revocation
        self.provider = provider
        self.ring = ring
        self.loginPort = loginPort
        self.keyRing = keyRing
        authenticator = try BearerAuthenticator()
        loginAuthenticator = try LoginAuthenticator()
        wheel = TimerWheel(origin: .now())
        poolsOfSnapshot = Worker.noPools(snapshot)
    }

    private static func noPools(_ snapshot: Snapshot) -> [[EndpointPool?]] {
        snapshot.upstreams.map { Array(repeating: nil, count: $0.endpoints.count) }
    }

    /// Starts the 100 ms tick; call it on the loop.
    package func start() {
        let me = NIOLoopBound(self, eventLoop: loop)
        loop.scheduleRepeatedTask(initialDelay: TimerWheel.tick, delay: TimerWheel.tick) { _ in me.value.tick() }
    }

    private func tick() {
        // The wall clock first: if the thread has to wait in between, this loop's time is late until the next tick, never ahead.
        wallOrigin = .current
        now = .now()
        monotonicOrigin = now
        for connection in wheel.advance(to: now) { connection.deadlineReached(now) }
        end(boundStreams.due(at: wallTime))
    }

    // MARK: Orders

    /// New exchanges follow `snapshot`; those under way keep theirs. Pools whose endpoint is unchanged stay as they are.
    package func publish(_ snapshot: Snapshot) {
        self.snapshot = snapshot
        poolsOfSnapshot = Worker.noPools(snapshot)
        let wanted = Set(snapshot.upstreams.flatMap(\.poolKeys))
        for (key, pool) in pools where !wanted.contains(key) {
            pool.close()
            pools[key] = nil
        }
    }

    /// Endpoints, by identity, that active health checks found down.
    package func publish(unhealthy: Set<String>) { self.unhealthy = unhealthy }
    package func publish(_ keySets: KeySets) { self.keySets = keySets }
    package func publish(_ keyRing: KeyRing) { self.keyRing = keyRing }
    package func publish(_ discovered: [LoginSurroundings.Discovered]) {
        self.discovered = discovered
        commandLinesDiscovered = [:]
    }
    /// Also ends the streams of those whom it names (D12).
    package func publish(_ revocation: Revocation) {
        eventArrived()
        self.revocation = revocation
        end(boundStreams.revoked(by: revocation, at: wallTime))
    }

    /// A login goes on until then, and its streams with it.
    package func renewed(login: String, until end: WallTime) { boundStreams.renewed(login: login, until: end) }

    private func end(_ streams: [BoundStreams.Stream]) {
        for stream in streams { (wheel.connection(stream.connection) as? any ClientConnection)?.endStream(exchange: stream.exchange) }
    }

    /// Connections end over `window` (A10): from a moment of its own each is told with its next answer; who asks nothing is closed at the end.
    package func drain(over window: TimeAmount) {
        guard !isDraining else { return }
        isDraining = true
        now = .now()
        drainEnd = now + window
        for connection in wheel.connections.compactMap({ $0 as? any ClientConnection }) {
            if let time = drainTime { connection.drain(at: time) }
        }
    }

    /// When a connection is to be drained, somewhere in the time that is left; also one that comes now. `nil` while the worker does not drain.
    var drainTime: NIODeadline? {
        guard isDraining else { return nil }
        return now + .nanoseconds(Int64.random(in: 0...max(1, (drainEnd - now).nanoseconds)))
    }
    private(set) var drainEnd = NIODeadline.distantFuture

    package func closeAll() {
        for connection in wheel.connections.compactMap({ $0 as? any ClientConnection }) { connection.closeNow() }
    }

    /// Ends all tunnels because this instance goes away, spread over `window`, so that their clients do not all come back in one moment.
    package func leaveTunnels(over window: TimeAmount) {
        let now = NIODeadline.now()
        for connection in wheel.connections.compactMap({ $0 as? any ClientConnection }) {
            connection.leaveTunnel(at: now + .nanoseconds(Int64.random(in: 0...max(1, window.nanoseconds))))
        }
    }

    package func readCounters() -> Counters {
        var counters = counters
        counters.downstreamConnections = downstreamConnections
        counters.openTunnels = openTunnels
        (counters.tokensKnown, counters.tokensVerified) = (authenticator.cacheHits, authenticator.cacheMisses)
        (counters.loginsKnown, counters.loginsOpened) = (loginAuthenticator.cacheHits, loginAuthenticator.cacheMisses)
        return counters
    }

    package func readTraffic() -> TrafficReading { TrafficReading(counters) }

    /// What it has counted, and how its connections to the endpoints of the current snapshot stand.
    package func read() -> WorkerReading {
        var reading = WorkerReading()
        reading.counters = readCounters()
        reading.loops = 1
        reading.loginCookiesByKey = loginAuthenticator.cookiesByKey
        for upstream in snapshot.upstreams {
            for (number, endpoint) in upstream.endpoints.enumerated() {
                var standing = EndpointReading(upstream: upstream.series, endpoint: endpoint.name, identity: endpoint.identity)
                standing.isUnhealthy = unhealthy.contains(endpoint.identity)
                if let pool = pools[upstream.poolKeys[number]] {
                    standing.active = pool.activeCount
                    standing.idle = pool.idleCount
                    standing.pending = pool.waitingCount
                    standing.ejections = pool.isEjected(.now()) ? 1 : 0
                }
                reading.endpoints.append(standing)
            }
        }
        return reading
    }

    // MARK: For exchanges

    func nextExchangeNumber() -> UInt64 {
        exchangeNumber &+= 1
        return exchangeNumber
    }
    private var exchangeNumber: UInt64 = 0

    func providerAnswered(_ id: ConnectionID, exchange: UInt64, _ state: RefetchState) {
        eventArrived()
        guard let connection = wheel.connection(id) as? any ClientConnection else { return }
        connection.providerAnswered(exchange: exchange, state)
    }

    func loginAnswered(_ id: ConnectionID, exchange: UInt64, _ result: Result<TokenAnswer, TokenEndpointFault>) {
        eventArrived()
        guard let connection = wheel.connection(id) as? any ClientConnection else { return }
        connection.loginAnswered(exchange: exchange, result)
    }

    private var loginSurroundings: LoginSurroundings {
        LoginSurroundings(keyRing: keyRing, keySets: keySets, revocation: revocation, discovered: discovered, now: wallTime)
    }

    /// The login's decisions with what is current on this loop.
    func flow(_ rules: LoginRules, from address: IPAddress? = nil) -> AuthorizationCodeFlow {
        AuthorizationCodeFlow(authenticator: loginAuthenticator, rules: rules, surroundings: loginSurroundings, from: address) { count in
            var generator = SystemRandomNumberGenerator()
            return (0..<count).map { _ in generator.next() }
        }
    }

    /// The pool of the endpoint whose turn it is by the upstream's policy.
    /// - Parameters:
    ///   - index: of the upstream in `snapshot`.
    ///   - avoiding: the pool of the last try.
    ///   - key: what a hashing upstream hashes.
    func pool(ofUpstream index: Int, in snapshot: Snapshot, avoiding: EndpointPool? = nil, key: () -> String) -> EndpointPool? {
        let upstream = snapshot.upstreams[index]
        let count = upstream.endpoints.count
        guard count > 1 else { return count == 0 ? nil : pool(index, 0, in: snapshot) }
        let avoided = avoiding.flatMap { pool in upstream.poolKeys.indices.first { pools[upstream.poolKeys[$0]] === pool } }
        let isEjected = { (number: Int) in
            self.unhealthy.contains(upstream.endpoints[number].identity) || self.pool(index, number, in: snapshot).isEjected(self.now)
        }
        var balancer = balancers[upstream.name] ?? Balancer()
        defer { balancers[upstream.name] = balancer }
        let choice = switch upstream.balance {
        case .roundRobin: balancer.roundRobin(count, avoiding: avoided, isEjected: isEjected)
        case .leastRequests: balancer.leastRequests(count, avoiding: avoided, isEjected: isEjected) { pool(index, $0, in: snapshot).load }
        case .hashLoginSession, .hashClientAddress: Balancer.hash(key().utf8, names: upstream.endpoints.map(\.name), avoiding: avoided, isEjected: isEjected)
        }
        return pool(index, choice, in: snapshot)
    }

    private func pool(_ index: Int, _ endpoint: Int, in snapshot: Snapshot) -> EndpointPool {
        let isCurrent = snapshot === self.snapshot
        if isCurrent, let pool = poolsOfSnapshot[index][endpoint] { return pool }
        let upstream = snapshot.upstreams[index]
        let key = upstream.poolKeys[endpoint]
        let pool = pools[key] ?? EndpointPool(upstream.endpoints[endpoint], of: upstream, worker: self)
        pools[key] = pool
        if isCurrent { poolsOfSnapshot[index][endpoint] = pool }
        return pool
    }

    /// The stage's command-line service, with the provider's endpoints as far as anybody knows them.
    func commandLine(_ stage: Stage) -> CommandLineService? {
        guard let service = stage.commandLine, !service.knowsEndpoints else { return stage.commandLine }
        if let made = commandLinesDiscovered[stage.name], made.stage === stage { return made.service }
        guard let found = discovered.first(where: { known in stage.rules.issuers.contains { $0.issuer == known.issuer } })?.endpoints else { return service }
        let made = service.knowing(CommandLineSettings.Endpoints(
            authorization: found.authorizationURL, token: found.tokenURL, revocation: found.revocationURL))
        commandLinesDiscovered[stage.name] = (stage, made)
        return made
    }

    /// Seconds after which this address may ask the stage's command-line service again; `nil`: now.
    func commandLineDelay(_ stage: Stage, _ address: IPAddress?) -> Int? {
        guard let allowance = stage.commandLineAllowance, let address else { return nil }
        var limit = commandLineLimits[stage.name].flatMap { $0.allowance == allowance ? $0.limit : nil } ?? RateLimit(allowance, seed: .random(in: .min ... .max))
        let decision = limit.requestArrived(from: address, at: .nanoseconds((now - monotonicStart).nanoseconds))
        commandLineLimits[stage.name] = (allowance, limit)
        if case .refused(let seconds) = decision { return seconds }
        return nil
    }

    func log(_ entry: borrowing AccessLogEntry) {
        lineWriter.write(entry)
        recentLines.append(lineWriter.bytes.span)
        if !ring.write(lineWriter.bytes.span) { counters.logLinesDropped += 1 }
    }

    /// The access log's line of one of the last requests of this loop.
    package func recentLine(requestID: String) -> [UInt8]? {
        recentLines.line(with: Array("\"request_id\":\"\(requestID)\"".utf8))
    }

    /// Explains a request with what is current on this loop.
    package func explain(_ sketch: RequestSketch, refetch: RefetchState) -> Explainer.Outcome {
        Explainer(authenticator, loginAuthenticator).explain(sketch, Explainer.Surroundings(snapshot: snapshot, login: loginSurroundings), refetch: refetch)
    }

    /// Explains a request that was served, as far as its log line tells.
    package func explain(_ sketch: RequestSketch, recorded: Explainer.Recorded) -> Explanation {
        Explainer(authenticator, loginAuthenticator).explain(sketch, snapshot, recorded)
    }

    /// The time of the event that is being handled: read once an event, not once a use.
    private(set) var now = NIODeadline.now()
    private var wallOrigin = WallTime.current
    private var monotonicOrigin = NIODeadline.now()

    /// To be called where an event comes in from a channel.
    func eventArrived() { now = .now() }

    /// Civil time, from the monotonic clock and an origin that the tick keeps true.
    var wallTime: WallTime {
        WallTime(milliseconds: wallOrigin.milliseconds + (now - monotonicOrigin).nanoseconds / 1_000_000)
    }

    /// `Date` of RFC 9110 §5.6.7, made once a second.
    func date(_ now: WallTime) -> String {
        if now.seconds != dateSecond {
            dateSecond = now.seconds
            dateText = now.httpDate
        }
        return dateText
    }
}
