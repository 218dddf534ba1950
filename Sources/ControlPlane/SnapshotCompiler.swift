internal import Authentication
internal import CommandLineAPI
package import GatewayConfiguration
package import GatewayTerms
internal import HTTPWire
internal import NIOCore
package import Proxy
internal import Routing
internal import TLS

/// Compiles an accepted configuration into what the loops serve from. What needs TLS to be judged, keys against certificates and
/// certificates against hosts, is judged here, at the source locations that the model carries.
package struct SnapshotCompiler {
    private let loaded: LoadedConfiguration
    private let surroundings: Surroundings
    private let now: WallTime
    private let loops: Int
    private let names: MetricNames
    private var faults: [Diagnostic] = []
    private var warnings: [Diagnostic]

    /// Compiles, or gives every fault.
    /// - Parameters:
    ///   - loops: event loops that share the process's limits.
    ///   - names: of the process's metrics, so that what is counted goes on being counted.
    package static func compile(
        _ loaded: LoadedConfiguration, loops: Int, now: WallTime, surroundings: Surroundings = .machine, names: MetricNames = MetricNames()
    ) -> Result<(snapshot: Snapshot, warnings: [Diagnostic]), Diagnostics> {
        var compiler = SnapshotCompiler(loaded, loops: loops, now: now, surroundings: surroundings, names: names)
        let snapshot = compiler.compile()
        guard compiler.faults.isEmpty, let snapshot else {
            return .failure(Diagnostics(faults: compiler.faults.sorted { $0.location < $1.location }, warnings: compiler.warnings, isUnreadable: false))
        }
        return .success((snapshot, compiler.warnings))
    }

    private init(_ loaded: LoadedConfiguration, loops: Int, now: WallTime, surroundings: Surroundings, names: MetricNames) {
        self.loaded = loaded
        self.loops = max(1, loops)
        self.now = now
        self.surroundings = surroundings
        self.names = names
        warnings = loaded.warnings
    }

    private mutating func compile() -> Snapshot? {
        let configuration = loaded.configuration
        let listeners = configuration.listeners.enumerated().map { listener($1, index: $0) }
        var upstreams: [Upstream] = []
        var stages: [Stage] = []
        for stage in configuration.stages {
            let first = upstreams.count
            for upstream in stage.upstreams { upstreams.append(self.upstream(upstream, in: stage)) }
            stages.append(self.stage(stage, firstUpstream: first))
        }
        guard faults.isEmpty else { return nil }
        return Snapshot(
            version: String(loaded.version.prefix(12)), listeners: listeners, stages: stages, upstreams: upstreams,
            limits: limits(configuration.limits), timeouts: timeouts(configuration.timeouts),
            compression: compression(configuration.compression))
    }

    // MARK: Listeners

    private mutating func listener(_ listener: Configuration.Listener, index: Int) -> ListenerRules {
        var context: TLSContext?
        var redirects = true
        if case .stages(let tls) = listener.role {
            redirects = false
            context = tlsContext(tls, listener, index: index)
        }
        let clientAddress: ListenerRules.ClientAddress = switch listener.clientAddress {
        case .peer: .peer
        case .proxyProtocol(let trusted): .proxyProtocol(trusted: trusted)
        case .forwardedFor(let trusted): .forwardedFor(trusted: trusted)
        }
        return ListenerRules(
            index: index, name: listener.address.value.description, tls: context, redirectsToHTTPS: redirects, clientAddress: clientAddress,
            publicPort: Int(listener.publicPort), traceContextFrom: listener.traceContextFrom)
    }

    private mutating func tlsContext(_ tls: Configuration.Listener.TLS, _ listener: Configuration.Listener, index: Int) -> TLSContext? {
        var certificates: [Certificate] = []
        for (number, pair) in tls.certificates.enumerated() {
            let setting = "listeners[\(index)].tls.certificates[\(number)]"
            if let certificate = certificate(pair, setting: setting) { certificates.append(certificate) }
        }
        guard certificates.count == tls.certificates.count else { return nil }
        for stage in loaded.configuration.stages where !certificates.contains(where: { $0.covers(stage.host.value) }) {
            let names = certificates.flatMap(\.names).joined(separator: ", ")
            faults.append(Diagnostic(
                .error, at: tls.certificates.first?.chain.location ?? listener.location, setting: "listeners[\(index)].tls.certificates",
                value: tls.certificates.first?.chain.path,
                "no certificate of this listener is for \(stage.host.value), the host of stage \(stage.name.value) (\(stage.host.location)); they are for \(names.isEmpty ? "no DNS name" : names). Add a certificate that names it."))
        }
        guard faults.isEmpty else { return nil }
        do throws(TLSError) {
            return try TLSContext(certificates: certificates, minimumVersion: tls.minimumVersion == .tls13 ? .tls13 : .tls12, protocols: ["h2", "http/1.1"])
        } catch {
            faults.append(Diagnostic(.error, at: listener.location, setting: "listeners[\(index)].tls", "\(error)."))
            return nil
        }
    }

    private mutating func certificate(_ pair: Configuration.Listener.Certificate, setting: String) -> Certificate? {
        guard let chain = read(pair.chain, setting: setting + ".chain"), let key = read(pair.key, setting: setting + ".key") else { return nil }
        do throws(TLSError) {
            let certificate = try Certificate(chain: chain, key: Secret(key), chainFile: pair.chain.path, keyFile: pair.key.path)
            if certificate.notAfter < now {
                faults.append(Diagnostic(
                    .error, at: pair.chain.location, setting: setting + ".chain", value: pair.chain.path,
                    "a certificate of this chain expired at \(certificate.notAfter). Renew it."))
            } else if now < certificate.notBefore {
                faults.append(Diagnostic(
                    .error, at: pair.chain.location, setting: setting + ".chain", value: pair.chain.path,
                    "a certificate of this chain is valid from \(certificate.notBefore) on only. Wait until then, or set this machine's clock right."))
            } else if certificate.notAfter < now.advanced(by: 30 * 86_400) {
                warnings.append(Diagnostic(
                    .warning, at: pair.chain.location, setting: setting + ".chain", value: pair.chain.path,
                    "a certificate of this chain expires at \(certificate.notAfter), in \((certificate.notAfter.seconds - now.seconds) / 86_400) days."))
            }
            return certificate
        } catch {
            let isKey = if case .certificate(let file, _) = error { file == pair.key.path } else { false }
            let reference = isKey ? pair.key : pair.chain
            faults.append(Diagnostic(.error, at: reference.location, setting: setting + (isKey ? ".key" : ".chain"), value: reference.path, "\(error)."))
            return nil
        }
    }

    private mutating func read(_ reference: Configuration.FileReference, setting: String) -> [UInt8]? {
        switch surroundings.read(reference.path, 1 << 20) {
        case .success(let bytes): return bytes
        case .failure(let fault):
            faults.append(Diagnostic(.error, at: reference.location, setting: setting, value: reference.path, "\(reference.path) \(fault)."))
            return nil
        }
    }

    // MARK: Stages

    private func stage(_ stage: Configuration.Stage, firstUpstream: Int) -> Stage {
        let identity = stage.identity
        let isCognito = if case .cognito = identity.provider { true } else { false }
        let issuer = IssuerRules(
            issuer: identity.issuer, isCognito: isCognito, clients: identity.clients.map { client in
                var use: TokenUses = []
                if client.tokenUse.contains(.access) { use.insert(.access) }
                if client.tokenUse.contains(.id) { use.insert(.id) }
                return ClientRule(id: client.id.value, name: client.name.value, tokenUse: use, scopes: client.scopes, groups: client.groups)
            },
            audiences: identity.audiences, clockSkewSeconds: identity.clockSkew.components.seconds, tokenBytesMax: identity.tokenBytesMax.bytes)
        let others = loaded.configuration.stages.filter { $0.name.value != stage.name.value }
            .map { StageRules.OtherStage(issuer: $0.identity.issuer, stage: $0.name.value) }
        let conditions = (stage.policy.rules + stage.routes.flatMap(\.policy.rules)).map { Self.condition($0.condition) }
        let named = Set(stage.policy.groups + identity.clients.flatMap(\.groups) + stage.routes.flatMap(\.policy.groups) + conditions.flatMap(\.groupNames))
        let claimNames = Set(conditions.flatMap(\.claimNames)).sorted()
        var publicURL = stage.publicURL.value.description
        if publicURL.hasSuffix("/") { publicURL.removeLast() }
        let rules = StageRules(
            stage: stage.name.value, host: stage.host.value, publicURL: publicURL, issuers: [issuer], otherStages: others,
            forwardedGroups: named.isEmpty ? nil : named.sorted(), claimNames: claimNames)
        let upstreamIndices = Dictionary(stage.upstreams.enumerated().map { ($1.name.value, firstUpstream + $0) }, uniquingKeysWith: { first, _ in first })
        return Stage(
            name: stage.name.value, host: stage.host.value, rules: rules, routes: stage.routes.map { route($0, in: stage, upstreamIndices) },
            login: login(stage, publicURL: publicURL, rules), commandLine: commandLine(stage, publicURL: publicURL),
            commandLineAllowance: stage.commandLineAPI?.requestsPerMinute.flatMap { RateLimit.Allowance(requests: share($0), per: .seconds(60)) },
            series: StageSeries(stage: stage.name.value, issuer: identity.issuer, names: names))
    }

    private func login(_ stage: Configuration.Stage, publicURL: String, _ rules: StageRules) -> LoginRules? {
        guard let client = stage.identity.browserClient else { return nil }
        let identity = stage.identity
        var endpoints: ProviderEndpoints?
        var isCognito = false
        if case .cognito(let cognito) = identity.provider {
            isCognito = true
            endpoints = cognito.domain.map { IdentityProviderEndpoints.cognito(domain: $0.value.description) }
        }
        let sessions = loaded.configuration.loginSessions
        return LoginRules(
            stage: stage.name.value, host: stage.host.value, publicURL: publicURL, issuer: identity.issuer, isCognito: isCognito, clientID: client.id.value,
            clientSecret: client.secret.value, endpoints: endpoints, caFile: identity.caFile?.path,
            lifetimes: LoginLifetimes(lifetimeSeconds: sessions.lifetime.components.seconds, idleSeconds: sessions.idle.components.seconds),
            forwardedGroups: rules.forwardedGroups, claimNames: rules.claimNames, audiences: identity.audiences, clockSkewSeconds: identity.clockSkew.components.seconds)
    }

    private func commandLine(_ stage: Configuration.Stage, publicURL: String) -> CommandLineService? {
        guard let service = stage.commandLineAPI else { return nil }
        var endpoints: CommandLineSettings.Endpoints?
        if case .cognito(let cognito) = stage.identity.provider, let authorization = cognito.loginEndpoint("authorize"), let token = cognito.loginEndpoint("token") {
            endpoints = CommandLineSettings.Endpoints(authorization: authorization, token: token, revocation: cognito.loginEndpoint("revoke"))
        }
        let settings = CommandLineSettings(
            stage: stage.name.value, publicURL: publicURL, host: stage.host.value, issuer: stage.identity.issuer, clientID: service.clientID, endpoints: endpoints,
            scopes: service.scopes, redirectPorts: service.redirectPorts, settings: service.settings,
            identityPool: service.identityPool.map {
                CommandLineSettings.IdentityPool(id: $0.id, region: $0.region, providerName: stage.identity.loginProviderName)
            },
            minimumExtensionVersion: service.minimumExtensionVersion, wheel: service.wheel.map { Wheel(name: $0.name, bytes: $0.bytes) })
        return CommandLineService(settings, digest: LoginDigest.sha256)
    }

    private func route(_ route: Configuration.Route, in stage: Configuration.Stage, _ upstreams: [String: Int]) -> Route {
        var responseTimeout = route.timeout
        var failures = route.failures
        let target: Route.Target
        switch route.action {
        case .upstream(let name):
            let upstream = stage.upstreams.first { $0.name.value == name.value }
            responseTimeout = responseTimeout ?? upstream?.responseTimeout
            failures = failures ?? upstream?.failures
            target = .upstream(upstreams[name.value] ?? 0, route.stripPrefix ? .stripPrefix : .keep)
        case .service(.commandLineAPI):
            failures = failures ?? .metaflow
            target = .commandLineAPI
        case .respond(let status): target = .respond(status)
        case .redirect(let redirect): target = .redirect(status: redirect.status, location: redirect.location.value)
        }
        var credentials: Route.Credentials = []
        if route.credentials.contains(.bearer) { credentials.insert(.bearer) }
        if route.credentials.contains(.loginSession) { credentials.insert(.loginSession) }
        if route.credentials.contains(.apiKey) { credentials.insert(.apiKey) }
        let name = route.path.value.description
        return Route(
            name: name, pattern: RoutePattern(prefix: route.path.value, methods: route.methods.map { MethodSet($0) } ?? .all), target: target,
            credentials: credentials, policy: Self.policy(route.policy, name: "\(stage.name.value) \(name)"),
            failures: failures == .metaflow ? .metaflow : .browser, bodyBytesMax: route.bodyBytesMax ?? loaded.configuration.limits.bodyBytes,
            forwardsAuthorization: route.forwardAuthorization, acceptsPathParameters: route.allowPathParameters,
            trailersAllowed: route.allowTrailers.map { $0.lowercased() }, compresses: route.compress,
            responseTimeout: TimeAmount(responseTimeout ?? .seconds(60)), series: names.routes.number(stage.name.value, name))
    }

    private static func policy(_ policy: Configuration.Policy, name: String) -> RoutePolicy {
        RoutePolicy(name: name, groups: policy.groups, scopes: policy.scopes, rules: policy.rules.map { rule in
            PolicyRule(name: rule.name, decision: rule.decision == .allow ? .allow : .deny, condition: condition(rule.condition))
        })
    }

    private static func condition(_ condition: Configuration.Policy.Condition) -> Condition {
        switch condition {
        case .any(let conditions): .any(conditions.map(Self.condition))
        case .all(let conditions): .all(conditions.map(Self.condition))
        case .not(let condition): .not(Self.condition(condition))
        case .group(let group): .group(group)
        case .scope(let scope): .scope(scope)
        case .client(let client): .client(client)
        case .claim(let name, let texts): .claim(name, oneOf: texts)
        case .address(let range): .address(range)
        }
    }

    private mutating func upstream(_ upstream: Configuration.Upstream, in stage: Configuration.Stage) -> Upstream {
        var context: TLSClientContext?
        if upstream.endpoints.contains(where: { $0.scheme == .https }) {
            do throws(TLSError) { context = try TLSClientContext(authorities: upstream.caFile?.path) } catch {
                faults.append(Diagnostic(.error, at: upstream.caFile?.location ?? upstream.location, setting: "upstreams.\(upstream.name.value).ca_file", "\(error)."))
            }
        }
        let balance: Upstream.Balance = switch upstream.balance {
        case .roundRobin: .roundRobin
        case .leastRequests: .leastRequests
        case .hashLoginSession: .hashLoginSession
        case .hashClientAddress: .hashClientAddress
        }
        return Upstream(
            name: upstream.name.value,
            endpoints: upstream.endpoints.map { endpoint in
                Endpoint(
                    host: endpoint.host, port: Int(endpoint.port), tls: endpoint.scheme == .https ? context : nil,
                    serverName: upstream.serverName?.value ?? endpoint.host, identity: EndpointIdentity.of(endpoint, in: upstream))
            },
            connectTimeout: TimeAmount(upstream.connectTimeout), idleTimeout: TimeAmount(upstream.idleTimeout),
            connectionsPerLoopMax: share(upstream.connectionsMax), pendingPerLoopMax: share(upstream.pendingMax),
            pendingTimeout: TimeAmount(upstream.pendingTimeout), balance: balance, keepsAlive: upstream.keepAlive,
            series: names.upstreams.number(stage.name.value, upstream.name.value))
    }

    // MARK: Limits

    /// A limit of the process, divided among its loops, rounded up.
    private func share(_ limit: Int) -> Int { max(1, (limit + loops - 1) / loops) }

    private func limits(_ limits: Configuration.Limits) -> Limits {
        var result = Limits()
        result.request.headBytesMax = limits.headBytes.bytes
        result.request.fieldLineBytesMax = limits.fieldLineBytes.bytes
        result.request.cookieBytesMax = limits.cookieBytes.bytes
        result.request.authorizationBytesMax = limits.authorizationBytes.bytes
        result.request.fieldsMax = limits.fields
        result.request.targetBytesMax = limits.targetBytes.bytes
        result.connectionsPerLoopMax = share(limits.connections)
        result.handshakesPerLoopMax = share(limits.handshakes)
        result.http2StreamsMax = limits.http2Streams
        result.requestsPerConnectionMax = limits.requestsPerConnection ?? 0
        result.connectionAgeMax = limits.connectionAge.map { TimeAmount($0) }
        return result
    }

    private func compression(_ compression: Configuration.Compression) -> Compression? {
        guard compression.isEnabled else { return nil }
        return Compression(level: compression.level, bytesMin: UInt64(max(0, compression.minimumBytes.bytes)), streamsPerLoopMax: share(compression.streams))
    }

    private func timeouts(_ timeouts: Configuration.Timeouts) -> Timeouts {
        var result = Timeouts()
        result.head = TimeAmount(timeouts.head)
        result.handshake = TimeAmount(timeouts.handshake)
        result.proxyProtocol = TimeAmount(timeouts.proxyProtocol)
        result.keepAlive = TimeAmount(timeouts.keepAlive)
        result.http2Ping = TimeAmount(timeouts.http2Ping)
        result.bodyIdle = TimeAmount(timeouts.bodyIdle)
        result.streamIdle = TimeAmount(timeouts.streamIdle)
        result.streamAge = TimeAmount(timeouts.streamAge)
        result.sendIdle = TimeAmount(timeouts.sendIdle)
        return result
    }
}
