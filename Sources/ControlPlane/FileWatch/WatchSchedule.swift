/// When a watcher looks at its files: soon after the last event of a burst, so that several files written one after the other are one
/// change, and in any case every half minute, for file systems that tell nothing. Pure; the watcher has the clock.
struct WatchSchedule {
    /// After the last event.
    static let settle = Duration.milliseconds(250)
    /// A folder that never comes to rest is looked at nevertheless.
    static let settleMax = Duration.seconds(2)
    static let poll = Duration.seconds(30)

    private var firstEvent: ContinuousClock.Instant?
    private var lastEvent: ContinuousClock.Instant?
    private var lastLook: ContinuousClock.Instant

    init(startingAt now: ContinuousClock.Instant) { lastLook = now }

    /// Something happened in a folder.
    mutating func happened(at now: ContinuousClock.Instant) {
        firstEvent = firstEvent ?? now
        lastEvent = now
    }

    /// When to look next.
    var due: ContinuousClock.Instant {
        let poll = lastLook + Self.poll
        guard let firstEvent, let lastEvent else { return poll }
        return min(lastEvent + Self.settle, firstEvent + Self.settleMax, poll)
    }

    /// True when it is time to look; then the next time counts from now.
    mutating func looks(at now: ContinuousClock.Instant) -> Bool {
        guard now >= due else { return false }
        firstEvent = nil
        lastEvent = nil
        lastLook = now
        return true
    }
}
