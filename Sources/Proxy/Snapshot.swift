package import NIOCore
package import Authentication
package import CommandLineAPI
package import GatewayTerms
package import HTTPWire
package import Routing
package import TLS

/// One accepted configuration, compiled, never changed. A reload makes a new one; an exchange keeps the one that it began with.
package final class Snapshot: Sendable {
    /// What `config_version` says in logs: the first characters of the digest over all files.
    package let version: String
    package let listeners: [ListenerRules]
    package let stages: [Stage]
    package let upstreams: [Upstream]
    package let limits: Limits
    package let timeouts: Timeouts
    /// `nil`: switched off.
    package let compression: Compression?
    private let stageOfHost: [String: Int]

    package init(version: String, listeners: [ListenerRules], stages: [Stage], upstreams: [Upstream], limits: Limits, timeouts: Timeouts, compression: Compression?) {
        self.version = version
        self.listeners = listeners
        self.stages = stages
        self.upstreams = upstreams
        self.limits = limits
        self.timeouts = timeouts
        self.compression = compression
        stageOfHost = Dictionary(stages.enumerated().map { ($1.host.text, $0) }, uniquingKeysWith: { first, _ in first })
    }

    package func stage(for host: Hostname) -> Stage? { stageOfHost[host.text].map { stages[$0] } }
}

/// How one listening address treats its clients.
package struct ListenerRules: Sendable {
    package enum ClientAddress: Sendable {
        /// The peer of the TCP connection.
        case peer
        /// The PROXY protocol header that trusted peers send first; connections of others are closed.
        case proxyProtocol(trusted: [AddressRange])
        /// The last X-Forwarded-For entry that is not trusted itself.
        case forwardedFor(trusted: [AddressRange])
    }

    /// In ``Snapshot/listeners``; the same for the life of the process.
    package let index: Int
    /// Its address as configured; names the listener in logs.
    package let name: String
    package let tls: TLSContext?
    package let redirectsToHTTPS: Bool
    package let clientAddress: ClientAddress
    /// The port that clients see: for X-Forwarded-Port and redirects.
    package let publicPort: Int
    /// Callers whose `traceparent` goes on (E4).
    package let traceContextFrom: [AddressRange]

    package init(
        index: Int = 0, name: String, tls: TLSContext?, redirectsToHTTPS: Bool, clientAddress: ClientAddress, publicPort: Int,
        traceContextFrom: [AddressRange] = []
    ) {
        self.index = index
        self.name = name
        self.tls = tls
        self.redirectsToHTTPS = redirectsToHTTPS
        self.clientAddress = clientAddress
        self.publicPort = publicPort
        self.traceContextFrom = traceContextFrom
    }
}

/// One hostname with its identity provider and routes.
package final class Stage: Sendable {
    package let name: String
    package let host: Hostname
    /// What a bearer token must say here.
    package let rules: StageRules
    package let table: RouteTable
    package let routes: [Route]
    /// How browsers log in; `nil` without a browser client.
    let login: LoginRules?
    /// The built-in `/cli` service, where a route has it.
    let commandLine: CommandLineService?
    /// What one client address may ask of it, this loop's part of the whole (F8); `nil` is no limit.
    let commandLineAllowance: RateLimit.Allowance?
    /// HSTS, never for loopback hosts and addresses (B3).
    let sendsTransportSecurity: Bool
    package let series: StageSeries

    package init(
        name: String, host: Hostname, rules: StageRules, routes: [Route], login: LoginRules? = nil, commandLine: CommandLineService? = nil,
        commandLineAllowance: RateLimit.Allowance? = nil, series: StageSeries = StageSeries()
    ) {
        self.name = name
        self.host = host
        self.rules = rules
        self.routes = routes
        self.login = login
        self.commandLine = commandLine
        self.commandLineAllowance = commandLineAllowance
        self.series = series
        table = RouteTable(routes.map(\.pattern))
        sendsTransportSecurity = !host.isLoopback && host.address == nil
    }
}

/// Host + path (+ method) → upstream and policy.
package final class Route: Sendable {
    package enum Target: Sendable, Equatable {
        /// Index into ``Snapshot/upstreams``.
        case upstream(Int, PathRewrite)
        /// The gateway's own answer with this status.
        case respond(Int)
        case redirect(status: Int, location: String)
        /// The built-in `/cli` service.
        case commandLineAPI
    }

    package struct Credentials: OptionSet, Sendable {
        package let rawValue: UInt8
        package init(rawValue: UInt8) { self.rawValue = rawValue }
        package static let bearer = Credentials(rawValue: 1)
        package static let loginSession = Credentials(rawValue: 2)
        /// A bearer token in `x-api-key`, as Metaflow's METAFLOW_SERVICE_AUTH_KEY sends it (C2).
        package static let apiKey = Credentials(rawValue: 4)
    }

    /// The prefix as configured: the route's name in logs.
    package let name: String
    package let pattern: RoutePattern
    package let target: Target
    /// Any of these; empty is a public route.
    package let credentials: Credentials
    package let policy: RoutePolicy
    package let failures: FailureProfile
    package let bodyBytesMax: ByteCount
    package let forwardsAuthorization: Bool
    package let acceptsPathParameters: Bool
    /// Trailer names, lower case, that may pass on chunked bodies (B15).
    package let trailersAllowed: [String]
    /// Text that the upstream sends uncompressed may leave as gzip.
    package let compresses: Bool
    /// Longest wait for the response's head after the request's last byte.
    package let responseTimeout: TimeAmount
    /// In ``MetricNames/routes``.
    package let series: Int

    package init(
        name: String, pattern: RoutePattern, target: Target, credentials: Credentials, policy: RoutePolicy, failures: FailureProfile,
        bodyBytesMax: ByteCount, forwardsAuthorization: Bool, acceptsPathParameters: Bool, trailersAllowed: [String], compresses: Bool,
        responseTimeout: TimeAmount, series: Int = SeriesNames.none
    ) {
        self.name = name
        self.pattern = pattern
        self.target = target
        self.credentials = credentials
        self.policy = policy
        self.failures = failures
        self.bodyBytesMax = bodyBytesMax
        self.forwardsAuthorization = forwardsAuthorization
        self.acceptsPathParameters = acceptsPathParameters
        self.trailersAllowed = trailersAllowed
        self.compresses = compresses
        self.responseTimeout = responseTimeout
        self.series = series
    }
}

/// A named set of endpoints with one balancing policy.
package final class Upstream: Sendable {
    package enum Balance: Sendable, Equatable { case roundRobin, leastRequests, hashLoginSession, hashClientAddress }

    package let name: String
    package let endpoints: [Endpoint]
    package let connectTimeout: TimeAmount
    /// How long an unused connection is kept; below the upstream's own limit, so that we never write to a dying socket.
    package let idleTimeout: TimeAmount
    /// Open connections to one endpoint from one event loop, dialling ones included.
    package let connectionsPerLoopMax: Int
    /// Requests that wait for a connection, per loop; over it 503.
    package let pendingPerLoopMax: Int
    package let pendingTimeout: TimeAmount
    package let balance: Balance
    /// False: one request a connection.
    package let keepsAlive: Bool
    /// In ``MetricNames/upstreams``.
    package let series: Int
    /// For each endpoint, the key of its pool: endpoints with the same address and settings share one, also across reloads.
    let poolKeys: [String]

    package init(
        name: String, endpoints: [Endpoint], connectTimeout: TimeAmount, idleTimeout: TimeAmount, connectionsPerLoopMax: Int,
        pendingPerLoopMax: Int, pendingTimeout: TimeAmount, balance: Balance = .roundRobin, keepsAlive: Bool = true,
        series: Int = SeriesNames.none
    ) {
        self.name = name
        self.endpoints = endpoints
        self.connectTimeout = connectTimeout
        self.idleTimeout = idleTimeout
        self.connectionsPerLoopMax = connectionsPerLoopMax
        self.pendingPerLoopMax = pendingPerLoopMax
        self.pendingTimeout = pendingTimeout
        self.balance = balance
        self.keepsAlive = keepsAlive
        self.series = series
        poolKeys = endpoints.map { "\($0.identity) \(keepsAlive) \(connectTimeout.nanoseconds) \(idleTimeout.nanoseconds) \(connectionsPerLoopMax) \(pendingPerLoopMax)" }
    }
}

/// One address of an upstream.
package struct Endpoint: Sendable {
    package let host: Hostname
    package let port: Int
    package let tls: TLSClientContext?
    /// The name that its certificate must carry.
    package let serverName: Hostname
    /// `host:port`, for logs.
    package let name: String
    /// With the upstream's settings, the identity under which its connections and its health survive a reload.
    package let identity: String

    package init(host: Hostname, port: Int, tls: TLSClientContext?, serverName: Hostname, identity: String) {
        self.host = host
        self.port = port
        self.tls = tls
        self.serverName = serverName
        name = "\(host):\(port)"
        self.identity = identity
    }
}

/// Every limit of the data plane, with what the client sees when it is hit.
package struct Limits: Sendable {
    /// Head size, fields, target: 431, 414 (see ``RequestLimits``).
    package var request = RequestLimits()
    package var response = ResponseLimits()
    /// Connections per event loop: over it new ones are closed at once.
    package var connectionsPerLoopMax = 10_000
    /// Streams that a client may have open at a time on one HTTP/2 connection: REFUSED_STREAM.
    package var http2StreamsMax = 100
    /// Requests on one connection: the last one gets `Connection: close`. 0 is no limit.
    package var requestsPerConnectionMax = 0
    /// Body bytes that are read and thrown away after an early answer, so that the connection can live on; over it, close.
    package var discardedBodyBytesMax = 65_536
    /// TLS handshakes under way per event loop: over it new connections are closed at once.
    package var handshakesPerLoopMax = 256
    /// After this age the next answer ends the connection; `nil` is no limit.
    package var connectionAgeMax: TimeAmount?
    /// Bytes that wait to be sent on one connection before its other side is no longer read.
    package var bufferedBytesMax = 65_536

    package init() {}
}

/// gzip for bodies that an upstream sends as plain text of some kind.
package struct Compression: Sendable {
    /// 1, the fastest, to 9.
    package let level: Int
    /// A body that is known to be shorter leaves as it is.
    package let bytesMin: UInt64
    /// Bodies at a time on one event loop; one more leaves as it is.
    package let streamsPerLoopMax: Int

    package init(level: Int, bytesMin: UInt64, streamsPerLoopMax: Int) {
        self.level = level
        self.bytesMin = bytesMin
        self.streamsPerLoopMax = streamsPerLoopMax
    }
}

/// Every wait of the data plane.
package struct Timeouts: Sendable {
    /// From the first byte of a head, or from the accept, to its end: 408.
    package var head = TimeAmount.seconds(10)
    package var handshake = TimeAmount.seconds(10)
    /// An idle keep-alive connection; below the NLB's 350 s, so that we close first, with FIN (A9).
    package var keepAlive = TimeAmount.seconds(340)
    /// Nothing heard on an HTTP/2 connection: the client is asked whether it is there (A9), and the connection is closed without an answer.
    package var http2Ping = TimeAmount.seconds(60)
    /// No progress of a request's body: 408; of a response's body or a tunnel: closed.
    package var bodyIdle = TimeAmount.seconds(30)
    package var streamIdle = TimeAmount.seconds(300)
    /// A stream that a credential let in: a WebSocket is closed with 1008, an event stream ends (D12).
    package var streamAge = TimeAmount.hours(12)
    /// A client that takes nothing of a response: cut.
    package var sendIdle = TimeAmount.seconds(60)
    /// From the accept to the end of the PROXY protocol header: closed (A7).
    package var proxyProtocol = TimeAmount.seconds(5)
    /// After a final answer on a connection that closes: how long we read on, so that the client gets to see the answer.
    package var linger = TimeAmount.seconds(2)
    /// After a Close frame of ours, how long both sides have to answer it: cut.
    package var closeHandshake = TimeAmount.seconds(10)

    package init() {}
}
