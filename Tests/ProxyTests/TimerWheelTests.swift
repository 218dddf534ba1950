import NIOCore
import Testing
@testable import Proxy

@Suite("TimerWheel")
struct TimerWheelTests {
    private final class Sleeper: TimedConnection {
        var deadline: NIODeadline
        var timerTick: Int64 = 0
        var woken = 0

        init(_ deadline: NIODeadline) { self.deadline = deadline }
        func deadlineReached(_ now: NIODeadline) {
            woken += 1
            deadline = .distantFuture
        }
    }

    private let origin = NIODeadline.uptimeNanoseconds(1_000_000_000)

    /// Turns the wheel in steps, as the loop does, and gives the time of each waking.
    private func run(_ wheel: inout TimerWheel, until seconds: Int64, step: TimeAmount = .milliseconds(100), each: (NIODeadline) -> Void = { _ in }) {
        var now = origin
        while now < origin + .seconds(seconds) {
            now = now + step
            for connection in wheel.advance(to: now) { connection.deadlineReached(now) }
            each(now)
        }
    }

    @Test("A connection is woken once, at most a tick after its deadline, whether near or far", arguments: [50, 1000, 1950, 2000, 3333, 60_000, 340_000] as [Int64])
    func wakes(milliseconds: Int64) {
        var wheel = TimerWheel(origin: origin)
        let sleeper = Sleeper(origin + .milliseconds(milliseconds))
        let id = wheel.add(sleeper)
        wheel.tighten(id)
        var wokenAt: NIODeadline?
        run(&wheel, until: milliseconds / 1000 + 3) { if sleeper.woken == 1, wokenAt == nil { wokenAt = $0 } }
        #expect(sleeper.woken == 1)
        let late = wokenAt.map { ($0 - (origin + .milliseconds(milliseconds))).nanoseconds / 1_000_000 } ?? -1
        #expect((0...200).contains(late))
    }

    @Test("A deadline that moves away costs nothing, and holds where it moved to")
    func moves() {
        var wheel = TimerWheel(origin: origin)
        let sleeper = Sleeper(origin + .seconds(5))
        _ = wheel.add(sleeper)
        run(&wheel, until: 4)
        sleeper.deadline = origin + .seconds(9)
        var now = origin + .seconds(4)
        while now < origin + .milliseconds(8900) {
            now = now + .milliseconds(100)
            #expect(wheel.advance(to: now).isEmpty)
        }
        now = now + .milliseconds(300)
        #expect(wheel.advance(to: now).count == 1)
    }

    @Test("A connection that is gone is never woken, and its name finds nobody, also after its place is taken again")
    func removed() {
        var wheel = TimerWheel(origin: origin)
        let first = Sleeper(origin + .seconds(1))
        let old = wheel.add(first)
        wheel.remove(old)
        wheel.remove(old)
        let second = Sleeper(origin + .seconds(30))
        let new = wheel.add(second)
        #expect(wheel.connection(old) == nil)
        #expect(wheel.connection(new) === second)
        run(&wheel, until: 5)
        #expect(first.woken == 0)
        #expect(wheel.count == 1)
    }

    @Test("After a pause longer than a turn of the wheel everything that is due is woken")
    func pause() {
        var wheel = TimerWheel(origin: origin)
        let sleepers = (1...50).map { Sleeper(origin + .milliseconds($0 * 100)) }
        for sleeper in sleepers { wheel.tighten(wheel.add(sleeper)) }
        let due = wheel.advance(to: origin + .seconds(60))
        #expect(due.count == 50)
    }
}
