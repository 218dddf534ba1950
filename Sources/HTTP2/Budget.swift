/// A token bucket: how much of something cheap to send and dear to receive one connection may have. No clock of its own: it is told the time.
struct Budget: Sendable {
    private let burst: UInt64
    private let perSecond: UInt64
    /// In billionths of a token, so that a rate of one a second loses nothing to rounding.
    private var available: UInt64
    private var filledAt: UInt64 = 0

    private static let unit: UInt64 = 1_000_000_000

    init(_ rate: SessionLimits.Rate) {
        burst = UInt64(min(max(0, rate.burst), 1_000_000_000))
        perSecond = UInt64(min(max(0, rate.perSecond), 1_000_000_000))
        available = burst * Self.unit
    }

    /// Takes one token at `now`, in nanoseconds of any clock that does not run backwards. False when there is none left.
    mutating func take(at now: UInt64) -> Bool {
        if now > filledAt {
            // An hour fills every bucket, and no product of it overflows.
            let elapsed = min(now - filledAt, 3600 * Self.unit)
            filledAt = now
            let (gained, overflows) = elapsed.multipliedReportingOverflow(by: perSecond)
            let room = burst * Self.unit - available
            available += overflows ? room : min(gained, room)
        }
        guard available >= Self.unit else { return false }
        available -= Self.unit
        return true
    }

    /// Gives tokens back that something else has earned, up to the burst.
    mutating func earn(_ count: UInt64) {
        let room = burst * Self.unit - available
        available += min(min(count, burst) * Self.unit, room)
    }
}
