internal import Authentication
internal import GatewayTerms
internal import HTTP2
internal import HTTPWire
internal import NIOCore

/// One stream of an `HTTP2Connection`: brings its request to an exchange, and the exchange's answer to the session. Reused for later streams
/// of its connection.
final class HTTP2Stream {
    let client: DownstreamClient
    private let worker: Worker
    private var connection: HTTP2Connection?
    private var driver: ExchangeDriver?
    /// 0 while it serves none.
    private(set) var number: Int32 = 0

    /// Body bytes that the exchange does not take yet; never more than the stream's window, since they are not consumed.
    private var held = ByteBuffer()
    private var bodyCount: UInt64 = 0
    private var requestHasEnded = false
    /// The request's trailers as lines, once its last byte is there and while it waits behind ``held``.
    private var end: [UInt8]?
    private var isDelivering = false

    /// Not submitted yet: a head that nothing follows ends the stream itself.
    private var responseHead = HeadFields()
    private var hasResponseHead = false
    private var trailers: HeadFields?
    private var isFinished = false

    private var wait = DownstreamConnection.Wait.head
    private var waitDeadline = NIODeadline.distantFuture
    private var waitLength = TimeAmount.nanoseconds(0)
    /// Bytes moved since the deadline of a body or stream was set.
    private var progress = 0
    /// What had been sent when the client was last seen to take something.
    private var sentSeen: UInt64 = 0
    private var sentSeenAt = NIODeadline.uptimeNanoseconds(0)

    init(worker: Worker, connection: HTTP2Connection) {
        client = connection.client
        self.worker = worker
        self.connection = connection
        driver = ExchangeDriver(worker: worker, connection: .http2(self))
    }

    /// Breaks the cycles with the connection and the driver; the connection is gone.
    func detach() {
        driver?.detach()
        driver = nil
        connection = nil
    }

    var connectionID: ConnectionID? { connection?.id }

    // MARK: - The request

    /// A head has come.
    func begin(_ number: Int32, _ fields: borrowing HeadFields, endsStream: Bool, builder: inout RequestHeadBuilder) {
        reset(number)
        requestHasEnded = endsStream
        guard let driver else { return }
        let started = worker.now
        builder.begin(&driver.head)
        if let refusal = fields.refusal {
            let error: RequestError = switch refusal {
            case .tooManyFields: .tooManyFields
            case .tooLarge: .headTooLarge
            case .nameInvalid: .fieldNameInvalid
            case .valueInvalid: .fieldValueControl
            }
            return driver.refuse(.malformed(error), startedAt: started)
        }
        let isSecure = client.isSecure
        do throws(RequestError) {
            let bytes = fields.bytes.span
            for line in fields.lines { try builder.field(name: line.name, value: line.value, of: bytes, into: &driver.head) }
            try builder.finish(bytes, endsStream: endsStream, isSecure: isSecure, into: &driver.head)
        } catch {
            return driver.refuse(.malformed(error), startedAt: started)
        }
        var buffer = worker.scratch.takePlaintext(minimum: fields.bytes.count)
        buffer.writeBytes(fields.bytes)
        driver.begin(buffer, startedAt: started)
    }

    /// A head that the session has refused and whose stream it has reset.
    func noteMalformed() {
        reset(0)
        driver?.refuseUnanswered(.malformed(.headMalformed), startedAt: worker.now)
    }

    private func reset(_ number: Int32) {
        self.number = number
        held = ByteBuffer()
        bodyCount = 0
        requestHasEnded = false
        end = nil
        hasResponseHead = false
        trailers = nil
        isFinished = false
        waitDeadline = .distantFuture
        progress = 0
        sentSeen = 0
        sentSeenAt = worker.now
    }

    var hasReceivedNoBody: Bool { bodyCount == 0 }

    /// Body bytes have come.
    func bodyArrived(_ data: ByteBuffer) {
        guard let driver else { return }
        let count = data.readableBytes
        progress += count
        bodyCount += UInt64(count)
        guard bodyCount <= driver.bodyBytesMax || isFinished else {
            connection?.consume(number, count)
            return driver.bodyRefused(.tooLarge)
        }
        if held.readableBytes > 0 {
            // A copy: a slice would keep the whole read alive for it.
            held.writeImmutableBuffer(data)
            return deliver()
        }
        switch driver.bodyAction {
        case .forward:
            driver.bodyArrived(data)
            connection?.consume(number, count)
        case .hold:
            held = worker.scratch.takePlaintext(minimum: count)
            held.writeImmutableBuffer(data)
        case .discard:
            connection?.consume(number, count)
        }
    }

    /// The request's last byte has come.
    func requestEnded(_ fields: HeadFields?) {
        requestHasEnded = true
        end = []
        if let fields, let driver, !isFinished {
            guard fields.refusal == nil else { return driver.bodyRefused(.trailerInvalid) }
            do throws(BodyError) {
                end = try RequestHeadBuilder.trailerLines(of: fields.lines.map { (name: $0.name, value: $0.value) }, in: fields.bytes.span)
            } catch { return driver.bodyRefused(error) }
        }
        deliver()
    }

    /// Whatever held the body up may have gone.
    func resume() {
        deliver()
        driver?.downstreamReadComplete()
    }

    /// Hands on what is held, as far as the exchange takes it.
    private func deliver() {
        guard !isDelivering, let driver else { return }
        isDelivering = true
        defer { isDelivering = false }
        if held.readableBytes > 0 {
            let action = driver.bodyAction
            guard action != .hold else { return }
            let data = held
            held = ByteBuffer()
            if action == .forward { driver.bodyArrived(data) }
            connection?.consume(number, data.readableBytes)
            connection?.flush()
        }
        guard let end, driver.bodyAction != .hold || driver.exchange.state == .forwarding else { return }
        self.end = nil
        driver.bodyEnded(trailers: end)
    }

    func downstreamReadComplete() { driver?.downstreamReadComplete() }

    /// The stream is over for the session: reset by the client, or ended by both sides.
    func closed() {
        driver?.clientLeft()
        reset(0)
    }

    func endStream(exchange: UInt64) { driver?.endStream(exchange: exchange) }
    func loginAnswered(exchange: UInt64, _ result: Result<TokenAnswer, TokenEndpointFault>) { driver?.loginAnswered(exchange: exchange, result) }
    func providerAnswered(exchange: UInt64, _ state: RefetchState) { driver?.providerAnswered(exchange: exchange, state) }

    // MARK: - The response

    var isWritable: Bool { connection?.isFull(number) == false }

    func drained() { driver?.downstreamWritabilityChanged() }

    func writeInformational(_ text: [UInt8]) {
        var fields = HeadFields()
        WrittenHead.read(text, into: &fields)
        connection?.submitInformational(number, fields)
    }

    func writeHead(_ text: [UInt8]) {
        WrittenHead.read(text, into: &responseHead)
        hasResponseHead = true
    }

    /// The turn of the loop is over and nothing has followed the head yet.
    func submitDueHead() {
        if !isFinished { submitHead(endsStream: false) }
    }

    private func submitHead(endsStream: Bool) {
        guard hasResponseHead else { return }
        hasResponseHead = false
        connection?.submitHead(number, responseHead, endsStream: endsStream)
    }

    func write(_ body: Span<UInt8>) {
        guard body.count > 0 else { return }
        submitHead(endsStream: false)
        progress += body.count
        connection?.submitData(number, body)
    }

    func setTrailers(_ lines: [UInt8]) {
        guard !lines.isEmpty else { return }
        var fields = HeadFields()
        WrittenHead.readLines(lines, into: &fields)
        trailers = fields
    }

    func flush() {
        if hasResponseHead { connection?.noteDueHead(self) }
        connection?.flush()
    }

    /// The answer is written whole.
    func exchangeFinished() {
        guard !isFinished else { return }
        isFinished = true
        if hasResponseHead, trailers == nil {
            submitHead(endsStream: true)
        } else {
            submitHead(endsStream: false)
            connection?.endStream(number, trailers: trailers)
        }
        waitDeadline = .distantFuture
        if held.readableBytes > 0 {
            connection?.consume(number, held.readableBytes)
            held = ByteBuffer()
        }
        // The client may end its request in order, and what comes of it is thrown away; one that goes on for longer is reset. Not at once: curl 7.88
        // drops an answer that a reset comes right behind.
        if !requestHasEnded { expect(.linger, within: worker.snapshot.timeouts.linger) }
        connection?.flush()
    }

    func abort() {
        isFinished = true
        waitDeadline = .distantFuture
        connection?.reset(number, .internalError)
        connection?.flush()
    }

    // MARK: - Time

    var deadline: NIODeadline { waitDeadline }

    func expect(_ wait: DownstreamConnection.Wait, within length: TimeAmount, from now: NIODeadline? = nil) {
        self.wait = wait
        waitLength = length
        waitDeadline = (now ?? worker.now) + length
        progress = 0
        if length < Self.soon { connection?.tightenDeadline() }
    }

    /// Shorter waits have to be told to the wheel.
    private static let soon = TimeAmount.seconds(2) + TimeAmount.milliseconds(200)

    /// - Parameter sent: body bytes that the session has sent for this stream.
    func look(_ now: NIODeadline, pending: Int, sent: UInt64) {
        // A window that stays shut (B12): the client takes nothing of what waits for it.
        if pending == 0 || sent != sentSeen {
            sentSeen = sent
            sentSeenAt = now
        } else if now - sentSeenAt >= worker.snapshot.timeouts.sendIdle {
            sentSeenAt = now
            if isFinished { return abort() }
            driver?.deadlinePassed(.stream)
            return
        }
        guard now >= waitDeadline, let driver else { return }
        switch wait {
        case .linger:
            waitDeadline = .distantFuture
            if !requestHasEnded { connection?.resetAfterEnd(number) }
            connection?.flush()
        case .handshake, .proxyProtocol, .keepAlive, .head, .tunnel, .closeHandshake:
            waitDeadline = .distantFuture
        case .body, .stream:
            // A pause that we made ourselves, or enough progress, is another round.
            let floor = wait == .body ? Int(waitLength.nanoseconds / 1_000_000_000) * Self.bodyBytesPerSecondMin : 1
            if progress >= floor || (wait == .body && held.readableBytes > 0) { return expect(wait, within: waitLength, from: now) }
            driver.deadlinePassed(wait)
        case .provider, .connection, .response, .renewal:
            waitDeadline = .distantFuture
            driver.deadlinePassed(wait)
        }
    }

    /// The slow-body floor of B4.
    private static let bodyBytesPerSecondMin = 1024
}
