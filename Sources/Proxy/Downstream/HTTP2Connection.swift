internal import Authentication
internal import GatewayTerms
internal import HTTP2
internal import HTTPWire
internal import NIOCore

/// A client's HTTP/2 connection: owns the session, gives each stream its exchange, and sends what the session has to send once a turn of the
/// loop, so that many small answers leave in one record.
final class HTTP2Connection: ChannelInboundHandler, ClientConnection {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private enum State { case open, lingering, closed }

    let client: DownstreamClient
    private let worker: Worker
    private var session: ServerSession
    private var builder: RequestHeadBuilder
    private var context: ChannelHandlerContext?
    private(set) var id: ConnectionID?
    private var state = State.open
    private var streams: [Int32: HTTP2Stream] = [:]
    private var idleStreams: [HTTP2Stream] = []
    private var isFlushScheduled = false
    private var requestCount = 0

    private let opened: NIODeadline
    /// When the client was last heard, and when we last asked whether it is there.
    private var heardAt: NIODeadline
    private var pingedAt: NIODeadline?
    /// When the last stream ended.
    private var idleSince: NIODeadline
    private var drainAt: NIODeadline?
    /// After the announcement, the client has this long to hear of it before streams are refused.
    private var goAwayAt: NIODeadline?
    private var isGoingAway = false
    /// When the connection is cut, whatever is still to be sent: set once its end has been decided.
    private var cutAt = NIODeadline.distantFuture
    private var nextLook: NIODeadline
    var timerTick: Int64 = 0

    /// How long a client that is asked whether it is there (A9) may take to answer, at most.
    private static let pingAnswerMax = TimeAmount.seconds(20)
    private static let announcementTime = TimeAmount.seconds(1)
    private static let lookEvery = TimeAmount.seconds(1)
    /// Stream objects that are kept for later streams.
    private static let idleStreamsMax = 32

    init(client: DownstreamClient, worker: Worker, drainAt: NIODeadline?) throws(SessionFault) {
        self.client = client
        self.worker = worker
        self.drainAt = drainAt
        let limits = worker.snapshot.limits.request
        var sessionLimits = SessionLimits()
        sessionLimits.fieldsMax = limits.fieldsMax
        sessionLimits.streamsMax = UInt32(clamping: worker.snapshot.limits.http2StreamsMax)
        session = try ServerSession(limits: sessionLimits)
        builder = RequestHeadBuilder(limits: limits)
        opened = worker.now
        heardAt = worker.now
        idleSince = worker.now
        nextLook = worker.now + Self.lookEvery
    }

    // MARK: - Channel

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        id = worker.wheel.add(self)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        worker.eventArrived()
        guard state == .open else { return }
        let bytes = unwrapInboundIn(data)
        heardAt = worker.now
        pingedAt = nil
        unsafe bytes.withUnsafeReadableBytes { unsafe session.receive($0, at: worker.now.uptimeNanoseconds) }
        handleEvents(bytes)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        for stream in touched { stream.downstreamReadComplete() }
        touched.removeAll(keepingCapacity: true)
        flush()
    }
    /// Streams whose bodies were handed on and wait to be flushed upstream.
    private var touched: [HTTP2Stream] = []

    func channelWritabilityChanged(context: ChannelHandlerContext) { if context.channel.isWritable { flush() } }

    func channelInactive(context: ChannelHandlerContext) {
        worker.eventArrived()
        state = .closed
        for stream in streams.values {
            stream.closed()
            stream.detach()
        }
        idleStreams.forEach { $0.detach() }
        streams = [:]
        idleStreams = []
        touched = []
        dueHeads = []
        if let id { worker.wheel.remove(id) }
        worker.downstreamConnections -= 1
        self.context = nil
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    // MARK: - Events

    private func handleEvents(_ bytes: ByteBuffer) {
        while let event = session.nextEvent() {
            switch event {
            case .requestHead(let number, let fields, let endsStream): begin(number, fields, endsStream: endsStream)
            case .requestMalformed: noteMalformed()
            case .data(let number, let range):
                guard let stream = streams[number], let data = bytes.getSlice(at: bytes.readerIndex + range.lowerBound, length: range.count) else { continue }
                if touched.last !== stream { touched.append(stream) }
                stream.bodyArrived(data)
            case .requestEnded(let number, let trailers): streams[number]?.requestEnded(trailers)
            case .drained(let number): streams[number]?.drained()
            case .streamClosed(let number, _): close(number)
            case .pingAcknowledged, .goAway: break
            case .failed:
                worker.counters.http2Failures &+= 1
                endSoon()
            }
        }
        endIfFinished()
    }

    private func begin(_ number: Int32, _ fields: HeadFields, endsStream: Bool) {
        let stream = idleStreams.popLast() ?? HTTP2Stream(worker: worker, connection: self)
        streams[number] = stream
        requestCount += 1
        if !acceptsAnotherRequest { announceGoAway() }
        stream.begin(number, fields, endsStream: endsStream, builder: &builder)
    }

    private var acceptsAnotherRequest: Bool {
        let limit = worker.snapshot.limits.requestsPerConnectionMax
        let isYoung = worker.snapshot.limits.connectionAgeMax.map { worker.now - opened < $0 } ?? true
        return (limit == 0 || requestCount < limit) && isYoung
    }

    private func noteMalformed() {
        let stream = idleStreams.popLast() ?? HTTP2Stream(worker: worker, connection: self)
        stream.noteMalformed()
        keep(stream)
    }

    private func close(_ number: Int32) {
        guard let stream = streams.removeValue(forKey: number) else { return }
        stream.closed()
        keep(stream)
        if streams.isEmpty { idleSince = worker.now }
    }

    private func keep(_ stream: HTTP2Stream) {
        if idleStreams.count < Self.idleStreamsMax { idleStreams.append(stream) } else { stream.detach() }
    }

    func endStream(exchange: UInt64) {
        for stream in streams.values { stream.endStream(exchange: exchange) }
    }

    func loginAnswered(exchange: UInt64, _ result: Result<TokenAnswer, TokenEndpointFault>) {
        for stream in streams.values { stream.loginAnswered(exchange: exchange, result) }
    }

    /// An idle connection holds no more than it must.
    private func forgetStreams() {
        idleStreams.forEach { $0.detach() }
        idleStreams = []
        touched = []
        dueHeads = []
    }

    func providerAnswered(exchange: UInt64, _ state: RefetchState) {
        for stream in streams.values { stream.providerAnswered(exchange: exchange, state) }
    }

    // MARK: - What streams do

    func consume(_ stream: Int32, _ count: Int) { session.consume(stream, count) }
    func isFull(_ stream: Int32) -> Bool { session.isFull(stream) }
    func submitInformational(_ stream: Int32, _ fields: HeadFields) { session.submitInformational(stream, fields) }
    func submitHead(_ stream: Int32, _ fields: HeadFields, endsStream: Bool) { session.submitHead(stream, fields, endsStream: endsStream) }
    func submitData(_ stream: Int32, _ bytes: Span<UInt8>) { session.submitData(stream, bytes) }
    func endStream(_ stream: Int32, trailers: HeadFields?) { session.endStream(stream, trailers: trailers) }
    func reset(_ stream: Int32, _ code: ErrorCode) { session.reset(stream, code) }
    func resetAfterEnd(_ stream: Int32) { session.resetAfterEnd(stream) }

    /// The stream has a head that is to leave with the next flush, if nothing follows it until then.
    func noteDueHead(_ stream: HTTP2Stream) { dueHeads.append(stream) }
    private var dueHeads: [HTTP2Stream] = []

    /// Sends what there is to send, when this turn of the loop has seen all its events.
    func flush() {
        guard !isFlushScheduled, let context else { return }
        isFlushScheduled = true
        let me = NIOLoopBound(self, eventLoop: context.eventLoop)
        context.eventLoop.execute { me.value.send() }
    }

    private func send() {
        isFlushScheduled = false
        guard let context, state == .open else { return }
        for stream in dueHeads { stream.submitDueHead() }
        dueHeads.removeAll(keepingCapacity: true)
        var hasWritten = false
        while context.channel.isWritable, session.wantsToSend {
            var buffer = worker.scratch.takeResponse(minimum: Self.sendRoom)
            unsafe _ = buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: Self.sendRoom) { room in
                unsafe session.send(into: room, at: worker.now.uptimeNanoseconds)
            }
            let isEmpty = buffer.readableBytes == 0
            if !isEmpty {
                context.write(wrapOutboundOut(buffer), promise: nil)
                hasWritten = true
            }
            worker.scratch.giveBackResponse(&buffer)
            if isEmpty { break }
        }
        if hasWritten { context.flush() }
        handleEvents(ByteBuffer())
    }

    /// Two frames of the largest size.
    private static let sendRoom = 2 * ServerSession.sendRoomMin

    // MARK: - The end

    func drain(at time: NIODeadline) {
        drainAt = time
        tightenDeadline()
    }

    private func announceGoAway() {
        guard goAwayAt == nil, !isGoingAway else { return }
        session.announceGoAway()
        goAwayAt = worker.now + Self.announcementTime
        tightenDeadline()
        flush()
    }

    /// The session's last words are on their way; a client that does not take them is not waited for.
    private func endSoon() {
        cutAt = min(cutAt, worker.now + worker.snapshot.timeouts.linger)
        tightenDeadline()
        flush()
    }

    /// When the session is over: half-closes behind its last bytes and reads on for a moment, so that a reset does not take them away.
    private func endIfFinished() {
        guard state == .open, session.isFinished, let context else { return }
        state = .lingering
        for number in Array(streams.keys) { close(number) }
        endSoon()
        context.close(mode: .output, promise: nil)
    }

    func closeNow() { context?.close(promise: nil) }

    /// HTTP/2 has no switch of protocols (RFC 9113 §8.6), and so no tunnel.
    func leaveTunnel(at time: NIODeadline) {}

    // MARK: - Time

    var deadline: NIODeadline {
        if state != .open { return cutAt }
        var earliest = min(cutAt, nextLook, drainAt ?? .distantFuture, goAwayAt ?? .distantFuture)
        for stream in streams.values { earliest = min(earliest, stream.deadline) }
        return earliest
    }

    /// A deadline has moved nearer than the wheel looks by itself.
    func tightenDeadline() { if let id { worker.wheel.tighten(id) } }

    func deadlineReached(_ now: NIODeadline) {
        guard state == .open, now < cutAt else { return closeNow() }
        let timeouts = worker.snapshot.timeouts
        if let drainAt, now >= drainAt {
            self.drainAt = nil
            announceGoAway()
        }
        if let goAwayAt, now >= goAwayAt {
            self.goAwayAt = nil
            isGoingAway = true
            session.goAway()
            flush()
        }
        for stream in Array(streams.values) where stream.number != 0 {
            stream.look(now, pending: session.pendingCount(stream.number), sent: session.sentCount(stream.number))
        }
        guard now >= nextLook else { return }
        nextLook = now + Self.lookEvery
        if streams.isEmpty, now - idleSince >= Self.lookEvery, !idleStreams.isEmpty { forgetStreams() }
        if !session.hasGreeted, now - opened >= timeouts.head { return closeNow() }
        if let began = session.headBegan, now - NIODeadline.uptimeNanoseconds(began) >= timeouts.head {
            session.terminate(.enhanceYourCalm)
            return endSoon()
        }
        if streams.isEmpty, now - idleSince >= timeouts.keepAlive {
            session.terminate(.noError)
            return endSoon()
        }
        if let pingedAt {
            if now - pingedAt >= min(timeouts.http2Ping, Self.pingAnswerMax) { closeNow() }
        } else if session.hasGreeted, now - heardAt >= timeouts.http2Ping {
            pingedAt = now
            session.ping()
            flush()
        }
    }
}
