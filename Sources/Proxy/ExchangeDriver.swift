internal import Authentication
internal import GatewayTerms
internal import HTTPWire
internal import NIOCore
internal import Routing

/// Acts on what ``Exchange`` decides: one exchange at a time, between a `DownstreamStream` and a leased `UpstreamConnection`, both on the loop of
/// its worker. Reused for later exchanges of its connection.
///
/// A file a role, in the order in which a request meets them: Admission and Login, Forwarding, Responding, Compression, Tunnel; beside them Failures and LocalAnswers.
final class ExchangeDriver {
    let worker: Worker
    var connection: DownstreamStream?

    /// Where the connection's parser puts the head; its places point into ``bytes``.
    var head = RequestHead()
    var bytes = ByteBuffer()
    var exchange = Exchange()
    /// Tells this exchange from all others of its loop, for answers that come late.
    var number: UInt64 = 0

    var snapshot: Snapshot
    var destination: Admission.Destination?
    /// Known also where no route was found.
    var stage: Stage?
    var path: CanonicalPath?
    var identity: Identity?
    var upstreamConnection: UpstreamConnection?
    /// Behind 101.
    var tunnel: Tunnel?
    /// Where the response leaves as gzip.
    var compressor: ResponseCompressor?
    var pool: EndpointPool?
    var waitingRequest: ConnectionPool.Request?
    var responseFraming = ResponseFraming.none
    var keepsAlive = true
    var isContinued = false
    var record = ExchangeRecord()
    var lookup = StageLookup()
    /// The User-Agent of the last exchange: on one connection it is mostly the same.
    private var userAgent: [UInt8] = []
    private var prepared = PreparedLogMembers()
    /// What the login waits for, and what it adds to the answer.
    var loginProgress: LoginProgress?
    var renewal: Renewal?
    var cookieUpdate: CookieUpdate?
    var loginEndsAt: WallTime?
    /// When the provider's word ends; a renewal moves it.
    var loginExpiresAt: WallTime?
    /// The stream of this exchange is one of ``Worker/boundStreams``.
    var isBound = false
    var memo = TokenMemo()

    init(worker: Worker, connection: DownstreamStream) {
        self.worker = worker
        self.connection = connection
        snapshot = worker.snapshot
    }

    /// Breaks the cycle with the connection, which is gone.
    func detach() { connection = nil }

    // MARK: - begin

    /// A whole head is in ``head``, its bytes in `bytes`.
    func begin(_ bytes: ByteBuffer, startedAt: NIODeadline) {
        guard let connection else { return }
        self.bytes = bytes
        prepare(startedAt: startedAt)
        if connection.client.continuesTraces { continueTrace() }
        exchange.begin(hasBody: head.framing != .none && head.framing != .length(0), isIdempotent: head.method.isIdempotent)
        keepsAlive = head.keepsAlive && connection.acceptsAnotherRequest
        if connection.client.rules.redirectsToHTTPS { return redirectToHTTPS() }
        let matching = Admission.match(head, self.bytes.readableBytesUInt8Span, snapshot: snapshot, serverName: connection.client.serverName, lookup: &lookup)
        switch matching {
        case .destination(let destination):
            self.destination = destination
            stage = destination.stage
            path = destination.path
            authenticate(.notTried)
        case .login(let stage, let rules, let path, let own):
            self.stage = stage
            self.path = path
            serveLogin(own, rules)
        case .redirect(let stage, let path):
            self.stage = stage
            self.path = path
            redirect(toPath: path)
        case .fault(let fault, let stage, let path):
            self.stage = stage
            self.path = path
            answer(fault)
        }
    }

    /// The trace that the client sends goes on; one that cannot be read, or two, is none, and what was begun stays.
    private func continueTrace() {
        let lines = head.fields.filter { $0.field == .traceparent && !$0.isHopByHop }
        let bytes = bytes
        guard lines.count == 1, let line = lines.first, let parent = TraceContext(bytes.readableBytesUInt8Span.extracting(line.value.range)) else { return }
        record.trace = parent.continued(by: record.trace.span)
        record.isTraceContinued = true
    }

    /// A head that cannot be read: answered and logged like any other request, with what is known of it.
    func refuse(_ fault: Fault, startedAt: NIODeadline) {
        prepare(startedAt: startedAt)
        bytes = ByteBuffer()
        record.isUnreadable = true
        exchange.begin(hasBody: false, isIdempotent: false)
        keepsAlive = false
        answer(fault)
    }

    /// A request that its stream's reset has answered already: only logged.
    func refuseUnanswered(_ fault: Fault, startedAt: NIODeadline) {
        prepare(startedAt: startedAt)
        bytes = ByteBuffer()
        record.isUnreadable = true
        record.flags = fault.flags
        record.details = fault.code
        exchange.begin(hasBody: false, isIdempotent: false)
        _ = exchange.clientLeft()
        writeLog()
    }

    private func prepare(startedAt: NIODeadline) {
        number = worker.nextExchangeNumber()
        snapshot = worker.snapshot
        destination = nil
        stage = nil
        path = nil
        identity = nil
        pool = nil
        loginProgress = nil
        renewal = nil
        cookieUpdate = nil
        loginEndsAt = nil
        loginExpiresAt = nil
        isBound = false
        isContinued = false
        record = ExchangeRecord()
        record.started = startedAt
        record.begun = worker.now
        record.requestID = worker.requestIDs.next(at: worker.wallTime)
        record.requestText = record.requestID.text
        record.trace = worker.traces.begin()
        worker.counters.requests &+= 1
    }

    // MARK: - log

    func finish() {
        writeLog()
        connection?.flush()
        connection?.exchangeFinished(keepsAlive: keepsAlive, requestIsComplete: exchange.request == .complete)
    }

    func writeLog() {
        forgetTunnel()
        releaseCompressor()
        unbindStream()
        if worker.isDraining { record.flags.insert(.draining) }
        guard let connection else { return }
        record.ended = .now()
        countEnd()
        var upstream: Upstream?
        if let destination, case .upstream(let index, _) = destination.route.target, exchange.attempts > 0 { upstream = snapshot.upstreams[index] }
        let bytes = bytes
        record.host = lookup.authority
        if !record.isUnreadable, let agent = head.value(of: .userAgent) {
            let value = bytes.readableBytesUInt8Span.extracting(agent.range)
            if !value.isEqual(to: userAgent) { userAgent = Array(copying: value) }
            record.userAgent = userAgent
        }
        worker.log(record.entry(
            head: head, bytes: bytes.readableBytesUInt8Span, at: worker.wallTime, client: connection.client, stage: stage, route: destination?.route, path: path,
            identity: identity, policyAddress: policyAddress, upstream: upstream, attempts: exchange.attempts, snapshot: snapshot, prepared: &prepared))
    }
}
