package import Authentication

/// Keeps the key set of each issuer fresh (C5, C6): fetches at the start, refreshes in the background, refetches for an
/// unknown kid once for all who ask, falls back on the disk's copy, and withdraws what nobody confirmed for 24 h.
///
/// `KeySetSchedule` decides when; this acts. Any thread may call; events come in the order in which they happened for an issuer,
/// from the thread of a fetch or timer, or from the one that calls `start`.
package final class KeySetFetcher: Sendable {
    package struct Limits: Sendable {
        /// For one fetch of a key set or discovery document.
        package var fetch = Duration.seconds(5)
        /// How long `refetch` keeps its callers waiting; the fetch itself goes on (C6).
        package var refetchWait = Duration.seconds(1)
        /// Callers of `refetch` that wait for one issuer; further ones are answered `.throttled`.
        package var waitersMax = 4096
        /// The disk's copy is renewed when the keys change, and else this often.
        package var storeEvery = Duration.seconds(600)

        package init() {}
    }

    /// One issuer for the admin endpoint and the metrics.
    package struct Status: Sendable {
        package let issuer: String
        /// Empty where no set serves.
        package let keyIDs: [String]
        /// Since the provider last confirmed the set.
        package let age: Duration?
        /// Failures in a row.
        package let failures: Int
        package let lastFailure: String?
    }

    private let feeds: [KeySetFeed]

    /// - Parameters:
    ///   - store: nil keeps no copies on disk.
    ///   - observe: is told of each event; must not wait, nor call this fetcher back.
    package init(
        sources: [KeySetSource], store: KeySetStore?, ports: KeySetPorts, times: KeySetSchedule.Times = .init(), limits: Limits = Limits(),
        observe: @escaping @Sendable (KeySetEvent) -> Void
    ) {
        feeds = sources.map { KeySetFeed($0, store: store, ports: ports, times: times, limits: limits, observe: observe) }
    }

    /// Publishes what the disk has, then begins the first fetches.
    package func start() {
        for feed in feeds { feed.restore() }
        for feed in feeds { feed.advance() }
    }

    /// No fetch begins after this; one that is under way ends unheard, and waiting callers are answered `.failed`.
    package func stop() {
        for feed in feeds { feed.stop() }
    }

    /// A token names a key that the issuer's set does not have, or there is no set yet. `completion` is called once, with
    /// `.done`, `.throttled` or `.failed`, at once or within `refetchWait`, by this or another thread.
    package func refetch(issuer: String, completion: @escaping @Sendable (RefetchState) -> Void) {
        guard let feed = feeds.first(where: { $0.source.issuer == issuer }) else { return completion(.failed) }
        feed.refetch(completion)
    }

    package func status() -> [Status] { feeds.map { $0.status() } }
}
