import Authentication
import GatewayTerms
import Testing

@testable import Proxy

@Suite("Counting on a loop")
struct CountingTests {
    @Test("Every series keeps its own count, whatever the order, and merging adds them up")
    func counts() {
        var generator = SystemRandomNumberGenerator()
        var counts = SeriesCounts(), expected: [UInt64: UInt64] = [:]
        for _ in 0..<20_000 {
            let key = UInt64.random(in: 1...3000, using: &generator) << 40 | 1
            counts.add(key)
            expected[key, default: 0] += 1
        }
        counts.add(counts)
        var seen: [UInt64: UInt64] = [:]
        counts.forEach { seen[$0] = $1 }
        #expect(seen == expected.mapValues { $0 * 2 })
        #expect(counts.seriesCount == expected.count && counts.others == 0)
    }

    @Test("What comes after the last series that has room is counted together")
    func bounded() {
        var counts = SeriesCounts()
        for key in 1...UInt64(SeriesCounts.seriesMax + 10) { counts.add(key) }
        counts.add(1)
        #expect(counts.seriesCount == SeriesCounts.seriesMax)
        #expect(counts.others == 10)
        #expect(counts[1] == 2)
    }

    @Test("A series is the same after it has been a number", arguments: [
        RequestSeries(listener: 0, route: 0, method: nil, codeClass: .none, flag: nil),
        RequestSeries(listener: 63, route: 16_383, method: .trace, codeClass: .serverError, flag: 19),
        RequestSeries(listener: 1, route: 2, method: .get, codeClass: .informational, flag: 0),
    ])
    func requestSeries(series: RequestSeries) {
        #expect(series.key != 0)
        #expect(RequestSeries(series.key) == series)
    }

    @Test("A decision is the same after it has been a number")
    func decisionSeries() {
        for method in AuthenticationSeries.Method.allCases {
            for result in AuthenticationSeries.Result.allCases {
                let series = AuthenticationSeries(issuer: 16_383, method: method, result: result, reason: AuthenticationSeries.reasons.count - 1)
                #expect(AuthenticationSeries(series.key) == series)
            }
        }
        #expect(AuthenticationSeries.reason("token_expired") > 0)
        #expect(AuthenticationSeries.reason("a word that nobody knows") == AuthenticationSeries.reasons.count - 1)
        #expect(AuthenticationSeries.reason(nil) == 0)
    }

    @Test("Each code of a refusal is a word of the label", arguments: [
        BearerRefusal.missing, .tooLarge(bytesMax: 1), .malformed(.notThreeParts), .wrongAlgorithm, .issuerUnknown, .issuerOfAnotherStage(stage: "a"), .unknownKey(keyID: "k"),
        .badSignature, .expired(secondsAgo: 1), .notYetValid(secondsAhead: 1), .issuedInTheFuture(secondsAhead: 1), .wrongTokenUse(.id), .clientNotAllowed(client: "c"),
        .audienceNotAllowed, .revoked(.subject), .scopeMissing(["s"], policy: "p"), .groupMissing(["g"], policy: "p"), .ruleDenied(rule: "r", policy: "p"), .undecidable(.noKeySet),
    ])
    func reasons(refusal: BearerRefusal) {
        #expect(AuthenticationSeries.reasons.dropLast().contains(refusal.code))
    }

    @Test("A pair of names has the same number for ever, and the table of names has an end")
    func names() {
        let names = SeriesNames()
        let first = names.number("alpha", "/api")
        #expect(names.number("alpha", "/api") == first)
        #expect(names.number("beta", "/api") != first)
        for index in 0..<SeriesNames.countMax { _ = names.number("alpha", "/\(index)") }
        #expect(names.number("alpha", "/one-more") == SeriesNames.other)
        #expect(names.number("alpha", "/api") == first)
        #expect(names.all.count == SeriesNames.countMax)
    }

    @Test("A share of durations lies where they lie", arguments: [(0.5, 0.0005), (0.99, 0.00099), (1.0, 0.001)])
    func quantile(share: Double, seconds: Double) throws {
        var duration = DurationHistogram()
        for _ in 0..<1000 { duration.record(700_000) }
        #expect(abs(try #require(duration.quantile(share)) - seconds) < 1e-9)
        #expect(DurationHistogram().quantile(share) == nil)
    }

    @Test("Bounds belong to their bucket, and what is longer than all of them to the last", arguments: [
        (0, 0), (1_000_000, 0), (1_000_001, 1), (5_000_000, 2), (5_000_001, 3), (60_000_000_000, 14), (60_000_000_001, 15), (-1, 0),
    ] as [(Int64, Int)])
    func buckets(nanoseconds: Int64, bucket: Int) {
        var duration = DurationHistogram()
        duration.record(nanoseconds)
        #expect(duration.cumulative.firstIndex(of: 1) == bucket)
    }

    @Test("What was counted between two readings is their difference")
    func difference() {
        var duration = DurationHistogram()
        duration.record(2_000_000)
        let before = duration
        duration.record(3_000_000)
        let between = duration - before
        #expect(between.count == 1 && between.nanoseconds == 3_000_000)
    }

    @Test("A status has its class", arguments: [(nil, .none), (101, .informational), (200, .success), (308, .redirection), (499, .clientError), (503, .serverError), (0, .none)] as [(Int?, CodeClass)])
    func codeClass(status: Int?, expected: CodeClass) { #expect(CodeClass(status) == expected) }
}
