import Authentication
import GatewayTerms
import Testing

/// A provider that rotates refresh tokens: each use gives a new one, and a used one is good for another minute (Cognito's
/// RetryGracePeriodSeconds: 60).
private struct RotatingProvider {
    private var retiresAt: [String: Int64?] = ["refresh-1": nil]
    private var issued = 1
    private(set) var refusals = 0
    private(set) var uses = 0

    mutating func refresh(_ token: String, at milliseconds: Int64) -> String? {
        uses += 1
        guard let end = retiresAt[token], end.map({ milliseconds < $0 }) ?? true else {
            refusals += 1
            return nil
        }
        if end == nil { retiresAt[token] = .some(milliseconds + 60_000) }
        issued += 1
        retiresAt["refresh-\(issued)"] = .some(nil)
        return "refresh-\(issued)"
    }
}

/// Three gateways behind one balancer, one browser, answers in any order: what happens when is drawn from a seed.
private final class Simulation {
    enum Event {
        case send
        case arrive(replica: Int, LoginCookies)
        case providerAnswers(replica: Int, key: [UInt8], token: String)
        case answerArrives([String])
    }

    let replicas: [LoginBench]
    private var results: [RefreshResults<PendingRefresh>]
    private var provider = RotatingProvider()
    private var browser = Browser()
    private let random: SeededBytes
    private var queue: [(at: Int64, order: Int, event: Event)] = []
    private var order = 0
    private var clock: Int64 = Fixture.now.milliseconds
    private let base = ContinuousClock.now
    private(set) var served = 0, unavailable = 0, lost: [String] = []
    var refreshes: Int { provider.uses }
    var refusals: Int { provider.refusals }
    /// The provider is away in these times.
    var outages: [Range<Int64>] = []

    init(seed: UInt64) throws {
        random = SeededBytes(seed)
        let rules = LoginBench.rules(lifetimes: LoginLifetimes(lifetimeSeconds: 86_400, idleSeconds: 400))
        replicas = try (0..<3).map { try LoginBench(rules, seed: seed &* 3 &+ UInt64($0)) }
        results = (0..<3).map { _ in RefreshResults() }
        var tokens = LoginBench.Tokens()
        tokens.lifetime = 300
        replicas[0].login(&browser, tokens)
    }

    func run(seconds: Int64) {
        let end = clock + seconds * 1000
        schedule(.send, after: 0)
        while let index = queue.indices.min(by: { (queue[$0].at, queue[$0].order) < (queue[$1].at, queue[$1].order) }) {
            let entry = queue.remove(at: index)
            guard entry.at < end else { return }
            clock = entry.at
            for replica in replicas { replica.now = WallTime(milliseconds: clock) }
            happen(entry.event)
        }
    }

    private func schedule(_ event: Event, after milliseconds: Int) {
        order += 1
        queue.append((clock + Int64(milliseconds), order, event))
    }

    private func happen(_ event: Event) {
        switch event {
        case .send:
            // A page and what it fetches, each by any gateway, all with the cookies of this moment.
            let cookies = browser.sent(at: WallTime(milliseconds: clock))
            for _ in 0...random.below(8) { schedule(.arrive(replica: random.below(3), cookies), after: random.below(5000)) }
            schedule(.send, after: 500 + random.below(25_000))
        case .arrive(let replica, let cookies):
            switch replicas[replica].flow.decide(cookies, route: Fixture.open) {
            case .allowed(let grant):
                served += 1
                if let pending = grant.refreshAhead { ask(replica, pending) } else { answer(grant.update) }
            case .refreshFirst(let pending): ask(replica, pending)
            case .none(let absence): lost.append("\(absence.code) at \(clock)")
            case .refused, .providerUnavailable: lost.append("refused at \(clock)")
            }
        case .providerAnswers(let replica, let key, let token):
            let bench = replicas[replica]
            let result: Result<TokenAnswer, TokenEndpointFault>
            if outages.contains(where: { $0.contains((clock - Fixture.now.milliseconds) / 1000) }) {
                result = .failure(.unavailable(reason: "away"))
            } else if let next = provider.refresh(token, at: clock) {
                var tokens = LoginBench.Tokens()
                tokens.lifetime = 300
                tokens.refreshToken = next
                result = .success(bench.tokens(nonce: nil, tokens))
            } else {
                result = .failure(.grantRefused)
            }
            for pending in results[replica].answered(key, result, now: instant, jitter: 0.5) { finish(replica, pending, result) }
        case .answerArrives(let lines):
            browser.take(lines, at: WallTime(milliseconds: clock))
        }
    }

    private var instant: ContinuousClock.Instant { base + .milliseconds(clock - Fixture.now.milliseconds) }

    private func ask(_ replica: Int, _ pending: PendingRefresh) {
        let token = pending.grant.token.withBytes { String(copying: $0) }
        let key = LoginDigest.sha256(Array(token.utf8).span)
        switch results[replica].requested(key, by: pending, now: instant) {
        case .ask: schedule(.providerAnswers(replica: replica, key: key, token: token), after: 50 + random.below(2500))
        case .wait: break
        case .answer(let result): finish(replica, pending, result)
        }
    }

    private func finish(_ replica: Int, _ pending: PendingRefresh, _ result: Result<TokenAnswer, TokenEndpointFault>) {
        switch replicas[replica].flow.refreshed(pending, result, route: Fixture.open) {
        case .renewed(let grant):
            served += 1
            answer(grant.update)
        case .unavailable: unavailable += 1
        case .ended: lost.append("ended at \(clock)")
        case .refused, .needsKeys: lost.append("not verified at \(clock)")
        }
    }

    /// The head leaves a little later, and travels up to twenty seconds.
    private func answer(_ update: CookieUpdate?) {
        let leavesAfter = random.below(8000)
        let lines = update?.lines(at: WallTime(milliseconds: clock + Int64(leavesAfter))) ?? []
        schedule(.answerArrives(lines), after: leavesAfter + random.below(20_000))
    }
}

@Suite("Three gateways and a provider that rotates refresh tokens")
struct LoginSimulationTests {
    @Test("Nobody is logged out, in whatever order requests and answers come", arguments: 1...6 as ClosedRange<UInt64>)
    func nobodyIsLoggedOut(seed: UInt64) throws {
        let simulation = try Simulation(seed: seed)
        simulation.run(seconds: 6000)
        #expect(simulation.lost == [])
        #expect(simulation.unavailable == 0 && simulation.refusals == 0)
        #expect(simulation.served > 1500 && simulation.refreshes >= 20 && simulation.refreshes < 200)
    }

    @Test("A provider that is away for minutes logs nobody out either", arguments: 11...13 as ClosedRange<UInt64>)
    func outage(seed: UInt64) throws {
        let simulation = try Simulation(seed: seed)
        simulation.outages = [200..<320, 1000..<1350, 2000..<2040]
        simulation.run(seconds: 4000)
        #expect(simulation.lost == [])
        #expect(simulation.unavailable > 0 && simulation.served > 500)
    }
}

@Suite("One question a refresh token")
struct LoginRefreshResultsTests {
    private let start = ContinuousClock.now
    private let answer = RefreshResults<Int>.Answer.success(TokenAnswer(accessToken: Secret("a"), idToken: nil, refreshToken: nil, expiresIn: nil, scope: nil))

    @Test("The first asks, those that come while it runs wait, those that come within a minute get the answer")
    func shared() {
        var results = RefreshResults<Int>()
        guard case .ask = results.requested([1], by: 0, now: start) else { Issue.record("no question"); return }
        for waiter in 1..<50 {
            guard case .wait = results.requested([1], by: waiter, now: start) else { Issue.record("asked twice"); return }
        }
        guard case .ask = results.requested([2], by: 99, now: start) else { Issue.record("another token waits"); return }
        #expect(results.answered([1], answer, now: start, jitter: 0) == Array(0..<50))
        guard case .answer(.success) = results.requested([1], by: 50, now: start + .seconds(59)) else { Issue.record("not handed on"); return }
        guard case .ask = results.requested([1], by: 51, now: start + .seconds(60)) else { Issue.record("handed on for too long"); return }
        #expect(results.answered([7], answer, now: start, jitter: 0) == [])
    }

    @Test("After a failure the next question waits some seconds, after a refusal a minute", arguments: [
        (TokenEndpointFault.unavailable(reason: ""), 0.0, 3.0), (.unavailable(reason: ""), 1.0, 6.0), (.malformed(reason: ""), 0.5, 4.5), (.grantRefused, 0.0, 60.0),
        (.unavailable(reason: ""), -5.0, 3.0), (.unavailable(reason: ""), 99.0, 6.0),
    ])
    func backoff(fault: TokenEndpointFault, jitter: Double, seconds: Double) {
        var results = RefreshResults<Int>()
        _ = results.requested([1], by: 0, now: start)
        _ = results.answered([1], .failure(fault), now: start, jitter: jitter)
        guard case .answer(.failure(fault)) = results.requested([1], by: 1, now: start + .seconds(seconds) - .milliseconds(1)) else { Issue.record("asked early"); return }
        guard case .ask = results.requested([1], by: 1, now: start + .seconds(seconds)) else { Issue.record("asked late"); return }
    }

    @Test("What is held is bounded, by time and by number")
    func bounded() {
        var results = RefreshResults<Int>()
        for index in 0..<20_000 {
            let key = [UInt8(index & 255), UInt8(index >> 8)]
            _ = results.requested(key, by: 0, now: start)
            _ = results.answered(key, answer, now: start, jitter: 0)
        }
        #expect(results.count <= RefreshResults<Int>.entriesMax)
        _ = results.requested([9, 9, 9], by: 0, now: start + .seconds(61))
        _ = results.answered([9, 9, 9], answer, now: start + .seconds(61), jitter: 0)
        #expect(results.count == 1)
    }
}
