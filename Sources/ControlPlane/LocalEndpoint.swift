internal import GatewayTerms
internal import HTTPWire
internal import NIOCore
internal import NIOPosix
internal import Proxy

/// One question put to a port of the gateway's own.
struct LocalRequest: Sendable {
    var method: GatewayTerms.Method
    /// As it was sent, without the query.
    var path: String
    /// Behind the `?`; empty without one.
    var query = ""
    var body: [UInt8] = []
}

/// A small plain HTTP/1.1 server for the gateway's own ports: health, metrics, and the operators' socket. It answers a fixed table of paths,
/// one request after the other, with the same strict parser as the data plane, and knows no way to the routes.
struct LocalEndpoint {
    typealias Answering = @Sendable (_ request: LocalRequest, _ loop: any EventLoop) -> EventLoopFuture<LocalAnswer>

    let channel: any Channel

    /// Answers GET and HEAD, which take no body.
    static func bind(to address: SocketAddress, on group: any EventLoopGroup, answering: @escaping Answering) async throws -> LocalEndpoint {
        LocalEndpoint(channel: try await bootstrap(group, bodyBytesMax: nil, answering).bind(to: address).get())
    }

    /// Serves a socket that listens already, and owns the descriptor from now on.
    /// - Parameter bodyBytesMax: over it, 413, and `answering` tells the methods apart; `nil`: answers GET and HEAD, which take no body.
    static func serve(_ descriptor: Int32, on group: any EventLoopGroup, bodyBytesMax: Int? = nil, answering: @escaping Answering) async throws -> LocalEndpoint {
        LocalEndpoint(channel: try await bootstrap(group, bodyBytesMax: bodyBytesMax, answering).withBoundSocket(descriptor).get())
    }

    private static func bootstrap(_ group: any EventLoopGroup, bodyBytesMax: Int?, _ answering: @escaping Answering) -> ServerBootstrap {
        ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 256)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(LocalEndpointHandler(bodyBytesMax, answering)) }
            }
    }
}

private final class LocalEndpointHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let answering: LocalEndpoint.Answering
    /// `nil`: GET and HEAD only.
    private let bodyBytesMax: Int?
    private var parser = RequestParser(limits: RequestLimits())
    private var head = RequestHead()
    private var received = ByteBuffer()
    private var deadline: Scheduled<Void>?
    /// The question whose body has not come whole, and how long that is.
    private var unfinished: (request: LocalRequest, bodyBytes: Int)?
    /// An answer is on its way; what comes meanwhile waits.
    private var isAnswering = false

    init(_ bodyBytesMax: Int?, _ answering: @escaping LocalEndpoint.Answering) {
        self.bodyBytesMax = bodyBytesMax
        self.answering = answering
    }

    func channelActive(context: ChannelHandlerContext) {
        // One deadline for the whole connection: probes are short.
        deadline = context.eventLoop.assumeIsolated().scheduleTask(in: .seconds(60)) { context.close(promise: nil) }
        context.fireChannelActive()
    }

    func channelInactive(context: ChannelHandlerContext) {
        deadline?.cancel()
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        received.writeBuffer(&bytes)
        guard received.readableBytes <= 128 * 1024 + (bodyBytesMax ?? 0) else { return context.close(promise: nil) }
        process(context)
    }

    private func process(_ context: ChannelHandlerContext) {
        while !isAnswering {
            if let (request, bodyBytes) = unfinished {
                guard let body = received.readBytes(length: bodyBytes) else { return }
                unfinished = nil
                var request = request
                request.body = body
                answer(request, isLast: !head.keepsAlive, context)
            } else {
                guard received.readableBytes > 0, readHead(context) else { return }
            }
        }
    }

    /// Reads one head; false where there is none, or nothing more to read.
    private func readHead(_ context: ChannelHandlerContext) -> Bool {
        do throws(RequestError) {
            guard try parser.parse(received.readableBytesUInt8Span, into: &head) else { return false }
        } catch {
            refuse(error.status, context)
            return false
        }
        guard let bytes = received.readSlice(length: head.byteCount) else { return false }
        parser.reset()
        let span = bytes.readableBytesUInt8Span
        var request = LocalRequest(method: head.method, path: String(copying: span.extracting(head.path.range)))
        if let query = head.query { request.query = String(copying: span.extracting(query.range)) }
        guard let bodyBytesMax else {
            guard head.method == .get || head.method == .head else {
                refuse(405, fields: [LocalAnswer.Field("allow", "GET, HEAD")], context)
                return false
            }
            // None of these paths takes a body, so that one is not read but ends the connection.
            answer(request, isLast: (head.framing != .none && head.framing != .length(0)) || !head.keepsAlive, context)
            return true
        }
        switch head.framing {
        case .none: unfinished = (request, 0)
        case .length(let count) where count <= UInt64(bodyBytesMax): unfinished = (request, Int(count))
        case .length:
            refuse(413, context)
            return false
        case .chunked, .untilClose:
            refuse(411, context)
            return false
        }
        return true
    }

    private func answer(_ request: LocalRequest, isLast: Bool, _ context: ChannelHandlerContext) {
        isAnswering = true
        answering(request, context.eventLoop).assumeIsolated().whenComplete { result in
            var answer: LocalAnswer
            switch result {
            case .success(let success): answer = success
            case .failure: answer = LocalAnswer(status: 500)
            }
            answer.closesConnection = answer.closesConnection || isLast
            self.isAnswering = false
            self.write(answer, context)
            if !answer.closesConnection { self.process(context) }
        }
    }

    private func refuse(_ status: Int, fields: [LocalAnswer.Field] = [], _ context: ChannelHandlerContext) {
        var answer = LocalAnswer(status: status)
        answer.fields = fields
        answer.closesConnection = true
        // Nothing is read behind it.
        isAnswering = true
        write(answer, context)
    }

    private func write(_ answer: LocalAnswer, _ context: ChannelHandlerContext) {
        var writer = HeadWriter(capacity: 512)
        writer.statusLine(answer.status, reason: nil)
        if let contentType = answer.contentType { writer.field("content-type", contentType) }
        writer.field("content-length", number: UInt64(answer.body.count))
        writer.field("cache-control", "no-store")
        for field in answer.fields { writer.field(field.name, field.value) }
        if answer.closesConnection { writer.field("connection", "close") }
        writer.end()
        var buffer = context.channel.allocator.buffer(capacity: writer.bytes.count + answer.body.count)
        buffer.writeBytes(writer.bytes)
        if head.method != .head { buffer.writeBytes(answer.body) }
        let written = context.writeAndFlush(wrapOutboundOut(buffer))
        if answer.closesConnection { written.assumeIsolated().whenComplete { _ in context.close(promise: nil) } }
    }
}

extension LocalAnswer {
    static func text(_ status: Int, _ text: String) -> LocalAnswer {
        var answer = LocalAnswer(status: status)
        answer.contentType = "text/plain; charset=utf-8"
        answer.body = Array((text.hasSuffix("\n") ? text : text + "\n").utf8)
        return answer
    }

    /// - Parameter json: without its last line end.
    static func json(_ status: Int, _ json: String) -> LocalAnswer {
        var answer = LocalAnswer(status: status)
        answer.body = Array((json + "\n").utf8)
        return answer
    }
}
