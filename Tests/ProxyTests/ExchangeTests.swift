import Proxy
import Testing

@Suite("Exchange")
struct ExchangeTests {
    private func forwarding(hasBody: Bool = false, isIdempotent: Bool = true) -> Exchange {
        var exchange = Exchange()
        exchange.begin(hasBody: hasBody, isIdempotent: isIdempotent)
        exchange.admitted()
        exchange.connectionReady()
        return exchange
    }

    @Test("A request without a body is forwarded, answered, and its upstream connection is used again")
    func plain() {
        var exchange = forwarding()
        #expect(exchange.request == .complete)
        let head = exchange.responseHeadArrived(switchesProtocols: false)
        #expect(head == .forward)
        let end = exchange.responseEnded()
        #expect(end == .reuseUpstream)
        #expect(exchange.isOver)
        #expect(exchange.attempts == 1)
    }

    @Test("Body bytes are held until a connection is there, forwarded while it is, and discarded after an early answer")
    func body() {
        var exchange = Exchange()
        exchange.begin(hasBody: true, isIdempotent: false)
        #expect(exchange.bodyArrived() == .hold)
        exchange.providerIsAsked()
        #expect(exchange.bodyArrived() == .hold)
        exchange.admitted()
        #expect(exchange.bodyArrived() == .hold)
        exchange.connectionReady()
        #expect(exchange.bodyArrived() == .forward)
        let tells = exchange.requestEnded()
        #expect(tells)
        var refused = Exchange()
        refused.begin(hasBody: true, isIdempotent: false)
        let answers = refused.answered()
        #expect(answers)
        #expect(refused.bodyArrived() == .discard)
        let tellsNobody = refused.requestEnded()
        #expect(!tellsNobody)
    }

    @Test("A response that ends before its request has come whole costs the upstream's connection")
    func earlyResponse() {
        var exchange = forwarding(hasBody: true, isIdempotent: false)
        _ = exchange.responseHeadArrived(switchesProtocols: false)
        let end = exchange.responseEnded()
        #expect(end == .closeUpstream)
    }

    @Test("Only a bodyless idempotent request on a reused connection is sent again after it was sent", arguments: [
        (false, true, true, Exchange.FailureAction.retry), (false, true, false, .answer), (false, false, true, .answer),
        (true, true, true, .answer), (true, false, true, .answer), (true, false, false, .answer),
    ])
    func retries(hasBody: Bool, isIdempotent: Bool, wasReused: Bool, expected: Exchange.FailureAction) {
        var exchange = forwarding(hasBody: hasBody, isIdempotent: isIdempotent)
        let action = exchange.upstreamFailed(wasReused: wasReused)
        #expect(action == expected)
    }

    @Test("Retries end after three tries in all")
    func retriesEnd() {
        var exchange = forwarding()
        for _ in 1..<Exchange.attemptsMax {
            let action = exchange.upstreamFailed(wasReused: true)
            #expect(action == .retry)
            exchange.connectionReady()
        }
        let action = exchange.upstreamFailed(wasReused: true)
        #expect(action == .answer)
        #expect(exchange.attempts == Exchange.attemptsMax)
    }

    @Test("A dial that fails is tried elsewhere for every method, as long as there is an elsewhere", arguments: [true, false])
    func dialFailures(isIdempotent: Bool) {
        var exchange = Exchange()
        exchange.begin(hasBody: true, isIdempotent: isIdempotent)
        exchange.admitted()
        let first = exchange.connectionFailed(canHelp: true)
        let second = exchange.connectionFailed(canHelp: true)
        let third = exchange.connectionFailed(canHelp: true)
        #expect([first, second, third] == [.retry, .retry, .answer])
        var alone = Exchange()
        alone.begin(hasBody: false, isIdempotent: isIdempotent)
        alone.admitted()
        let only = alone.connectionFailed(canHelp: false)
        #expect(only == .answer)
    }

    @Test("After the response's head a failure or a deadline cuts the connection, and never answers")
    func afterHead() {
        var failed = forwarding()
        _ = failed.responseHeadArrived(switchesProtocols: false)
        let failure = failed.upstreamFailed(wasReused: true)
        #expect(failure == .abort)
        var late = forwarding()
        _ = late.responseHeadArrived(switchesProtocols: false)
        let deadline = late.deadlinePassed()
        #expect(deadline == .abort)
        let mayAnswer = late.answered()
        #expect(!mayAnswer)
    }

    @Test("A deadline before the head is answered, in every state that waits")
    func deadlines() {
        var provider = Exchange()
        provider.begin(hasBody: false, isIdempotent: true)
        provider.providerIsAsked()
        let first = provider.deadlinePassed()
        var queued = Exchange()
        queued.begin(hasBody: false, isIdempotent: true)
        queued.admitted()
        let second = queued.deadlinePassed()
        var waiting = forwarding()
        let third = waiting.deadlinePassed()
        #expect([first, second, third] == [.answer, .answer, .answer])
    }

    @Test("A client that leaves takes with it whatever was under way", arguments: 0..<6)
    func clientLeaves(state: Int) {
        var exchange = Exchange()
        exchange.begin(hasBody: false, isIdempotent: true)
        let expected: Exchange.LeaveAction
        switch state {
        case 0: expected = .none
        case 1:
            exchange.providerIsAsked()
            expected = .cancelProvider
        case 2:
            exchange.admitted()
            expected = .leaveQueue
        case 3:
            exchange = forwarding()
            expected = .cancelUpstream
        case 4:
            exchange = forwarding()
            _ = exchange.responseHeadArrived(switchesProtocols: true)
            expected = .cancelUpstream
        default:
            _ = exchange.answered()
            expected = .none
        }
        let action = exchange.clientLeft()
        #expect(action == expected)
        #expect(exchange.state == .finished)
    }

    @Test("Nothing is tunnelled before 101, and after it a failure only cuts")
    func tunnel() {
        var exchange = forwarding()
        #expect(exchange.state == .forwarding)
        let action = exchange.responseHeadArrived(switchesProtocols: true)
        #expect(action == .tunnel)
        #expect(exchange.state == .tunnelling)
        let failure = exchange.upstreamFailed(wasReused: false)
        #expect(failure == .abort)
    }

    @Test("A second response head for one request is ignored")
    func secondHead() {
        var exchange = forwarding()
        _ = exchange.responseHeadArrived(switchesProtocols: false)
        let action = exchange.responseHeadArrived(switchesProtocols: false)
        #expect(action == .ignore)
    }

    @Test("Whatever happens in whatever order, an answer is given at most once and nothing is retried after a head")
    func anyOrder() {
        var random = SplitMix(state: 7)
        for _ in 0..<20_000 {
            var exchange = Exchange()
            exchange.begin(hasBody: random.next() & 1 == 0, isIdempotent: random.next() & 1 == 0)
            var answers = 0
            var hasHead = false
            for _ in 0..<12 {
                switch random.next() % 9 {
                case 0: exchange.state == .idle ? exchange.admitted() : ()
                case 1: exchange.state == .awaitingConnection ? exchange.connectionReady() : ()
                case 2: if exchange.responseHeadArrived(switchesProtocols: false) == .forward { hasHead = true }
                case 3: if exchange.upstreamFailed(wasReused: true) == .retry { #expect(!hasHead) }
                case 4: _ = exchange.requestEnded()
                case 5: if exchange.deadlinePassed() == .answer { #expect(!hasHead) }
                case 6: if exchange.answered() {
                    answers += 1
                    exchange.answerWritten()
                }
                case 7: _ = exchange.connectionFailed(canHelp: true)
                default: if exchange.response == .headSent { _ = exchange.responseEnded() }
                }
                #expect(exchange.attempts <= Exchange.attemptsMax)
            }
            #expect(answers <= 1)
            #expect(!(answers == 1 && hasHead))
        }
    }

    // MARK: A renewal beside the request

    private func renewing(hasBody: Bool = false) -> Exchange {
        var exchange = Exchange()
        exchange.begin(hasBody: hasBody, isIdempotent: true)
        exchange.renewalIsAsked()
        exchange.admitted()
        exchange.connectionReady()
        return exchange
    }

    @Test("A request goes to its upstream while its login is renewed, and the head that comes first waits", arguments: [false, true])
    func headWaits(switches: Bool) {
        var exchange = renewing()
        #expect(exchange.state == .forwarding)
        let early = exchange.responseHeadArrived(switchesProtocols: switches)
        #expect(early == .hold)
        #expect(exchange.state == .holding && exchange.response == .none && exchange.bodyArrived() == .hold)
        let release = exchange.renewalEnded()
        #expect(release == .releaseHead)
        let again = exchange.responseHeadArrived(switchesProtocols: switches)
        #expect(again == (switches ? .tunnel : .forward))
        let twice = exchange.renewalEnded()
        #expect(twice == .none)
    }

    @Test("A renewal that is answered before the head holds nothing")
    func renewalFirst() {
        var exchange = renewing()
        let release = exchange.renewalEnded()
        #expect(release == .none)
        let head = exchange.responseHeadArrived(switchesProtocols: false)
        #expect(head == .forward)
    }

    @Test("An answer of the gateway's own waits too, and leaves once")
    func answerWaits() {
        var exchange = Exchange()
        exchange.begin(hasBody: false, isIdempotent: true)
        exchange.renewalIsAsked()
        let early = exchange.answerMayLeave()
        #expect(!early)
        let release = exchange.renewalEnded()
        #expect(release == .releaseAnswer)
        let may = exchange.answerMayLeave()
        #expect(may)
        let answers = exchange.answered()
        #expect(answers)
        exchange.answerWritten()
        #expect(exchange.isOver)
    }

    @Test("An upstream that fails while its head waits is answered for, and the answer waits in its place; the request is not sent again")
    func failureWhileHolding() {
        var exchange = renewing()
        _ = exchange.responseHeadArrived(switchesProtocols: false)
        let action = exchange.upstreamFailed(wasReused: true)
        #expect(action == .answer)
        let may = exchange.answerMayLeave()
        #expect(!may)
        let release = exchange.renewalEnded()
        #expect(release == .releaseAnswer)
    }

    @Test("A request that is sent again while its login is renewed waits with the second head")
    func retryWhileRenewing() {
        var exchange = renewing()
        let action = exchange.upstreamFailed(wasReused: true)
        #expect(action == .retry)
        exchange.connectionReady()
        let head = exchange.responseHeadArrived(switchesProtocols: false)
        #expect(head == .hold)
    }

    @Test("A client that leaves while a head waits costs the upstream's connection, and the renewal then releases nothing")
    func leaveWhileHolding() {
        var exchange = renewing()
        _ = exchange.responseHeadArrived(switchesProtocols: false)
        let action = exchange.clientLeft()
        #expect(action == .cancelUpstream)
        let release = exchange.renewalEnded()
        #expect(release == .none)
        var own = Exchange()
        own.begin(hasBody: false, isIdempotent: true)
        own.renewalIsAsked()
        _ = own.answerMayLeave()
        let nothing = own.clientLeft()
        #expect(nothing == .none)
    }

    @Test("No other deadline ends a wait for a renewal")
    func deadlineWhileHolding() {
        var exchange = renewing(hasBody: true)
        _ = exchange.responseHeadArrived(switchesProtocols: false)
        let action = exchange.deadlinePassed()
        #expect(action == .none)
    }

    @Test("A later exchange knows nothing of an earlier one's renewal")
    func renewalEndsWithExchange() {
        var exchange = renewing()
        exchange.begin(hasBody: false, isIdempotent: true)
        #expect(!exchange.isRenewing)
    }
}

/// Small and seeded, so that a failure can be replayed.
struct SplitMix {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
        return value ^ (value >> 31)
    }
}
