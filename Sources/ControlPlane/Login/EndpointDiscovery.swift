package import Authentication
internal import Synchronization

/// Finds the endpoints of providers that are not Cognito, and publishes them whole; tries again until it knows them, and looks again once
/// an hour, since they hardly ever change. A provider that is away later keeps the endpoints that it had.
package final class EndpointDiscovery: Sendable {
    package struct Source: Sendable, Equatable {
        package let issuer: String
        package let url: String
        package let caFile: String?

        package init(issuer: String, url: String, caFile: String?) {
            self.issuer = issuer
            self.url = url
            self.caFile = caFile
        }
    }

    private struct State {
        var sources: [Source] = []
        var found: [LoginSurroundings.Discovered] = []
        /// Sources of an earlier configuration are not asked again.
        var generation = 0
        var failures: [String: Int] = [:]
    }

    package static let refreshAfter: Duration = .seconds(3600)
    package static let backoffMax: Duration = .seconds(60)

    private let state = Mutex(State())
    private let ports: KeySetPorts
    private let publish: @Sendable ([LoginSurroundings.Discovered]) -> Void
    private let failed: @Sendable (_ issuer: String, _ reason: String) -> Void

    package init(
        ports: KeySetPorts, publish: @escaping @Sendable ([LoginSurroundings.Discovered]) -> Void,
        failed: @escaping @Sendable (_ issuer: String, _ reason: String) -> Void
    ) {
        self.ports = ports
        self.publish = publish
        self.failed = failed
    }

    /// Follows a new configuration; what is known of an issuer stays.
    package func follow(_ sources: [Source]) {
        let (generation, found) = state.withLock { state in
            state.generation += 1
            state.sources = sources
            state.found = state.found.filter { known in sources.contains { $0.issuer == known.issuer } }
            state.failures = [:]
            return (state.generation, state.found)
        }
        publish(found)
        for source in sources { ask(source, generation) }
    }

    package func stop() { follow([]) }

    private func ask(_ source: Source, _ generation: Int) {
        guard state.withLock({ $0.generation == generation }) else { return }
        ports.fetch(FetchRequest(url: source.url, caFile: source.caFile)) { [weak self] result in self?.answered(source, generation, result) }
    }

    private func answered(_ source: Source, _ generation: Int, _ result: Result<FetchResponse, FetchError>) {
        let reason: String
        switch Self.read(result, issuer: source.issuer) {
        case .success(let endpoints): return found(source, generation, endpoints)
        case .failure(let fault): reason = fault.reason
        }
        let delay: Duration? = state.withLock { state in
            guard state.generation == generation else { return nil }
            let count = min((state.failures[source.issuer] ?? 0) + 1, 16)
            state.failures[source.issuer] = count
            return min(Self.backoffMax, .seconds(1 << min(count - 1, 6))) * (0.75 + ports.random() / 2)
        }
        guard let delay else { return }
        failed(source.issuer, reason)
        again(source, generation, after: delay)
    }

    private func found(_ source: Source, _ generation: Int, _ endpoints: ProviderEndpoints) {
        let all: [LoginSurroundings.Discovered]? = state.withLock { state in
            guard state.generation == generation else { return nil }
            state.failures[source.issuer] = nil
            state.found = state.found.filter { $0.issuer != source.issuer } + [.init(issuer: source.issuer, endpoints: endpoints)]
            return state.found
        }
        guard let all else { return }
        publish(all)
        again(source, generation, after: Self.refreshAfter * (0.9 + ports.random() / 5))
    }

    private func again(_ source: Source, _ generation: Int, after delay: Duration) {
        ports.after(delay) { [weak self] in self?.ask(source, generation) }
    }

    private struct Unusable: Error { let reason: String }

    private static func read(_ result: Result<FetchResponse, FetchError>, issuer: String) -> Result<ProviderEndpoints, Unusable> {
        let response: FetchResponse
        switch result {
        case .failure(let error): return .failure(Unusable(reason: error.description))
        case .success(let answer): response = answer
        }
        guard response.status == 200 else { return .failure(Unusable(reason: "The discovery document is answered with \(response.status).")) }
        do throws(DiscoveryDocument.Fault) {
            guard let endpoints = IdentityProviderEndpoints.discovered(try DiscoveryDocument(response.body, issuer: issuer)) else {
                return .failure(Unusable(reason: "The discovery document has no authorization_endpoint and token_endpoint that can be used."))
            }
            return .success(endpoints)
        } catch {
            return .failure(Unusable(reason: error.description))
        }
    }
}
