internal import Authentication
internal import GatewayConfiguration
internal import GatewayTerms
internal import Proxy
internal import Synchronization

/// Keeps the key sets of all issuers current: one fetcher an issuer, started and stopped as configurations come and go, and every new
/// set given to `publish` before anybody who waits for it hears of it.
final class KeySetCustody: ProviderPort {
    private struct State {
        var fetchers: [String: (source: KeySetSource, fetcher: KeySetFetcher)] = [:]
        var keySets = KeySets()
        var fetches: [String: FetchCounts] = [:]
    }

    struct FetchCounts: Sendable {
        var succeeded: UInt64 = 0
        var failed: UInt64 = 0
    }

    private let state = Mutex(State())
    private let client: IdentityProviderClient
    private let store: KeySetStore?
    private let wallNow: @Sendable () -> WallTime
    private let publish: @Sendable (KeySets) -> Void
    private let observe: @Sendable (KeySetEvent) -> Void

    init(
        client: IdentityProviderClient, store: KeySetStore?, wallNow: @escaping @Sendable () -> WallTime,
        publish: @escaping @Sendable (KeySets) -> Void, observe: @escaping @Sendable (KeySetEvent) -> Void
    ) {
        self.client = client
        self.store = store
        self.wallNow = wallNow
        self.publish = publish
        self.observe = observe
    }

    /// Follows a new configuration; issuers that are the same keep their keys and their timers.
    /// - Parameter fixed: key sets that were read from files (`key_set_file`).
    func follow(_ sources: [KeySetSource], fixed: [KeySet]) {
        let wanted = Dictionary(sources.map { ($0.issuer, $0) }, uniquingKeysWith: { first, _ in first })
        let (stopped, started, keySets) = state.withLock { state in
            var stopped: [KeySetFetcher] = []
            for (issuer, entry) in state.fetchers where wanted[issuer] != entry.source {
                stopped.append(entry.fetcher)
                state.fetchers[issuer] = nil
                state.keySets = state.keySets.removing(issuer: issuer)
            }
            var started: [KeySetFetcher] = []
            for (issuer, source) in wanted where state.fetchers[issuer] == nil {
                let fetcher = KeySetFetcher(sources: [source], store: store, ports: KeySetPorts(client: client, wallNow: wallNow)) { [weak self] in self?.happened($0) }
                state.fetchers[issuer] = (source, fetcher)
                started.append(fetcher)
            }
            for keySet in fixed { state.keySets = state.keySets.replacing(with: keySet) }
            return (stopped, started, state.keySets)
        }
        stopped.forEach { $0.stop() }
        publish(keySets)
        started.forEach { $0.start() }
    }

    func stop() {
        let fetchers = state.withLock { state in
            defer { state.fetchers = [:] }
            return state.fetchers.values.map(\.fetcher)
        }
        fetchers.forEach { $0.stop() }
    }

    func refetchKeys(issuer: String, keyID: String?, completion: @escaping @Sendable (RefetchState) -> Void) {
        let (fetcher, isFixed) = state.withLock { ($0.fetchers[issuer]?.fetcher, $0.keySets[issuer] != nil) }
        // Keys from a file are all the keys that there are.
        guard let fetcher else { return completion(isFixed ? .done : .failed) }
        fetcher.refetch(issuer: issuer, completion: completion)
    }

    /// Every issuer, sorted; those whose keys come from a file last.
    var readings: [GatewayReading.KeySet] {
        let (fetchers, counts, keySets) = state.withLock { ($0.fetchers, $0.fetches, $0.keySets) }
        let fetched = fetchers.values.flatMap { $0.fetcher.status() }.map { status in
            GatewayReading.KeySet(
                issuer: status.issuer, keyIDs: status.keyIDs, age: status.age, isFromFile: false, failures: status.failures, lastFailure: status.lastFailure,
                fetchesSucceeded: counts[status.issuer]?.succeeded ?? 0, fetchesFailed: counts[status.issuer]?.failed ?? 0)
        }
        let fixed = keySets.issuers.filter { fetchers[$0] == nil }.map { issuer in
            GatewayReading.KeySet(
                issuer: issuer, keyIDs: keySets[issuer]?.keys.map(\.keyID) ?? [], age: nil, isFromFile: true, failures: 0, lastFailure: nil,
                fetchesSucceeded: 0, fetchesFailed: 0)
        }
        return fetched.sorted { $0.issuer < $1.issuer } + fixed.sorted { $0.issuer < $1.issuer }
    }

    private func count(_ event: KeySetEvent) {
        state.withLock { state in
            switch event {
            case .published(let keySet, let age):
                // A copy from disk was not fetched.
                if age == .zero { state.fetches[keySet.issuer, default: FetchCounts()].succeeded &+= 1 }
            case .confirmed(let issuer): state.fetches[issuer, default: FetchCounts()].succeeded &+= 1
            case .failed(let issuer, _, _, _, _): state.fetches[issuer, default: FetchCounts()].failed &+= 1
            case .withdrawn, .storeFailed: break
            }
        }
    }

    private func happened(_ event: KeySetEvent) {
        count(event)
        switch event {
        case .published(let keySet, _): publish(state.withLock { state in
            state.keySets = state.keySets.replacing(with: keySet)
            return state.keySets
        })
        case .withdrawn(let issuer): publish(state.withLock { state in
            state.keySets = state.keySets.removing(issuer: issuer)
            return state.keySets
        })
        case .confirmed, .failed, .storeFailed: break
        }
        observe(event)
    }
}
