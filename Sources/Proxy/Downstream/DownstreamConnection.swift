internal import Authentication
internal import GatewayTerms
internal import HTTPWire
internal import NIOCore
internal import TLS

/// A client's HTTP/1.1 connection: reads requests one after the other, lets each run its exchange, and writes the answers in order. Where the TLS
/// handshake chooses HTTP/2, an ``HTTP2Connection`` takes its place.
final class DownstreamConnection: ChannelInboundHandler, RemovableChannelHandler, ClientConnection, TLSHandler.Listener {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// What the connection waits for; each has its deadline, and says what the client sees when it passes.
    enum Wait { case handshake, proxyProtocol, head, keepAlive, provider, connection, body, response, renewal, stream, tunnel, closeHandshake, linger }

    private enum Input {
        case head
        /// The body of the exchange that runs.
        case body(BodyDecoder)
        /// The request is whole; what comes now belongs to the next one.
        case waiting
        /// An early answer has ended the exchange; its body is read and thrown away, up to a limit.
        case discarding(BodyDecoder)
        case tunnel
        /// The last answer is out: reads on for a moment, so that a reset does not take the answer away from the client.
        case lingering
        case closed
    }

    let client: DownstreamClient
    private let worker: Worker
    private var context: ChannelHandlerContext?
    private(set) var id: ConnectionID?
    private var driver: ExchangeDriver?
    private var parser: RequestParser
    private var input = Input.head
    private var received = ByteBuffer()
    private var outbound = ByteBuffer()
    private var isReading = true
    private var isProcessing = false
    private let opened = NIODeadline.now()
    /// The client may begin to speak TLS, or HTTP.
    private var greeted = NIODeadline.uptimeNanoseconds(0)
    private var requestCount = 0
    private var headStarted: NIODeadline?
    private var discarded = 0
    private var hasWritten = false
    private var isHandshaking = false

    /// Among the worker's connections.
    private var isCounted = false
    private var drainAt: NIODeadline?
    /// When the last exchange ended.
    private var answeredAt: NIODeadline?

    /// When a tunnel ends because the worker drains.
    private var leaveAt: NIODeadline?
    private var wait = Wait.head
    private var waitDeadline = NIODeadline.distantFuture
    private var waitLength = TimeAmount.nanoseconds(0)
    /// Bytes moved since the deadline of a body or stream was set: progress gives it another round.
    private var progress = 0
    var timerTick: Int64 = 0

    init(rules: ListenerRules, worker: Worker) {
        client = DownstreamClient(rules: rules)
        self.worker = worker
        parser = RequestParser(limits: worker.snapshot.limits.request)
    }

    var isWritable: Bool { context?.channel.isWritable ?? false }

    /// The next answer may leave the connection open.
    var acceptsAnotherRequest: Bool {
        let limit = worker.snapshot.limits.requestsPerConnectionMax
        let isYoung = worker.snapshot.limits.connectionAgeMax.map { NIODeadline.now() - opened < $0 } ?? true
        return !isLeaving && (limit == 0 || requestCount < limit) && isYoung
    }

    /// The drain has come to this connection: its next answer is its last.
    var isLeaving: Bool { drainAt.map { worker.now >= $0 } ?? false }

    /// Nothing of the request's body has come yet, so that 100 (Continue) still means something.
    var hasReceivedNoBody: Bool { received.readableBytes == 0 }

    // MARK: - Channel

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        worker.eventArrived()
        driver = ExchangeDriver(worker: worker, connection: .http1(self))
        drainAt = worker.drainTime
        id = worker.wheel.add(self)
        worker.downstreamConnections += 1
        isCounted = true
        worker.counters.connectionsAccepted &+= 1
        client.connected(from: context.channel.remoteAddress)
        if client.isSecure {
            worker.handshakes += 1
            isHandshaking = true
        }
        if case .proxyProtocol = client.rules.clientAddress {
            expect(.proxyProtocol, within: worker.snapshot.timeouts.proxyProtocol)
        } else {
            expectGreeting()
        }
    }

    private func expectGreeting() {
        greeted = worker.now
        expect(client.isSecure ? .handshake : .head, within: client.isSecure ? worker.snapshot.timeouts.handshake : worker.snapshot.timeouts.head)
    }

    private func handshakeIsOver() {
        if isHandshaking { worker.handshakes -= 1 }
        isHandshaking = false
    }

    /// The PROXY protocol header has said who the client is.
    func clientIsKnown(_ header: ProxyProtocolHeader) {
        client.announced(header)
        expectGreeting()
    }

    func proxyProtocolRefused(_ refusal: ProxyProtocolHeader.Refusal) { worker.counters.proxyProtocolRefused &+= 1 }

    func handshakeCompleted(_ facts: TLSFacts) {
        handshakeIsOver()
        worker.counters.handshakes &+= 1
        client.secured(facts, within: .now() - greeted, snapshot: worker.snapshot)
        if facts.applicationProtocol == "h2" { return becomeHTTP2() }
        expect(.head, within: worker.snapshot.timeouts.head)
    }

    /// Nothing has been read yet: hands the client over to a handler that speaks HTTP/2.
    private func becomeHTTP2() {
        guard let context, let id else { return }
        do {
            let successor = try HTTP2Connection(client: client, worker: worker, drainAt: drainAt)
            try context.pipeline.syncOperations.addHandler(successor, position: .after(self))
        } catch { return closeNow() }
        input = .closed
        isCounted = false
        driver?.detach()
        driver = nil
        worker.wheel.remove(id)
        self.id = nil
        self.context = nil
        context.pipeline.syncOperations.removeHandler(self, promise: nil)
    }

    func tlsFailed(_ error: TLSError, duringHandshake: Bool) {
        if duringHandshake { worker.counters.handshakeFailures &+= 1 }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        worker.eventArrived()
        progress += bytes.readableBytes
        switch input {
        case .tunnel:
            driver?.tunnelFromClient(bytes)
            if driver?.tunnelIsWritable == false { setReading(false) }
        case .lingering:
            discarded += bytes.readableBytes
            if discarded > worker.snapshot.limits.discardedBodyBytesMax * 16 { closeNow() }
        case .closed: break
        case .head, .body, .waiting, .discarding:
            if received.readableBytes == 0 { received = bytes } else { received.writeBuffer(&bytes) }
            process()
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) { driver?.downstreamReadComplete() }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        progress += 1
        driver?.downstreamWritabilityChanged()
    }

    func channelInactive(context: ChannelHandlerContext) { leave() }

    /// A connection that ends before it has become active has no other end than this.
    func handlerRemoved(context: ChannelHandlerContext) { if isCounted { leave() } }

    private func leave() {
        isCounted = false
        worker.eventArrived()
        input = .closed
        handshakeIsOver()
        driver?.clientLeft()
        driver?.detach()
        driver = nil
        if let id { worker.wheel.remove(id) }
        worker.downstreamConnections -= 1
        received = ByteBuffer()
        self.context = nil
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    // MARK: - Reading

    /// Whatever held the reading up may have gone.
    func resume() {
        if case .tunnel = input {
            if driver?.tunnelIsWritable == true { setReading(true) }
            return
        }
        processHeldBack()
    }

    /// What was read earlier and held back: no read event follows that would flush it.
    private func processHeldBack() {
        process()
        driver?.downstreamReadComplete()
    }

    private func process() {
        guard !isProcessing else { return }
        isProcessing = true
        defer { isProcessing = false }
        while step() {}
        // What piles up is bounded: a whole head may always come, beyond that the client waits.
        let limit = if case .head = input { worker.snapshot.limits.request.headBytesMax * 2 } else { worker.snapshot.limits.bufferedBytesMax }
        setReading(received.readableBytes < limit)
    }

    /// One step through what was received; false when there is nothing more to do now.
    private func step() -> Bool {
        switch input {
        case .head: return received.readableBytes > 0 && readHead()
        case .body(let decoder): return readBody(decoder)
        case .discarding(let decoder): return discardBody(decoder)
        case .tunnel:
            guard received.readableBytes > 0 else { return false }
            let rest = received
            received = ByteBuffer()
            driver?.tunnelFromClient(rest)
            return false
        case .lingering, .closed:
            received = ByteBuffer()
            return false
        case .waiting: return false
        }
    }

    private func readHead() -> Bool {
        guard let driver else { return false }
        if headStarted == nil {
            headStarted = worker.now
            if wait != .head { expect(.head, within: worker.snapshot.timeouts.head) }
        }
        let started = headStarted ?? worker.now
        do throws(RequestError) {
            guard try parser.parse(received.readableBytesUInt8Span, into: &driver.head) else { return false }
        } catch {
            input = .waiting
            driver.refuse(.malformed(error), startedAt: started)
            return false
        }
        guard let bytes = received.readSlice(length: driver.head.byteCount) else { return false }
        if received.readableBytes == 0 { received = ByteBuffer() }
        parser.reset()
        headStarted = nil
        requestCount += 1
        discarded = 0
        switch driver.head.framing {
        case .none, .length(0): input = .waiting
        case .length, .chunked, .untilClose: input = .body(BodyDecoder(driver.head.framing))
        }
        driver.begin(bytes, startedAt: started)
        // The route, known now, says how long the body may be; none of it has been read yet.
        if case .body = input { input = .body(BodyDecoder(driver.head.framing, limit: driver.bodyBytesMax)) }
        return true
    }

    private func readBody(_ decoder: BodyDecoder) -> Bool {
        // Also without a byte: the decoder may have the end still to tell.
        guard let driver else { return false }
        switch driver.bodyAction {
        case .hold, .discard: return false
        case .forward: break
        }
        var decoder = decoder
        let step: BodyDecoder.Step
        do throws(BodyError) { step = try decoder.next(received.readableBytesUInt8Span) } catch {
            input = .waiting
            driver.bodyRefused(error)
            return false
        }
        input = .body(decoder)
        switch step {
        case .needsMore(let consumed):
            received.moveReaderIndex(forwardBy: consumed)
            if received.readableBytes == 0 { received = ByteBuffer() }
            return false
        case .data(let range, let consumed):
            let slice = received.getSlice(at: received.readerIndex + range.lowerBound, length: range.count)
            received.moveReaderIndex(forwardBy: consumed)
            if let slice { driver.bodyArrived(slice) }
            return true
        case .end(let consumed):
            received.moveReaderIndex(forwardBy: consumed)
            if received.readableBytes == 0 { received = ByteBuffer() }
            input = .waiting
            driver.bodyEnded(trailers: decoder.trailers)
            return true
        }
    }

    private func discardBody(_ decoder: BodyDecoder) -> Bool {
        var decoder = decoder
        let step: BodyDecoder.Step
        do throws(BodyError) { step = try decoder.next(received.readableBytesUInt8Span) } catch {
            linger()
            return false
        }
        input = .discarding(decoder)
        switch step {
        case .needsMore(let consumed), .data(_, let consumed):
            received.moveReaderIndex(forwardBy: consumed)
            discarded += consumed
            if discarded > worker.snapshot.limits.discardedBodyBytesMax {
                linger()
                return false
            }
            if case .needsMore = step { return false }
            return true
        case .end(let consumed):
            received.moveReaderIndex(forwardBy: consumed)
            beginNextRequest()
            return true
        }
    }

    private func setReading(_ reads: Bool) {
        guard reads != isReading, let context else { return }
        isReading = reads
        _ = try? context.channel.syncOptions?.setOption(.autoRead, value: reads)
    }

    // MARK: - The exchange

    /// The answer is written whole.
    func exchangeFinished(keepsAlive: Bool, requestIsComplete: Bool) {
        guard keepsAlive else { return linger() }
        if requestIsComplete {
            beginNextRequest()
        } else if case .body(let decoder) = input {
            input = .discarding(decoder)
            expect(.body, within: worker.snapshot.timeouts.bodyIdle)
        } else {
            beginNextRequest()
        }
        if received.readableBytes > 0 { processHeldBack() }
    }

    private func beginNextRequest() {
        input = .head
        answeredAt = worker.now
        expect(.keepAlive, within: worker.snapshot.timeouts.keepAlive)
        if drainAt != nil, let id { worker.wheel.tighten(id) }
        setReading(true)
    }

    func beginTunnel() {
        input = .tunnel
        hasWritten = false
        if received.readableBytes > 0 {
            let rest = received
            received = ByteBuffer()
            driver?.tunnelFromClient(rest)
        }
    }

    func loginAnswered(exchange: UInt64, _ result: Result<TokenAnswer, TokenEndpointFault>) { driver?.loginAnswered(exchange: exchange, result) }
    func providerAnswered(exchange: UInt64, _ state: RefetchState) { driver?.providerAnswered(exchange: exchange, state) }

    /// Ends the connection behind what was written: half-closes and reads on for a moment.
    private func linger() {
        guard let context else { return }
        if case .closed = input { return }
        flush()
        input = .lingering
        received = ByteBuffer()
        discarded = 0
        setReading(true)
        expect(.linger, within: worker.snapshot.timeouts.linger)
        context.close(mode: .output, promise: nil)
    }

    /// Cuts the connection; for TLS without close_notify, so that the cut shows.
    func abort() {
        input = .closed
        context?.close(promise: nil)
    }

    func closeNow() {
        input = .closed
        context?.close(promise: nil)
    }

    // MARK: - Writing

    /// Collects small writes into one, so that a small answer is one record and one write.
    func write(_ bytes: [UInt8]) {
        if outbound.capacity == 0 { outbound = worker.scratch.takeResponse(minimum: bytes.count) }
        outbound.writeBytes(bytes)
    }

    func write(_ text: StaticString) {
        if outbound.capacity == 0 { outbound = worker.scratch.takeResponse(minimum: text.utf8CodeUnitCount) }
        outbound.writeStaticString(text)
    }

    func write(_ data: ByteBuffer) {
        guard let context else { return }
        progress += data.readableBytes
        if data.readableBytes <= Self.copiedMax {
            if outbound.capacity == 0 { outbound = worker.scratch.takeResponse(minimum: data.readableBytes) }
            outbound.writeImmutableBuffer(data)
        } else {
            passOutbound(context)
            context.write(wrapOutboundOut(data), promise: nil)
            hasWritten = true
        }
    }

    func writeChunk(_ data: ByteBuffer) {
        if outbound.capacity == 0 { outbound = worker.scratch.takeResponse(minimum: data.readableBytes + 32) }
        ChunkPrefix(size: data.readableBytes).withBytes { outbound.write($0) }
        write(data)
        write(ChunkPrefix.suffix)
    }

    /// Larger pieces go their own way without being copied.
    private static let copiedMax = 8 * 1024

    private func passOutbound(_ context: ChannelHandlerContext) {
        guard outbound.readableBytes > 0 else { return }
        context.write(wrapOutboundOut(outbound), promise: nil)
        hasWritten = true
        worker.scratch.giveBackResponse(&outbound)
        outbound = ByteBuffer()
    }

    func flush() {
        guard let context else { return }
        passOutbound(context)
        guard hasWritten else { return }
        hasWritten = false
        context.flush()
    }

    // MARK: - Time

    var deadline: NIODeadline {
        if case .tunnel = input { return min(leaveAt ?? .distantFuture, waitDeadline) }
        return min(idleEnd ?? .distantFuture, waitDeadline)
    }

    /// When the drain ends the connection, if it is idle then: at the end of its window. Until then it may ask, and its answer says that it is
    /// the last, which no request can cross. One that has never asked, or was answered just now, is about to ask, and is waited for.
    private var idleEnd: NIODeadline? {
        guard drainAt != nil, let answeredAt, case .head = input, headStarted == nil else { return nil }
        return max(worker.drainEnd, answeredAt + Self.askingAgainWithin)
    }
    private static let askingAgainWithin = TimeAmount.milliseconds(500)

    func expect(_ wait: Wait, within length: TimeAmount, from now: NIODeadline? = nil) {
        self.wait = wait
        waitLength = length
        waitDeadline = (now ?? worker.now) + length
        progress = 0
        if length < Self.soon, let id { worker.wheel.tighten(id) }
    }

    /// Shorter waits have to be told to the wheel.
    private static let soon = TimeAmount.seconds(2) + TimeAmount.milliseconds(200)

    func deadlineReached(_ now: NIODeadline) {
        if case .tunnel = input {
            if let leaveAt, now >= leaveAt {
                self.leaveAt = nil
                driver?.closeTunnel(.goingAway)
                return
            }
        }
        if let idleEnd, now >= idleEnd { return linger() }
        guard now >= waitDeadline else { return }
        switch wait {
        case .handshake, .proxyProtocol, .keepAlive, .linger:
            closeNow()
        case .head:
            // Without a byte there is nothing to answer.
            guard let started = headStarted, let driver else { return closeNow() }
            input = .waiting
            driver.refuse(.headTimeout, startedAt: started)
        case .stream where !isWritable && progress == 0 && waitLength > worker.snapshot.timeouts.sendIdle: driver?.deadlinePassed(wait)
        case .body, .stream, .tunnel:
            // A pause that we made ourselves, or enough progress, is another round.
            let floor = wait == .body ? Int(waitLength.nanoseconds / 1_000_000_000) * Self.bodyBytesPerSecondMin : 1
            if progress >= floor || (wait == .body && !isReading) { return expect(wait, within: waitLength, from: now) }
            if case .discarding = input { return linger() }
            driver?.deadlinePassed(wait)
        case .provider, .connection, .response, .closeHandshake, .renewal:
            waitDeadline = .distantFuture
            driver?.deadlinePassed(wait)
        }
    }

    /// The slow-body floor of B4.
    private static let bodyBytesPerSecondMin = 1024

    func leaveTunnel(at time: NIODeadline) {
        guard case .tunnel = input else { return }
        leaveAt = time
        if let id { worker.wheel.tighten(id) }
    }

    func endStream(exchange: UInt64) { driver?.endStream(exchange: exchange) }

    /// The worker drains: from `time` on whoever asks is told with the answer that it was the last.
    func drain(at time: NIODeadline) {
        drainAt = time
        if let id { worker.wheel.tighten(id) }
    }
}
