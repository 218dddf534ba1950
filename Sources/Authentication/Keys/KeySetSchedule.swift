/// When to fetch one issuer's key set, and when to stop trusting it (C5, C6): events in, actions out, no clock of its own.
///
/// ```
///            timePassed: due            fetched
///   waiting ───────────────▶ fetching ───────────▶ waiting, next in max-age or 300 s, ± 10 %
///      │    refetchWanted       │ failed
///      └──── (one per 10 s) ──▶ └──────────────────▶ waiting, next in 1, 2, 4 … 60 s, half of it at random
/// ```
/// A set that was fetched keeps serving through failures for 24 h; then `timePassed` says `.discardKeys`.
package struct KeySetSchedule: Sendable, Equatable {
    package typealias Instant = ContinuousClock.Instant

    package struct Times: Sendable, Equatable {
        /// Between two fetches where the provider gives no max-age.
        package var refresh = Duration.seconds(300)
        /// The provider's max-age counts within these.
        package var refreshMin = Duration.seconds(60)
        package var refreshMax = Duration.seconds(3600)
        /// Before the first retry after a failure; doubles up to the maximum.
        package var backoff = Duration.seconds(1)
        package var backoffMax = Duration.seconds(60)
        /// How long the last good set serves while no fetch succeeds.
        package var staleFor = Duration.seconds(24 * 3600)
        /// Between two fetches that an unknown kid forces.
        package var forcedEvery = Duration.seconds(10)
        /// Failures in a row after which the operator is told.
        package var failuresBeforeWarning = 3

        package init() {}
    }

    package enum TimePassedAction: Sendable, Equatable {
        /// Begin one fetch, then report `fetched` or `failed`.
        case fetch
        /// The set is older than `staleFor`: withdraw it from the loops.
        case discardKeys
        /// Nothing until then; nil: nothing until the fetch under way is reported.
        case wait(until: Instant?)
    }

    package enum RefetchWantedAction: Sendable, Equatable {
        case fetch
        /// A fetch is under way: its end is the answer for this one too.
        case joinFetch
        /// An unknown kid forced a fetch less than 10 s ago; fail closed, do not fetch.
        case throttled(until: Instant)
    }

    package enum RestoredAction: Sendable, Equatable {
        case useKeys
        case tooOld
    }

    package struct Failure: Sendable, Equatable {
        package let retryAt: Instant
        /// Failures in a row, this one included.
        package let count: Int
        /// True once in each row of failures, when it reaches the warning's number.
        package let warns: Bool
    }

    private let times: Times
    private var isFetching = false
    private var nextFetch: Instant
    private var keysFetchedAt: Instant?
    private var forcedAt: Instant?
    package private(set) var failures = 0

    /// The first fetch is due at once.
    package init(startingAt now: Instant, times: Times = Times()) {
        self.times = times
        nextFetch = now
    }

    /// A last good set was read from disk: it may serve until it is `staleFor` old. The first fetch stays due.
    package mutating func restored(age: Duration, at now: Instant) -> RestoredAction {
        guard age >= .zero, age < times.staleFor else { return .tooOld }
        if keysFetchedAt == nil { keysFetchedAt = now.advanced(by: .zero - age) }
        return .useKeys
    }

    /// Ask again after acting, until it says `.wait`.
    package mutating func timePassed(at now: Instant) -> TimePassedAction {
        if let fetchedAt = keysFetchedAt, fetchedAt.advanced(by: times.staleFor) <= now {
            keysFetchedAt = nil
            return .discardKeys
        }
        if !isFetching, nextFetch <= now {
            isFetching = true
            return .fetch
        }
        let stale = keysFetchedAt?.advanced(by: times.staleFor)
        if isFetching { return .wait(until: stale) }
        return .wait(until: stale.map { min($0, nextFetch) } ?? nextFetch)
    }

    /// A token names a kid that the set does not have, or there is no set.
    package mutating func refetchWanted(at now: Instant) -> RefetchWantedAction {
        if isFetching { return .joinFetch }
        if let forcedAt, now < forcedAt.advanced(by: times.forcedEvery) {
            return .throttled(until: forcedAt.advanced(by: times.forcedEvery))
        }
        forcedAt = now
        isFetching = true
        return .fetch
    }

    /// The fetch brought a usable set.
    /// - Parameters:
    ///   - maxAge: seconds of the answer's Cache-Control, if any; counts within 60…3600.
    ///   - random: uniform in 0…1.
    /// - Returns: when the next fetch is due.
    package mutating func fetched(at now: Instant, maxAge: Int64?, random: Double) -> Instant {
        isFetching = false
        failures = 0
        keysFetchedAt = now
        let wanted = maxAge.map { Duration.seconds(max(0, min($0, 1 << 31))) } ?? times.refresh
        let base = min(max(wanted, times.refreshMin), times.refreshMax)
        nextFetch = now.advanced(by: base * (0.9 + 0.2 * Self.unit(random)))
        return nextFetch
    }

    /// The fetch failed, or what it brought is no usable key set.
    package mutating func failed(at now: Instant, random: Double) -> Failure {
        isFetching = false
        failures = min(failures + 1, 1 << 20)
        var base = times.backoff
        for _ in 1..<min(failures, 32) where base < times.backoffMax { base = base * 2 }
        base = min(base, times.backoffMax)
        nextFetch = now.advanced(by: base * (0.5 + 0.5 * Self.unit(random)))
        return Failure(retryAt: nextFetch, count: failures, warns: failures == times.failuresBeforeWarning)
    }

    /// A set may serve: fetched or restored, and not `staleFor` old.
    package func hasKeys(at now: Instant) -> Bool {
        guard let keysFetchedAt else { return false }
        return now < keysFetchedAt.advanced(by: times.staleFor)
    }

    /// Since the last success; nil without a set.
    package func keysAge(at now: Instant) -> Duration? { keysFetchedAt.map { $0.duration(to: now) } }

    private static func unit(_ random: Double) -> Double {
        random.isFinite ? min(max(random, 0), 1) : 0.5
    }
}
