/// One question a refresh token, however many requests ask (D9): the first starts it, those that come while it runs wait, those that
/// come within a minute with the old cookie get its answer. A pure machine; the fetch side owns one and locks it.
///
/// After a question that the provider did not answer, the next is put only when some seconds have passed, so that an outage is not met by
/// a question with every request; until then the failure is the answer.
package struct RefreshResults<Waiter: Sendable>: Sendable {
    /// SHA-256 of the refresh token.
    package typealias Key = [UInt8]
    package typealias Answer = Result<TokenAnswer, TokenEndpointFault>

    private enum State: Sendable {
        case asked([Waiter])
        case answered(Answer, until: ContinuousClock.Instant)
    }

    package enum Step {
        /// Put the question, then tell `answered`, which gives this waiter back with those that came later.
        case ask
        /// The question is under way: the waiter will be given back by `answered`.
        case wait
        case answer(Answer)
    }

    /// Answers and questions held, at most; the oldest answers go first.
    package static var entriesMax: Int { 10_000 }
    package static var handOff: Duration { .seconds(60) }
    /// From the failure of a question to the next one; the caller's random number spreads it.
    package static var backoff: Duration { .seconds(3) }

    private var states: [Key: State] = [:]
    /// Answers in the order in which they came, which is the order in which they end, but for failures.
    private var order: [Key] = []

    package init() {}

    package var count: Int { states.count }

    package mutating func requested(_ key: Key, by waiter: Waiter, now: ContinuousClock.Instant) -> Step {
        switch states[key] {
        case .asked(let waiters)?:
            states[key] = .asked(waiters + [waiter])
            return .wait
        case .answered(let answer, let until)? where now < until:
            return .answer(answer)
        case .answered?, nil:
            states[key] = .asked([waiter])
            return .ask
        }
    }

    /// - Parameter jitter: 0 to 1.
    /// - Returns: who waits for the answer.
    package mutating func answered(_ key: Key, _ answer: Answer, now: ContinuousClock.Instant, jitter: Double) -> [Waiter] {
        guard case .asked(let waiters)? = states[key] else { return [] }
        let lifetime: Duration = switch answer {
        case .success(let tokens): Self.handOff(of: tokens)
        case .failure(.grantRefused): Self.handOff
        case .failure: Self.backoff * (1 + min(max(jitter, 0), 1))
        }
        states[key] = .answered(answer, until: now + lifetime)
        order.append(key)
        prune(now)
        return waiters
    }

    /// Tokens that end within the hand-off must be renewed within it: where the refresh token stays, it can be asked for anew. Where it was
    /// rotated, the question would end the login.
    private static func handOff(of tokens: TokenAnswer) -> Duration {
        guard tokens.refreshToken == nil, let life = tokens.expiresIn else { return handOff }
        return min(handOff, .seconds(life) * 4 / 5)
    }

    private mutating func prune(_ now: ContinuousClock.Instant) {
        var removable = 0
        while removable < order.count {
            let key = order[removable]
            if case .answered(_, let until)? = states[key] {
                guard until <= now || states.count > Self.entriesMax else { break }
                states[key] = nil
            }
            removable += 1
        }
        // A failure in front of longer-lived answers only holds back what is behind it until its own few seconds are over.
        order.removeFirst(removable)
    }
}
