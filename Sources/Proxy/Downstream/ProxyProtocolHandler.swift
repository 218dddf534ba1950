internal import GatewayTerms
internal import NIOCore

/// First on connections of a listener with `client_address: proxy_protocol`: takes the header off, tells the connection who its client
/// is, and leaves the pipeline. A peer that is not trusted, or sends no header, is closed.
final class ProxyProtocolHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private let connection: DownstreamConnection
    private var received: ByteBuffer?

    init(_ connection: DownstreamConnection) { self.connection = connection }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        if var earlier = received {
            earlier.writeBuffer(&bytes)
            bytes = earlier
        }
        switch ProxyProtocolHeader.read(Array(bytes.readableBytesView.prefix(ProxyProtocolHeader.byteCountMax))) {
        case .needsMore:
            received = bytes
        case .refused(let refusal):
            connection.proxyProtocolRefused(refusal)
            context.close(promise: nil)
        case .header(let header, let byteCount):
            received = nil
            connection.clientIsKnown(header)
            bytes.moveReaderIndex(forwardBy: byteCount)
            // What came behind the header goes on first: a context that has left its pipeline leads nowhere.
            if bytes.readableBytes > 0 { context.fireChannelRead(wrapInboundOut(bytes)) }
            context.pipeline.syncOperations.removeHandler(self, promise: nil)
        }
    }
}
