import GatewayTerms
import Testing

@Suite struct RateLimitTests {
    static let address = IPAddress("192.0.2.1")!

    static func limit(_ requests: Int, per period: Duration = .seconds(10), places: Int = RateLimit.placesMax, seed: UInt64 = 7) -> RateLimit {
        RateLimit(RateLimit.Allowance(requests: requests, per: period)!, seed: seed, places: places)
    }

    @Test("A burst passes whole, and one more is told when the next will pass", arguments: [(1, 10), (2, 5), (10, 1), (100, 1)])
    func allowsBurst(requests: Int, retryAfter: Int) {
        var limit = Self.limit(requests)
        for _ in 0..<requests { #expect(limit.requestArrived(from: Self.address, at: .seconds(1000)) == .allowed) }
        #expect(limit.requestArrived(from: Self.address, at: .seconds(1000)) == .refused(retryAfterSeconds: retryAfter))
    }

    @Test("What it promises holds: after the seconds it names, one request passes")
    func keepsPromise() {
        var limit = Self.limit(3)
        var now = Duration.seconds(5)
        for _ in 0..<50 {
            switch limit.requestArrived(from: Self.address, at: now) {
            case .allowed: now += .milliseconds(10)
            case .refused(let seconds):
                now += .seconds(seconds)
                #expect(limit.requestArrived(from: Self.address, at: now) == .allowed)
            }
        }
    }

    @Test("Over a long time an eager client gets its allowance and its burst, no more", arguments: [(5, 1), (60, 60), (500, 10)])
    func holdsRate(requests: Int, seconds: Int) {
        var limit = Self.limit(requests, per: .seconds(seconds))
        var allowed = 0
        let steps = 20_000
        for step in 0..<steps where limit.requestArrived(from: Self.address, at: .milliseconds(step * seconds)) == .allowed { allowed += 1 }
        #expect(allowed == requests + requests * (steps - 1) / 1000)
    }

    @Test("A refused request costs nothing")
    func forgivesRefusals() {
        var limit = Self.limit(1)
        _ = limit.requestArrived(from: Self.address, at: .zero)
        for step in 1..<1000 { #expect(limit.requestArrived(from: Self.address, at: .milliseconds(step * 10)) != .allowed) }
        #expect(limit.requestArrived(from: Self.address, at: .seconds(10)) == .allowed)
    }

    @Test("Addresses are counted apart, and an IPv6 client by its /64", arguments: [
        ("192.0.2.1", "192.0.2.2", false), ("192.0.2.1", "192.0.2.1", true), ("2001:db8::1", "2001:db8::2", true), ("2001:db8::1", "2001:db8:0:0:ffff::1", true),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", false), ("::ffff:192.0.2.1", "192.0.2.1", true), ("::1", "0.0.0.1", false), ("::", "0.0.0.0", false),
        ("0:0:c000:201::", "192.0.2.1", false),
    ])
    func separates(first: String, second: String, isOne: Bool) throws {
        var limit = Self.limit(1)
        let first = try #require(IPAddress(first)), second = try #require(IPAddress(second))
        #expect(limit.requestArrived(from: first, at: .seconds(1)) == .allowed)
        #expect((limit.requestArrived(from: second, at: .seconds(1)) == .allowed) != isOne)
    }

    @Test("However many addresses come, each gets an answer, and those who wait keep being counted")
    func isBounded() throws {
        var limit = Self.limit(100, per: .seconds(100), places: 64)
        // One client spends all it has.
        for _ in 0..<100 { _ = limit.requestArrived(from: Self.address, at: .seconds(1)) }
        #expect(limit.requestArrived(from: Self.address, at: .seconds(1)) != .allowed)
        // A crowd of a hundred thousand addresses, one request each, does not make it forgotten: it is the deepest in debt.
        for number in UInt32(0)..<100_000 {
            #expect(limit.requestArrived(from: IPAddress(ipv4: 0x0a00_0000 | number), at: .seconds(1)) == .allowed)
        }
        #expect(limit.requestArrived(from: Self.address, at: .seconds(1)) != .allowed)
    }

    @Test("A table of the smallest size still counts", arguments: [-1, 0, 1, 8, 9, 1_000_000])
    func roundsPlaces(places: Int) {
        var limit = Self.limit(1, places: places)
        #expect(limit.requestArrived(from: Self.address, at: .zero) == .allowed)
        #expect(limit.requestArrived(from: Self.address, at: .zero) != .allowed)
    }

    @Test("Clocks at their ends trap nothing", arguments: [Duration.zero, .seconds(-5), .seconds(Int64.max), .nanoseconds(1)])
    func survivesClocks(now: Duration) {
        var limit = Self.limit(1_000_000, per: .seconds(86_400))
        #expect(limit.requestArrived(from: Self.address, at: now) == .allowed)
    }

    @Test("Allowances without sense are refused", arguments: [
        (0, Duration.seconds(1)), (-1, .seconds(1)), (1_000_001, .seconds(1)), (1, .zero), (1, .seconds(-1)), (1, .seconds(86_401)), (1, .microseconds(999)),
    ])
    func refusesAllowances(requests: Int, period: Duration) {
        #expect(RateLimit.Allowance(requests: requests, per: period) == nil)
    }
}
