import Authentication
import GatewayTerms
import Testing

@Suite struct KeySetScheduleTests {
    typealias Instant = KeySetSchedule.Instant
    static let start = ContinuousClock.now
    static func at(_ seconds: Double) -> Instant { start.advanced(by: .seconds(seconds)) }

    /// A schedule whose first fetch succeeded at second 0; the next is due at 300 s.
    static func served() -> KeySetSchedule {
        var schedule = KeySetSchedule(startingAt: at(0))
        _ = schedule.timePassed(at: at(0))
        _ = schedule.fetched(at: at(0), maxAge: nil, random: 0.5)
        return schedule
    }

    @Test("The first fetch is due at once, and there is one at a time")
    func firstFetch() {
        var schedule = KeySetSchedule(startingAt: Self.at(0))
        #expect(!schedule.hasKeys(at: Self.at(0)))
        let first = schedule.timePassed(at: Self.at(0))
        let again = schedule.timePassed(at: Self.at(0.1))
        #expect(first == .fetch)
        #expect(again == .wait(until: nil))
    }

    @Test("A refresh is due after the provider's max-age within 60…3600 s, or 300 s, plus or minus a tenth", arguments: [
        (nil, 0.0, 270.0), (nil, 0.5, 300), (nil, 1, 330), (60, 0.5, 60), (59, 0.5, 60), (0, 0.5, 60), (-5, 0.5, 60), (Int64.min, 0.5, 60),
        (61, 0.5, 61), (600, 0.5, 600), (600, 0, 540), (600, 1, 660), (3600, 0.5, 3600), (3601, 0.5, 3600), (86_400, 0.5, 3600), (Int64.max, 0.5, 3600),
        (nil, -3, 270), (nil, 7, 330), (nil, Double.nan, 300), (nil, Double.infinity, 300),
    ] as [(Int64?, Double, Double)])
    func refresh(maxAge: Int64?, random: Double, due: Double) {
        var schedule = KeySetSchedule(startingAt: Self.at(0))
        _ = schedule.timePassed(at: Self.at(0))
        let next = schedule.fetched(at: Self.at(10), maxAge: maxAge, random: random)
        #expect(abs(Self.at(10 + due).duration(to: next) / .milliseconds(1)) < 1)
        let early = schedule.timePassed(at: Self.at(10 + due - 0.1))
        let onTime = schedule.timePassed(at: Self.at(10 + due + 0.1))
        #expect(early == .wait(until: next))
        #expect(onTime == .fetch)
    }

    @Test("Failures back off 1, 2, 4 … 60 s, at least half of it, and success starts over", arguments: [
        (0.0, [0.5, 1, 2, 4, 8, 16, 30, 30, 30]), (1.0, [1.0, 2, 4, 8, 16, 32, 60, 60, 60]), (0.5, [0.75, 1.5, 3, 6, 12, 24, 45, 45]),
    ])
    func backoff(random: Double, delays: [Double]) {
        var schedule = KeySetSchedule(startingAt: Self.at(0))
        var now = Self.at(0)
        for _ in 0..<2 {
            for (index, delay) in delays.enumerated() {
                let action = schedule.timePassed(at: now)
                #expect(action == .fetch)
                let failure = schedule.failed(at: now, random: random)
                #expect(failure.count == index + 1)
                #expect(failure.warns == (index == 2))
                #expect(abs(now.duration(to: failure.retryAt) / .seconds(1) - delay) < 0.001)
                let early = schedule.timePassed(at: failure.retryAt.advanced(by: .milliseconds(-1)))
                #expect(early == .wait(until: failure.retryAt))
                now = failure.retryAt
            }
            _ = schedule.timePassed(at: now)
            now = schedule.fetched(at: now, maxAge: nil, random: 0.5)
            #expect(schedule.failures == 0)
        }
    }

    @Test("An unknown kid forces one fetch in ten seconds, joins one under way, and is throttled between")
    func forced() {
        var schedule = Self.served()
        let first = schedule.refetchWanted(at: Self.at(20))
        let second = schedule.refetchWanted(at: Self.at(20.5))
        #expect(first == .fetch)
        #expect(second == .joinFetch)
        _ = schedule.fetched(at: Self.at(21), maxAge: nil, random: 0.5)
        let third = schedule.refetchWanted(at: Self.at(21.1))
        let fourth = schedule.refetchWanted(at: Self.at(29.9))
        let fifth = schedule.refetchWanted(at: Self.at(30))
        #expect(third == .throttled(until: Self.at(30)))
        #expect(fourth == .throttled(until: Self.at(30)))
        #expect(fifth == .fetch)
    }

    @Test("A forced fetch that failed is throttled all the same: no second fetch behind it")
    func forcedFailure() {
        var schedule = Self.served()
        _ = schedule.refetchWanted(at: Self.at(20))
        let failure = schedule.failed(at: Self.at(20.2), random: 1)
        #expect(failure.count == 1)
        let wanted = schedule.refetchWanted(at: Self.at(20.3))
        #expect(wanted == .throttled(until: Self.at(30)))
        #expect(schedule.hasKeys(at: Self.at(20.3)))
        // The background retry goes on by its own time.
        let retry = schedule.timePassed(at: Self.at(21.3))
        #expect(retry == .fetch)
        let joined = schedule.refetchWanted(at: Self.at(21.4))
        #expect(joined == .joinFetch)
    }

    @Test("A flood of unknown kids makes at most one fetch in ten seconds")
    func flood() {
        var schedule = Self.served()
        var fetches = 0
        for step in 0..<100_000 {   // 100 s, a thousand a second
            let now = Self.at(1 + Double(step) / 1000)
            if schedule.refetchWanted(at: now) == .fetch {
                fetches += 1
                _ = schedule.fetched(at: now, maxAge: nil, random: 0.5)
            }
        }
        #expect(fetches == 10)
    }

    @Test("The last good set serves for 24 h of failures and is then discarded once")
    func stale() {
        var schedule = Self.served()
        var now = Self.at(0)
        var discarded: [Double] = []
        while now < Self.at(90_000) {
            switch schedule.timePassed(at: now) {
            case .fetch:
                #expect(schedule.hasKeys(at: now) == (now < Self.at(86_400)))
                _ = schedule.failed(at: now, random: 1)
            case .discardKeys: discarded.append(Self.at(0).duration(to: now) / .seconds(1))
            case .wait(until: let next?): now = next
            case .wait(until: nil):
                Issue.record("waits for ever")
                return
            }
        }
        #expect(discarded == [86_400])
        #expect(!schedule.hasKeys(at: now))
        let wanted = schedule.refetchWanted(at: now)
        _ = schedule.fetched(at: now, maxAge: nil, random: 0.5)
        #expect(wanted == .fetch)
        #expect(schedule.hasKeys(at: now))
        #expect(schedule.keysAge(at: now.advanced(by: .seconds(5))) == .seconds(5))
    }

    @Test("A set is discarded on time even while a fetch hangs")
    func discardedWhileFetching() {
        var schedule = Self.served()
        let begun = schedule.timePassed(at: Self.at(400))
        let waits = schedule.timePassed(at: Self.at(401))
        let discards = schedule.timePassed(at: Self.at(86_400))
        let after = schedule.timePassed(at: Self.at(86_401))
        #expect(begun == .fetch)
        #expect(waits == .wait(until: Self.at(86_400)))
        #expect(discards == .discardKeys)
        #expect(after == .wait(until: nil))
    }

    @Test("A set from disk serves for the rest of its 24 h", arguments: [
        (0.0, KeySetSchedule.RestoredAction.useKeys), (3600, .useKeys), (86_399, .useKeys), (86_400, .tooOld), (1e9, .tooOld), (-1, .tooOld),
    ])
    func restored(age: Double, expected: KeySetSchedule.RestoredAction) {
        var schedule = KeySetSchedule(startingAt: Self.at(0))
        let action = schedule.restored(age: .seconds(age), at: Self.at(0))
        #expect(action == expected)
        #expect(schedule.hasKeys(at: Self.at(0)) == (expected == .useKeys))
        #expect(!schedule.hasKeys(at: Self.at(86_400 - max(age, 0))))
        let fetch = schedule.timePassed(at: Self.at(0))
        #expect(fetch == .fetch)
    }

    @Test("A set from disk does not make a fetched one older")
    func restoredLate() {
        var schedule = Self.served()
        _ = schedule.restored(age: .seconds(80_000), at: Self.at(1))
        #expect(schedule.keysAge(at: Self.at(1)) == .seconds(1))
    }

    @Test("A year with a provider that fails one time in three: never more than one fetch at a time, keys all year")
    func year() {
        var schedule = KeySetSchedule(startingAt: Self.at(0))
        var now = Self.at(0)
        let end = Self.at(365 * 86_400)
        var state: UInt64 = 42
        func random() -> Double {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Double(state >> 11) / Double(1 << 53)
        }
        var fetches = 0
        var hadKeys = false
        while now < end {
            switch schedule.timePassed(at: now) {
            case .fetch:
                fetches += 1
                let meanwhile = schedule.timePassed(at: now), joined = schedule.refetchWanted(at: now)
                #expect(meanwhile != .fetch && joined == .joinFetch)
                now = now.advanced(by: .milliseconds(Int(random() * 2000)))
                if random() < 1 / 3 { _ = schedule.failed(at: now, random: random()) } else {
                    _ = schedule.fetched(at: now, maxAge: random() < 0.5 ? nil : Int64(random() * 5000), random: random())
                    hadKeys = true
                }
            case .discardKeys: Issue.record("discarded")
            case .wait(until: let next?):
                #expect(next > now)
                now = next
            case .wait(until: nil):
                Issue.record("waits for ever")
                return
            }
            if hadKeys { #expect(schedule.hasKeys(at: now)) }
        }
        #expect(fetches > 10_000)
    }

    @Test("An answer that nobody waits for any more is still a good set")
    func lateAnswer() {
        var schedule = Self.served()
        _ = schedule.failed(at: Self.at(1), random: 0.5)
        _ = schedule.fetched(at: Self.at(2), maxAge: nil, random: 0.5)
        #expect(schedule.failures == 0)
        let next = schedule.timePassed(at: Self.at(3))
        #expect(next == .wait(until: Self.at(302)))
    }
}

@Suite struct UnknownKeyCacheTests {
    @Test("A kid is known to be unknown for ten seconds, for its issuer alone")
    func lifetime() {
        var cache = UnknownKeyCache()
        cache.record(issuer: "a", keyID: "k", now: Fixture.now)
        #expect(cache.isKnownToBeUnknown(issuer: "a", keyID: "k", now: Fixture.now))
        #expect(cache.isKnownToBeUnknown(issuer: "a", keyID: "k", now: Fixture.now.advanced(by: 9)))
        #expect(!cache.isKnownToBeUnknown(issuer: "a", keyID: "k", now: Fixture.now.advanced(by: 10)))
        #expect(!cache.isKnownToBeUnknown(issuer: "b", keyID: "k", now: Fixture.now))
        #expect(!cache.isKnownToBeUnknown(issuer: "a", keyID: "K", now: Fixture.now))
        cache.record(issuer: "a", keyID: "k", now: Fixture.now.advanced(by: 20))
        #expect(cache.isKnownToBeUnknown(issuer: "a", keyID: "k", now: Fixture.now.advanced(by: 29)))
    }

    @Test("A clock that is set back does not prolong an entry")
    func clockSetBack() {
        var cache = UnknownKeyCache()
        cache.record(issuer: "a", keyID: "k", now: Fixture.now)
        #expect(!cache.isKnownToBeUnknown(issuer: "a", keyID: "k", now: Fixture.now.advanced(by: -3600)))
    }

    @Test("It holds 1,024 kids, and the oldest goes first")
    func limit() {
        var cache = UnknownKeyCache()
        for index in 0..<5000 { cache.record(issuer: "a", keyID: "k\(index)", now: Fixture.now) }
        #expect(cache.count == UnknownKeyCache.entriesMax)
        #expect(cache.isKnownToBeUnknown(issuer: "a", keyID: "k4999", now: Fixture.now))
        #expect(cache.isKnownToBeUnknown(issuer: "a", keyID: "k\(5000 - 1024)", now: Fixture.now))
        #expect(!cache.isKnownToBeUnknown(issuer: "a", keyID: "k\(5000 - 1025)", now: Fixture.now))
    }
}
