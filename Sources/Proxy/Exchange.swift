/// One request and its response, as a pure machine: what happened goes in, what to do comes out. It holds no bytes, no sockets and no
/// clock. ``ExchangeDriver`` feeds it and acts; downstream HTTP/1.1 and HTTP/2 meet the same machine.
///
/// The phases, in order (DESIGN §3):
///
///     canonicalise → match → authenticate → authorise     `Admission` decides these in one go, or needs the provider first
///          │                     │
///          │              awaitingProvider                 the client's body is not read, no 100 Continue is sent
///          ▼                     ▼
///     choose endpoint ──► awaitingConnection ──► forwarding ──► finished ──► log
///          │                     │                  │   └─ 101 ─► tunnelling ──► finished
///          └──── a fault at any point before the response's head ──► answering ──► finished
///
/// A login that is to be renewed soon is renewed beside the request (DESIGN §7): whatever would begin the response while that is open waits
/// in `holding`, so that the new cookie leaves with it, and goes on where it was when the renewal has ended.
///
/// After the response's head nothing can be mended: a failure then aborts the connection, so that the client sees a cut body and
/// never a whole-looking one.
package struct Exchange: Equatable, Sendable {
    package enum State: Equatable, Sendable {
        case idle
        case awaitingProvider
        case awaitingConnection
        case forwarding
        /// The response's head, or an answer of the gateway's own, is there and waits for a renewal.
        case holding
        case answering
        case tunnelling
        case finished
    }
    /// How far the request has come from the client.
    package enum RequestProgress: Equatable, Sendable { case receiving, complete }
    /// How far the response has gone to the client.
    package enum ResponseProgress: Equatable, Sendable { case none, headSent, complete }

    package private(set) var state = State.idle
    package private(set) var request = RequestProgress.receiving
    package private(set) var response = ResponseProgress.none
    /// Connections tried so far.
    package private(set) var attempts = 0
    /// Some byte of this request may have reached an upstream.
    private var isSent = false
    /// May be sent again after it was sent: idempotent and without a body (B5). POST and PATCH never are.
    private var isReplayable = false
    /// The provider is asked beside this exchange, and has not answered.
    package private(set) var isRenewing = false
    /// What waits in `holding` is an upstream's head; its connection is still leased.
    private var holdsHead = false

    /// Tries in all: one, and two more where it is safe.
    package static let attemptsMax = 3

    package init() {}

    // MARK: The client's side

    /// A request head was read.
    package mutating func begin(hasBody: Bool, isIdempotent: Bool) {
        self = Exchange()
        request = hasBody ? .receiving : .complete
        isReplayable = isIdempotent && !hasBody
    }

    package enum BodyAction: Equatable { case forward, hold, discard }

    /// Bytes of the request's body are there.
    package func bodyArrived() -> BodyAction {
        switch state {
        case .awaitingProvider, .awaitingConnection, .holding, .idle: .hold
        case .forwarding: .forward
        case .answering, .tunnelling, .finished: .discard
        }
    }

    /// The request's last byte is there. True when the upstream is to be told.
    package mutating func requestEnded() -> Bool {
        request = .complete
        return state == .forwarding
    }

    package enum LeaveAction: Equatable { case none, cancelProvider, leaveQueue, cancelUpstream }

    /// The client is gone, or its connection broke.
    package mutating func clientLeft() -> LeaveAction {
        defer { state = .finished }
        switch state {
        case .idle, .answering, .finished: return .none
        case .awaitingProvider: return .cancelProvider
        case .awaitingConnection: return .leaveQueue
        case .forwarding, .tunnelling: return .cancelUpstream
        case .holding: return holdsHead ? .cancelUpstream : .none
        }
    }

    // MARK: The decision

    package mutating func providerIsAsked() { state = .awaitingProvider }

    // MARK: A renewal beside the request

    /// The login is renewed beside this exchange.
    package mutating func renewalIsAsked() { isRenewing = true }

    /// The gateway's own answer is ready. False while a renewal is open: then it waits.
    package mutating func answerMayLeave() -> Bool {
        guard isRenewing, response == .none else { return true }
        state = .holding
        holdsHead = false
        return false
    }

    package enum RenewalAction: Equatable {
        /// Nothing waits for it yet.
        case none
        /// Let the head arrive once more.
        case releaseHead
        /// Send the answer.
        case releaseAnswer
    }

    /// The provider has answered, or is no longer waited for.
    package mutating func renewalEnded() -> RenewalAction {
        guard isRenewing else { return .none }
        isRenewing = false
        guard state == .holding else { return .none }
        state = holdsHead ? .forwarding : .answering
        return holdsHead ? .releaseHead : .releaseAnswer
    }

    // MARK: The way to the upstream

    /// The request may pass: a connection is wanted.
    package mutating func admitted() {
        state = .awaitingConnection
        attempts += 1
    }

    /// The gateway answers itself. False when a response has begun, so that only cutting the connection is left.
    package mutating func answered() -> Bool {
        guard response == .none else { return false }
        state = .answering
        return true
    }

    /// The gateway's own answer has been written whole.
    package mutating func answerWritten() { response = .complete }

    // MARK: The upstream's side

    /// A connection is leased to this exchange, and the head goes out on it.
    package mutating func connectionReady() {
        state = .forwarding
        isSent = true
    }

    package enum FailureAction: Equatable {
        /// Ask for a connection again.
        case retry
        /// Answer with the fault.
        case answer
        /// The response has begun: cut the connection.
        case abort
        /// Nobody waits for it any more.
        case none
    }

    /// No connection could be had. Nothing was sent on this try, so that trying again is safe for every method; whether another try can
    /// help (another endpoint, say) the caller knows.
    package mutating func connectionFailed(canHelp: Bool) -> FailureAction {
        guard state == .awaitingConnection else { return .none }
        guard canHelp, attempts < Self.attemptsMax else { return .answer }
        attempts += 1
        return .retry
    }

    /// The upstream's connection broke, or what it said is no HTTP.
    /// - Parameter wasReused: the connection had served before, and nothing of an answer has come, so that the upstream may have closed it before it saw
    ///   this request (B5).
    package mutating func upstreamFailed(wasReused: Bool) -> FailureAction {
        switch state {
        case .forwarding: break
        case .tunnelling: return .abort
        // It had begun to answer: sending the request again is not safe any more.
        case .holding: return holdsHead ? .answer : .none
        case .idle, .awaitingProvider, .awaitingConnection, .answering, .finished: return .none
        }
        guard response == .none else { return .abort }
        guard isReplayable, wasReused, attempts < Self.attemptsMax else { return .answer }
        attempts += 1
        state = .awaitingConnection
        return .retry
    }

    package enum HeadAction: Equatable {
        case forward, tunnel, ignore
        /// Keep it, and read no more of the upstream, until `renewalEnded`.
        case hold
    }

    /// A final response head arrived, or 101.
    package mutating func responseHeadArrived(switchesProtocols: Bool) -> HeadAction {
        guard state == .forwarding, response == .none else { return .ignore }
        if isRenewing {
            state = .holding
            holdsHead = true
            return .hold
        }
        response = .headSent
        guard switchesProtocols else { return .forward }
        state = .tunnelling
        return .tunnel
    }

    package enum EndAction: Equatable {
        /// Both sides are whole: the upstream's connection can serve again.
        case reuseUpstream
        /// The upstream answered before it had the whole request: its connection cannot be used again.
        case closeUpstream
    }

    /// The response's last byte has gone to the client.
    package mutating func responseEnded() -> EndAction {
        response = .complete
        state = .finished
        return request == .complete ? .reuseUpstream : .closeUpstream
    }

    /// The response did not come, or did not go on, in time.
    package mutating func deadlinePassed() -> FailureAction {
        switch state {
        case .idle, .finished, .answering, .holding: .none
        case .awaitingProvider, .awaitingConnection: .answer
        case .forwarding: response == .none ? .answer : .abort
        case .tunnelling: .abort
        }
    }

    package var isOver: Bool { state == .idle || state == .finished || (state == .answering && response == .complete) }
}
