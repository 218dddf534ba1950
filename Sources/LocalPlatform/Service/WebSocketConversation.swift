internal import NIOCore
internal import NIOWebSocket

/// One open WebSocket: puts messages together, answers pings and closes (RFC 6455 §5.5), and lets the service talk.
final class WebSocketConversation: ChannelInboundHandler {
    typealias InboundIn = WebSocketFrame
    typealias OutboundOut = WebSocketFrame

    /// Longest message, in bytes; over it, 1009.
    static let messageBytesMax = 64 * 1024
    /// Messages that wait for the service; one more, and the client is let go with 1008.
    private static let messagesMax = 64

    private let endpoint: WebSocketEndpoint
    private var parts: ByteBuffer?
    private var heard: AsyncStream<String>.Continuation?
    private var conversation: Task<Void, Never>?
    private var hasClosed = false

    init(_ endpoint: WebSocketEndpoint) { self.endpoint = endpoint }

    func handlerAdded(context: ChannelHandlerContext) {
        let (messages, continuation) = AsyncStream.makeStream(of: String.self, bufferingPolicy: .bufferingOldest(Self.messagesMax))
        heard = continuation
        let me = NIOLoopBound(self, eventLoop: context.eventLoop), place = NIOLoopBound(context, eventLoop: context.eventLoop), loop = context.eventLoop
        let line = WebSocketLine(messages: messages) { text in
            loop.execute { me.value.send(text, place.value) }
        }
        let endpoint = endpoint
        conversation = Task {
            await endpoint.converse(line)
            loop.execute { me.value.close(.goingAway, place.value) }
        }
    }

    func handlerRemoved(context: ChannelHandlerContext) { end() }

    func channelInactive(context: ChannelHandlerContext) {
        end()
        context.fireChannelInactive()
    }

    private func end() {
        hasClosed = true
        heard?.finish()
        conversation?.cancel()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let frame = unwrapInboundIn(data)
        guard !hasClosed || frame.opcode == .connectionClose else { return }
        switch frame.opcode {
        case .text, .continuation: take(frame, context)
        case .binary: close(.unacceptableData, context)
        case .ping:
            context.writeAndFlush(wrapOutboundOut(WebSocketFrame(fin: true, opcode: .pong, data: frame.unmaskedData)), promise: nil)
        case .connectionClose:
            if hasClosed { return context.close(promise: nil) }
            hasClosed = true
            let answer = WebSocketFrame(fin: true, opcode: .connectionClose, data: frame.unmaskedData)
            let isSent = context.eventLoop.makePromise(of: Void.self)
            isSent.futureResult.assumeIsolated().whenComplete { _ in context.close(promise: nil) }
            context.writeAndFlush(wrapOutboundOut(answer), promise: isSent)
        default: break
        }
    }

    private func take(_ frame: WebSocketFrame, _ context: ChannelHandlerContext) {
        guard (frame.opcode == .text) == (parts == nil) else { return close(.protocolError, context) }
        var message = parts ?? ByteBuffer(), data = frame.unmaskedData
        guard message.readableBytes + data.readableBytes <= Self.messageBytesMax else { return close(.messageTooLarge, context) }
        message.writeBuffer(&data)
        guard frame.fin else { return parts = message }
        parts = nil
        guard let text = String(validating: message.readableBytesView, as: UTF8.self) else { return close(.dataInconsistentWithMessage, context) }
        if case .dropped? = heard?.yield(text) { close(.policyViolation, context) }
    }

    private func send(_ text: String, _ context: ChannelHandlerContext) {
        guard !hasClosed else { return }
        guard context.channel.isWritable else { return context.close(promise: nil) }
        context.writeAndFlush(wrapOutboundOut(WebSocketFrame(fin: true, opcode: .text, data: ByteBuffer(string: text))), promise: nil)
    }

    private func close(_ code: WebSocketErrorCode, _ context: ChannelHandlerContext) {
        guard !hasClosed, context.channel.isActive else { return }
        hasClosed = true
        var data = ByteBuffer()
        data.write(webSocketErrorCode: code)
        context.writeAndFlush(wrapOutboundOut(WebSocketFrame(fin: true, opcode: .connectionClose, data: data)), promise: nil)
        // The client answers with its own Close; one that does not is not waited for.
        let place = NIOLoopBound(context, eventLoop: context.eventLoop)
        context.eventLoop.scheduleTask(in: .seconds(5)) { place.value.close(promise: nil) }
    }
}
