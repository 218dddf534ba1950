internal import GatewayTerms
internal import HTTPWire
internal import NIOCore
internal import TLS

/// One connection to an endpoint: writes one request at a time, reads its response, and serves again. Lives on one event loop, in the
/// `EndpointPool` that dialled it.
final class UpstreamConnection: ChannelInboundHandler, TimedConnection, TLSHandler.Listener {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private enum State: Equatable {
        /// The connection, or its handshake, is under way.
        case dialling
        case idle
        case awaitingHead
        case readingBody
        case tunnelling
        case closed
    }

    let number: ConnectionPool.Connection
    let dialStarted: NIODeadline
    private let worker: Worker
    private let pool: EndpointPool
    private var state = State.dialling
    private var context: ChannelHandlerContext?
    private var driver: ExchangeDriver?
    private var method = Method.get
    private var parser: ResponseParser
    private var head = ResponseHead()
    private var decoder = BodyDecoder(.none)
    private var received = ByteBuffer()
    private var isReading = true
    /// The upstream has closed while its last bytes wait in ``received`` for a client that is slower, or for a head that is held back.
    private var hasEnded = false
    /// It has broken off, so that its close is not the end of a body (RFC 9112 §8).
    private var wasReset = false
    private var id: ConnectionID?
    /// Something of the answer has come, so that the upstream has seen the request (B5).
    private var hasHeard = false
    /// Requests that it has answered.
    private(set) var servedCount = 0

    var deadline = NIODeadline.distantFuture
    var timerTick: Int64 = 0

    /// - Parameter dialDeadline: when connecting, the handshake included, has taken too long.
    init(number: ConnectionPool.Connection, worker: Worker, pool: EndpointPool, dialDeadline: NIODeadline) {
        deadline = dialDeadline
        dialStarted = worker.now
        self.number = number
        self.worker = worker
        self.pool = pool
        parser = ResponseParser(limits: worker.snapshot.limits.response)
    }

    var isWritable: Bool { context?.channel.isWritable ?? false }
    var endpoint: Endpoint { pool.endpoint }

    // MARK: What the pool and the driver do

    /// From here on the connection serves `driver`.
    func lease(to driver: ExchangeDriver, method: Method) {
        self.driver = driver
        self.method = method
        state = .awaitingHead
        deadline = .distantFuture
        hasHeard = false
        parser.reset()
    }

    /// Back to the pool, or given up.
    func release() {
        driver = nil
        state = .idle
    }

    func park(until deadline: NIODeadline) { self.deadline = deadline }

    func write(_ bytes: ByteBuffer) { context?.write(wrapOutboundOut(bytes), promise: nil) }
    func flush() { context?.flush() }

    func close() {
        guard state != .closed else { return }
        let wasTunnel = state == .tunnelling
        driver = nil
        state = .closed
        guard wasTunnel, let context else { context?.close(promise: nil); return }
        // What a client said last, its Close perhaps, goes out before the end; the upstream has a moment to take it and to end too.
        deadline = worker.now + worker.snapshot.timeouts.linger
        if let id { worker.wheel.tighten(id) }
        received = ByteBuffer()
        setReading(true)
        context.close(mode: .output, promise: nil)
    }

    /// Back-pressure: stops or resumes reading the response.
    func setReading(_ reads: Bool) {
        guard reads != isReading else { return }
        isReading = reads
        // A pause takes effect behind what was read already.
        if let context { _ = try? context.channel.syncOptions?.setOption(.autoRead, value: reads) }
        guard reads else { return }
        process()
        if hasEnded { inputEnded() }
    }

    // MARK: Channel

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        // A name with several addresses may be tried at one after the other.
        if let id { worker.wheel.remove(id) }
        let id = worker.wheel.add(self)
        worker.wheel.tighten(id)
        self.id = id
    }

    func channelActive(context: ChannelHandlerContext) {
        self.context = context
        if pool.endpoint.tls == nil { dialSucceeded() }
    }

    func handshakeCompleted(_ facts: TLSFacts) { dialSucceeded() }

    func tlsFailed(_ error: TLSError, duringHandshake: Bool) {
        // The close that follows tells the rest.
        if duringHandshake { dialFailed(error.description) } else { wasReset = true }
    }

    private func dialSucceeded() {
        worker.eventArrived()
        guard state == .dialling else { return }
        state = .idle
        deadline = .distantFuture
        pool.dialSucceeded(self)
    }

    /// The dial is over without a connection, told once.
    func dialFailed(_ reason: String, timedOut: Bool = false) {
        worker.eventArrived()
        guard state == .dialling else { return }
        state = .closed
        pool.dialFailed(number, reason, timedOut: timedOut)
        context?.close(promise: nil)
    }

    var isDialling: Bool { state == .dialling }

    /// The socket never came to be; the pool knows.
    func abandonDial() { state = .closed }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        worker.eventArrived()
        switch state {
        case .awaitingHead, .readingBody:
            hasHeard = true
            if received.readableBytes == 0 { received = bytes } else { received.writeBuffer(&bytes) }
            process()
        case .tunnelling:
            driver?.tunnelFromUpstream(bytes)
        case .idle, .dialling:
            // It speaks without being asked: whatever that is, it is no answer to the next request.
            lost(.resetBeforeHead)
        case .closed:
            break
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) { driver?.upstreamReadComplete() }

    func channelWritabilityChanged(context: ChannelHandlerContext) { driver?.upstreamWritabilityChanged() }

    func channelInactive(context: ChannelHandlerContext) {
        guard context === self.context else { return }
        worker.eventArrived()
        if state == .dialling { dialFailed("the connection was closed during the handshake") } else { inputEnded() }
        if let id { worker.wheel.remove(id) }
        self.context = nil
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // A reset; the close that follows tells the rest.
        wasReset = true
        context.close(promise: nil)
    }

    func deadlineReached(_ now: NIODeadline) {
        deadline = .distantFuture
        switch state {
        case .dialling: dialFailed("the handshake was not over in time", timedOut: true)
        case .idle: lost(.resetBeforeHead)
        case .closed: context?.close(promise: nil)
        case .awaitingHead, .readingBody, .tunnelling: break
        }
    }

    // MARK: The response

    private func process() {
        while isReading || state == .awaitingHead {
            switch state {
            case .awaitingHead:
                guard received.readableBytes > 0, readHead() else { return }
            case .readingBody:
                guard readBody() else { return }
            case .tunnelling:
                if received.readableBytes > 0 {
                    let rest = received
                    received = ByteBuffer()
                    driver?.tunnelFromUpstream(rest)
                }
                return
            case .idle, .dialling, .closed:
                return
            }
        }
    }

    /// True when the state has moved on and more may be read.
    private func readHead() -> Bool {
        let isComplete: Bool
        do throws(ResponseError) {
            isComplete = try parser.parse(received.readableBytesUInt8Span, requestMethod: method, into: &head)
        } catch {
            lost(.responseMalformed(error))
            return false
        }
        guard isComplete, let driver, let bytes = received.readSlice(length: head.byteCount) else { return false }
        if received.readableBytes == 0 { received = ByteBuffer() }
        parser.reset()
        if head.status == 101 {
            state = .tunnelling
            driver.responseHeadArrived(head, bytes, switchesProtocols: true)
            return true
        }
        if head.status < 200 {
            driver.informationalArrived(head, bytes)
            return true
        }
        decoder = BodyDecoder(head.framing, names: .token)
        state = .readingBody
        driver.responseHeadArrived(head, bytes, switchesProtocols: false)
        return true
    }

    private func readBody() -> Bool {
        let step: BodyDecoder.Step
        do throws(BodyError) {
            step = try decoder.next(received.readableBytesUInt8Span)
        } catch {
            lost(.resetBeforeHead)
            return false
        }
        switch step {
        case .needsMore(let consumed):
            received.moveReaderIndex(forwardBy: consumed)
            if received.readableBytes == 0 { received = ByteBuffer() }
            return false
        case .data(let range, let consumed):
            let slice = received.getSlice(at: received.readerIndex + range.lowerBound, length: range.count)
            received.moveReaderIndex(forwardBy: consumed)
            if let slice { driver?.responseBodyArrived(slice) }
            return state == .readingBody
        case .end(let consumed):
            received.moveReaderIndex(forwardBy: consumed)
            responseEnded()
            return false
        }
    }

    private func responseEnded() {
        servedCount += 1
        let isWhole = head.keepsAlive && !hasEnded && received.readableBytes == 0 && head.framing != .untilClose
        received = ByteBuffer()
        let driver = self.driver
        self.driver = nil
        state = .idle
        setReading(true)
        driver?.responseEnded(trailers: decoder.trailers, connectionIsReusable: isWhole)
    }

    /// The upstream has closed. A body that ends with the connection is whole, everything else is cut.
    private func inputEnded() {
        guard state != .closed else { return }
        // A close is read past a pause; what came before it waits for the client, or for the head that is held back.
        if state == .readingBody, !isReading {
            hasEnded = true
            return
        }
        if state == .readingBody, decoder.isWholeAtClose, !wasReset || decoder.isFinished {
            responseEnded()
        }
        if state == .tunnelling, let driver {
            state = .closed
            self.driver = nil
            pool.connectionLost(self)
            driver.tunnelEnded()
            return
        }
        lost(.resetBeforeHead)
    }

    /// The connection is of no more use; whoever waits on it is told, once.
    private func lost(_ fault: Fault) {
        guard state != .closed else { return }
        let driver = self.driver
        self.driver = nil
        state = .closed
        pool.connectionLost(self)
        context?.close(promise: nil)
        driver?.upstreamFailed(fault, wasReused: servedCount > 0 && !hasHeard)
    }
}
