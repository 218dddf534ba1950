internal import HTTPTypes
internal import NIOCore
internal import NIOHTTP1
internal import NIOHTTPTypes
internal import NIOHTTPTypesHTTP1
internal import NIOWebSocket

/// Turns a connection into a WebSocket where one of its requests asks for it on the path that has one (RFC 6455 §4.2). It stands before the
/// HTTP server's own handlers and looks at every request, not only at the first: a proxy asks on connections that have served before.
final class WebSocketUpgrade: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundOut = HTTPResponsePart

    private let endpoint: WebSocketEndpoint
    /// The value that proves that the request was understood, until its last part is there.
    private var accepted: String?

    init(_ endpoint: WebSocketEndpoint) { self.endpoint = endpoint }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            accepted = accept(head)
            if accepted == nil { context.fireChannelRead(data) }
        case .body:
            if accepted == nil { context.fireChannelRead(data) }
        case .end:
            guard let accepted else { return context.fireChannelRead(data) }
            switchProtocols(context, accepted)
        }
    }

    private func accept(_ head: HTTPRequest) -> String? {
        let path = (head.path ?? "").split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false).first.map(String.init) ?? ""
        guard endpoint.paths.contains(path), head.method == .get, head.headerFields[.upgrade]?.lowercased() == "websocket",
            head.headerFields[.secWebSocketVersion] == "13", let key = head.headerFields[.secWebSocketKey], Base64.decodedStandard(key)?.count == 16
        else { return nil }
        return Base64.standard(Digest.sha1(Array((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").utf8)))
    }

    private func switchProtocols(_ context: ChannelHandlerContext, _ accepted: String) {
        var fields = HTTPFields()
        fields[.upgrade] = "websocket"
        fields[.connection] = "Upgrade"
        fields[.secWebSocketAccept] = accepted
        context.writeAndFlush(wrapOutboundOut(.head(HTTPResponse(status: .switchingProtocols, headerFields: fields))), promise: nil)
        let pipeline = context.pipeline.syncOperations
        do {
            let codec = try pipeline.context(handlerType: HTTP1ToHTTPServerCodec.self)
            let decoder = try pipeline.context(handlerType: ByteToMessageHandler<HTTPRequestDecoder>.self)
            let encoder = try pipeline.context(handlerType: HTTPResponseEncoder.self)
            try pipeline.addHandlers([
                WebSocketFrameEncoder(), ByteToMessageHandler(WebSocketFrameDecoder(maxFrameSize: WebSocketConversation.messageBytesMax)), WebSocketProtocolErrorHandler(),
                WebSocketConversation(endpoint),
            ], position: .after(self))
            for old in [codec, decoder, encoder] { pipeline.removeHandler(context: old, promise: nil) }
            pipeline.removeHandler(context: context, promise: nil)
        } catch { context.close(promise: nil) }
    }
}

/// Where a service speaks WebSocket, and what it says there.
struct WebSocketEndpoint: Sendable {
    var paths: [String]
    /// Runs as long as the connection, and is cancelled when that ends; the connection ends when it returns.
    var converse: @Sendable (WebSocketLine) async -> Void
}

/// A service's end of a WebSocket: whole text messages.
struct WebSocketLine: Sendable {
    /// What the client says, in order; it ends with the connection.
    var messages: AsyncStream<String>
    /// A client that does not take what it is sent is let go.
    var send: @Sendable (String) -> Void
}
