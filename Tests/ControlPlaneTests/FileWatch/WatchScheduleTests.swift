import Testing

@testable import ControlPlane

@Suite("When a watcher looks at its files")
struct WatchScheduleTests {
    private let start = ContinuousClock.now

    private func time(_ milliseconds: Int) -> ContinuousClock.Instant { start + .milliseconds(milliseconds) }

    @Test("Without events it looks every thirty seconds")
    func polls() {
        var schedule = WatchSchedule(startingAt: start)
        #expect(schedule.due == time(30_000))
        let early = schedule.looks(at: time(29_999)), due = schedule.looks(at: time(30_000))
        #expect(!early && due)
        #expect(schedule.due == time(60_000))
    }

    @Test("A burst is one look, a quarter of a second after its last event")
    func settles() {
        var schedule = WatchSchedule(startingAt: start)
        for moment in [1000, 1100, 1300] { schedule.happened(at: time(moment)) }
        let early = schedule.looks(at: time(1549)), due = schedule.looks(at: time(1550))
        #expect(!early && due)
        #expect(schedule.due == time(31_550))
    }

    @Test("A folder that never rests is looked at every two seconds")
    func restless() {
        var schedule = WatchSchedule(startingAt: start)
        var looks: [Int] = []
        for moment in stride(from: 0, through: 6000, by: 100) {
            if schedule.looks(at: time(moment)) { looks.append(moment) }
            schedule.happened(at: time(moment))
        }
        #expect(looks == [2000, 4000, 6000])
    }
}
