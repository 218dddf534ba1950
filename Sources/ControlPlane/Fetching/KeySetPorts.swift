package import GatewayTerms

/// The world of a `KeySetFetcher`: clocks, randomness, timers and the network, each an argument, so that a day of outage
/// passes in a test's millisecond.
package struct KeySetPorts: Sendable {
    package var now: @Sendable () -> ContinuousClock.Instant
    package var wallNow: @Sendable () -> WallTime
    /// Uniform in 0…1.
    package var random: @Sendable () -> Double
    package var after: @Sendable (Duration, @escaping @Sendable () -> Void) -> Void
    package var fetch: @Sendable (FetchRequest, @escaping FetchCompletion) -> Void

    package init(
        now: @escaping @Sendable () -> ContinuousClock.Instant, wallNow: @escaping @Sendable () -> WallTime, random: @escaping @Sendable () -> Double,
        after: @escaping @Sendable (Duration, @escaping @Sendable () -> Void) -> Void,
        fetch: @escaping @Sendable (FetchRequest, @escaping FetchCompletion) -> Void
    ) {
        (self.now, self.wallNow, self.random, self.after, self.fetch) = (now, wallNow, random, after, fetch)
    }

    /// The real clocks, with timers and fetches on the client's thread.
    package init(client: IdentityProviderClient, wallNow: @escaping @Sendable () -> WallTime) {
        self.init(
            now: { ContinuousClock.now }, wallNow: wallNow, random: { Double.random(in: 0...1) },
            after: { client.after($0, $1) }, fetch: { client.send($0, completion: $1) }
        )
    }
}
