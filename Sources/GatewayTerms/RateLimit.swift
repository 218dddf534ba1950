/// So many requests of one client address in a time (F8): a token bucket for each address, which begins full and is refilled evenly.
///
/// An IPv6 client counts as its /64, which is what one subscriber gets. The table has a fixed number of places and never grows. An
/// address that finds no place takes that of the address nearest to a full bucket among eight, so that a crowd of addresses costs the
/// patient ones a forgotten request and never memory. One event loop owns one table: nothing here is shared, and the allowance
/// that it is given is the loop's part of the whole.
package struct RateLimit: Sendable {
    /// A burst of `requests` at once, and over longer times `requests` in every `period`.
    package struct Allowance: Sendable, Equatable {
        package let requests: Int
        package let period: Duration

        /// `nil` outside 1…1,000,000 requests in 1 ms…1 d, or for more than one request a nanosecond.
        package init?(requests: Int, per period: Duration) {
            guard (1...1_000_000).contains(requests), period >= .milliseconds(1), period <= .seconds(86_400) else { return nil }
            (self.requests, self.period) = (requests, period)
        }
    }

    package enum Decision: Sendable, Equatable {
        case allowed
        /// Whole seconds, at least 1, after which the next request of this address will pass (Retry-After, RFC 9110 §10.2.3).
        case refused(retryAfterSeconds: Int)
    }

    /// Places of a table: 1,024 sets of eight, 192 KiB.
    package static let placesMax = 8192
    private static let setSize = 8

    /// What one request costs, in nanoseconds of refilling.
    private let interval: Int64
    /// How far a bucket may be in debt to the future before a request is refused.
    private let tolerance: Int64
    private let seed: UInt64
    private let sets: Int
    private var places: [Place]

    private struct Place {
        var high: UInt64 = 0
        var low: UInt64 = 0
        /// When the bucket will be full again; 0 for a place that nobody had.
        var fullAt: Int64 = 0
    }

    /// - Parameters:
    ///   - seed: random and secret, so that nobody can choose addresses that meet in one set.
    ///   - places: rounded up to a power of two from 8 to ``placesMax``.
    package init(_ allowance: Allowance, seed: UInt64, places: Int = placesMax) {
        let period = RateLimit.nanoseconds(allowance.period)
        interval = max(1, period / Int64(allowance.requests))
        tolerance = interval * Int64(allowance.requests - 1)
        self.seed = seed
        var sets = 1
        while sets * RateLimit.setSize < min(max(places, 1), RateLimit.placesMax) { sets *= 2 }
        self.sets = sets
        self.places = Array(repeating: Place(), count: sets * RateLimit.setSize)
    }

    /// - Parameter now: since any fixed moment, by a clock that never goes back.
    package mutating func requestArrived(from address: IPAddress, at now: Duration) -> Decision {
        let now = RateLimit.nanoseconds(now)
        // The kinds of address must not meet: no IPv6 /64 has these low bits.
        let high = address.isIPv6 ? address.high : address.low
        let low: UInt64 = address.isIPv6 ? 0 : 1
        let first = Int(truncatingIfNeeded: mixed(high, low) & UInt64(sets - 1)) * RateLimit.setSize
        var index = first
        for candidate in first..<first + RateLimit.setSize {
            let place = places[candidate]
            if place.high == high, place.low == low, place.fullAt != 0 {
                index = candidate
                break
            }
            if place.fullAt < places[index].fullAt { index = candidate }
        }
        let isKnown = places[index].fullAt != 0 && places[index].high == high && places[index].low == low
        let fullAt = isKnown ? max(places[index].fullAt, now) : now
        let debt = fullAt - now
        guard debt <= tolerance else {
            let wait = debt - tolerance
            return .refused(retryAfterSeconds: Int((wait + 999_999_999) / 1_000_000_000))
        }
        places[index] = Place(high: high, low: low, fullAt: fullAt + interval)
        return .allowed
    }

    /// SplitMix64's finaliser over both words and the seed.
    private func mixed(_ high: UInt64, _ low: UInt64) -> UInt64 {
        var value = high ^ seed &+ low &* 0x9e37_79b9_7f4a_7c15
        for _ in 0..<2 {
            value = (value ^ value >> 30) &* 0xbf58_476d_1ce4_e5b9
            value = (value ^ value >> 27) &* 0x94d0_49bb_1331_11eb
            value = (value ^ value >> 31) &+ seed
        }
        return value
    }

    /// Clamped to 0…146 years, so that no later sum overflows.
    private static func nanoseconds(_ duration: Duration) -> Int64 {
        let (seconds, attoseconds) = duration.components
        guard seconds >= 0 else { return 0 }
        return min(seconds, 4_611_686_017) * 1_000_000_000 + attoseconds / 1_000_000_000
    }
}
