internal import GatewayConfiguration
internal import GatewayTerms
internal import Logging
internal import Synchronization

/// Active health checks (B7): asks each endpoint of an upstream that has `health` in turn, on the fetch thread, and tells the loops which
/// are down. One owner for all loops; what was found survives a reload that leaves the endpoint as it was.
final class EndpointHealth: Sendable {
    /// One endpoint and how it is asked.
    struct Check: Sendable, Equatable {
        /// As in `Proxy.Endpoint.identity`.
        let identity: String
        let url: String
        let caFile: String?
        let interval: Duration
        let timeout: Duration
        let unhealthyAfter: Int
        let healthyAfter: Int
    }

    /// What is known of one endpoint: a change takes several answers in a row. Pure.
    struct Standing: Equatable, Sendable {
        private(set) var isHealthy = true
        private var against = 0

        /// True when the standing has changed.
        mutating func heard(_ isGood: Bool, unhealthyAfter: Int, healthyAfter: Int) -> Bool {
            guard isGood != isHealthy else {
                against = 0
                return false
            }
            against += 1
            guard against >= (isHealthy ? unhealthyAfter : healthyAfter) else { return false }
            isHealthy.toggle()
            against = 0
            return true
        }
    }

    fileprivate struct State {
        var checks: [String: Check] = [:]
        var standings: [String: Standing] = [:]
        /// Tells the rounds of one configuration from those of earlier ones.
        var generation = 0
    }

    private let state = Mutex(State())
    private let client: IdentityProviderClient
    private let logger: Logger
    private let publish: @Sendable (Set<String>) -> Void

    init(client: IdentityProviderClient, logger: Logger, publish: @escaping @Sendable (Set<String>) -> Void) {
        self.client = client
        self.logger = logger
        self.publish = publish
    }

    func follow(_ configuration: Configuration) {
        var checks: [String: Check] = [:]
        for upstream in configuration.stages.flatMap(\.upstreams) {
            guard let health = upstream.health else { continue }
            for endpoint in upstream.endpoints {
                let identity = EndpointIdentity.of(endpoint, in: upstream)
                checks[identity] = Check(
                    identity: identity, url: "\(endpoint.scheme.rawValue)://\(endpoint.host):\(endpoint.port)\(health.path.value)", caFile: upstream.caFile?.path,
                    interval: health.interval, timeout: health.timeout, unhealthyAfter: health.unhealthyAfter, healthyAfter: health.healthyAfter)
            }
        }
        let (generation, down) = state.withLock { state in
            guard checks != state.checks else { return (nil as Int?, state.down) }
            state.checks = checks
            state.standings = state.standings.filter { checks[$0.key] != nil }
            state.generation += 1
            return (state.generation, state.down)
        }
        publish(down)
        guard let generation else { return }
        for check in checks.values { ask(check, generation) }
    }

    /// Endpoints, by identity, that are down.
    var down: Set<String> { state.withLock { $0.down } }

    func stop() {
        state.withLock { state in
            state.generation += 1
            state.checks = [:]
        }
    }

    private func ask(_ check: Check, _ generation: Int) {
        guard state.withLock({ $0.generation == generation }) else { return }
        let request = FetchRequest(url: check.url, timeout: check.timeout, connectTimeout: check.timeout, bodyBytesMax: 64 * 1024, caFile: check.caFile, carriesNoSecrets: true)
        client.send(request) { [weak self] result in
            let fault: String? = switch result {
            case .success(let response) where (200..<400).contains(response.status): nil
            case .success(let response): "it answers \(response.status)"
            case .failure(let error): error.description
            }
            self?.heard(check, fault, generation)
        }
    }

    private func heard(_ check: Check, _ fault: String?, _ generation: Int) {
        let (isCurrent, standing, down) = state.withLock { state -> (Bool, Standing?, Set<String>) in
            guard state.generation == generation else { return (false, nil, []) }
            var standing = state.standings[check.identity] ?? Standing()
            let hasChanged = standing.heard(fault == nil, unhealthyAfter: check.unhealthyAfter, healthyAfter: check.healthyAfter)
            state.standings[check.identity] = standing
            return (true, hasChanged ? standing : nil, state.down)
        }
        guard isCurrent else { return }
        if let standing {
            if standing.isHealthy {
                logger.notice("endpoint is healthy again", metadata: ["url": "\(check.url)"])
            } else {
                logger.warning("endpoint is down: \(fault ?? "")", metadata: ["url": "\(check.url)"])
            }
            publish(down)
        }
        client.after(check.interval) { [weak self] in self?.ask(check, generation) }
    }
}

extension EndpointHealth.State {
    fileprivate var down: Set<String> { Set(standings.filter { !$0.value.isHealthy }.keys) }
}

/// The one way to name an endpoint, for pools and health alike.
enum EndpointIdentity {
    static func of(_ endpoint: Configuration.Upstream.Endpoint, in upstream: Configuration.Upstream) -> String {
        "\(endpoint.scheme.rawValue)://\(endpoint.host):\(endpoint.port) \(upstream.serverName?.value ?? endpoint.host) \(upstream.caFile?.path ?? "")"
    }
}
