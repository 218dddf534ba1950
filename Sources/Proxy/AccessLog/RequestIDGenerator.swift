package import GatewayTerms

/// Makes request names, one generator an event loop. Each name is greater than the one before, also within a millisecond and
/// when the clock steps back by less than a minute: its 74 random bits then go up by a random step (RFC 9562 §6.2, method 2).
///
/// The bits come from xoshiro256++, which is fast and no secret: who sees some names can foretell others. Nothing may be
/// granted for knowing one.
package struct RequestIDGenerator: Sendable {
    private var random: Xoshiro256
    private var milliseconds: UInt64 = 0
    /// The 12 bits above, and the 62 bits below the variant.
    private var upper: UInt64 = 0
    private var lower: UInt64 = 0

    package init(seed: (UInt64, UInt64, UInt64, UInt64)) { random = Xoshiro256(seed: seed) }

    package init() {
        var system = SystemRandomNumberGenerator()
        self.init(seed: (system.next(), system.next(), system.next(), system.next()))
    }

    package mutating func next(at now: WallTime) -> RequestID {
        let clock = UInt64(max(0, now.milliseconds)) & timeMask
        if clock > milliseconds || milliseconds - clock > stepBackMax {
            milliseconds = clock
            // The top bit stays free, so that one millisecond never runs out of names.
            upper = random.next() & 0x7ff
            lower = random.next() & lowerMask
        } else {
            lower += 1 + (random.next() & 0xffff_ffff)
            if lower > lowerMask {
                lower &= lowerMask
                upper += 1
            }
            if upper > 0xfff {
                upper = 0
                milliseconds = (milliseconds + 1) & timeMask
            }
        }
        return RequestID(high: milliseconds << 16 | 0x7000 | upper, low: 1 << 63 | lower)
    }
}

private let timeMask: UInt64 = 1 << 48 - 1
private let lowerMask: UInt64 = 1 << 62 - 1
/// A clock that was wrong by more is believed again at once, in milliseconds.
private let stepBackMax: UInt64 = 60_000

/// xoshiro256++ 1.0 of Blackman and Vigna.
struct Xoshiro256: RandomNumberGenerator, Sendable {
    private var state: (UInt64, UInt64, UInt64, UInt64)

    /// A state of all zeros would give nothing but zeros.
    init(seed: (UInt64, UInt64, UInt64, UInt64)) {
        state = seed == (0, 0, 0, 0) ? (1, 2, 3, 4) : seed
    }

    mutating func next() -> UInt64 {
        func rotated(_ word: UInt64, _ count: UInt64) -> UInt64 { word << count | word >> (64 - count) }
        let result = rotated(state.0 &+ state.3, 23) &+ state.0
        let shifted = state.1 << 17
        state.2 ^= state.0
        state.3 ^= state.1
        state.1 ^= state.2
        state.0 ^= state.3
        state.2 ^= shifted
        state.3 = rotated(state.3, 45)
        return result
    }
}
