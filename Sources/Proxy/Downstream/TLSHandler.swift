internal import NIOCore
internal import TLS

/// Ciphertext on the socket's side, plaintext on the other: the one place where a `TLSConnection` meets a channel. Serves both sides;
/// which one, the connection that it is given knows.
final class TLSHandler: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// What the connection above wants to hear of.
    protocol Listener: AnyObject {
        func handshakeCompleted(_ facts: TLSFacts)
        func tlsFailed(_ error: TLSError, duringHandshake: Bool)
    }

    private enum State { case handshaking, open, closed }

    private var tls: TLSConnection
    private var state = State.handshaking
    private weak var listener: (any Listener)?
    private let scratch: Scratch
    /// Plaintext that was written and not yet flushed, in order.
    private var pending: [ByteBuffer] = []

    init(_ tls: consuming TLSConnection, listener: any Listener, scratch: Scratch) {
        self.tls = tls
        self.listener = listener
        self.scratch = scratch
    }

    /// A client speaks first.
    func channelActive(context: ChannelHandlerContext) {
        advanceHandshake(context)
        context.fireChannelActive()
    }

    func handlerAdded(context: ChannelHandlerContext) {
        if context.channel.isActive { advanceHandshake(context) }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let ciphertext = unwrapInboundIn(data)
        guard state != .closed else { return }
        var plaintext = scratch.takePlaintext(minimum: ciphertext.readableBytes + 64)
        var failure: TLSError?
        var isClosed = false
        unsafe ciphertext.withUnsafeReadableBytes { bytes in
            unsafe tls.lend(bytes)
            defer { tls.reclaim() }
            do throws(TLSError) {
                if state == .handshaking {
                    guard try tls.handshake() == .complete else { return }
                    handshakeIsComplete()
                }
                isClosed = try read(into: &plaintext) == .closed
            } catch { failure = error }
        }
        sendOutput(context)
        if plaintext.readableBytes > 0 {
            context.fireChannelRead(wrapInboundOut(plaintext))
        }
        if let failure {
            fail(failure, context)
        } else if isClosed {
            state = .closed
            context.close(promise: nil)
        }
    }

    private func read(into plaintext: inout ByteBuffer) throws(TLSError) -> TLSConnection.ReadOutcome {
        while true {
            if plaintext.writableBytes == 0 { plaintext.reserveCapacity(minimumWritableBytes: 16_384) }
            var outcome: Result<TLSConnection.ReadOutcome, TLSError> = .success(.wantsInput)
            unsafe _ = plaintext.writeWithUnsafeMutableBytes(minimumWritableBytes: 1) { room in
                do throws(TLSError) {
                    let read = unsafe try tls.read(into: room)
                    outcome = .success(read)
                    if case .bytes(let count) = read { return count }
                } catch { outcome = .failure(error) }
                return 0
            }
            let result = try outcome.get()
            guard case .bytes = result else { return result }
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        switch state {
        case .handshaking: listener?.tlsFailed(.peer(reason: "the peer left during the handshake"), duringHandshake: true)
        // Anybody on the way can end TCP; only the peer can say close_notify (RFC 9112 §9.8).
        case .open: listener?.tlsFailed(.peer(reason: "the peer left without close_notify"), duringHandshake: false)
        case .closed: break
        }
        state = .closed
        context.fireChannelInactive()
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        // The connection above passes no promises (DESIGN §4.1).
        promise?.succeed()
        pending.append(unwrapOutboundIn(data))
    }

    func flush(context: ChannelHandlerContext) {
        guard state == .open, !pending.isEmpty else { return }
        let count = pending.reduce(0) { $0 + $1.readableBytes }
        var ciphertext = scratch.takeCiphertext(minimum: TLSConnection.ciphertextCountMax(count) + pending.count * 32)
        var failure: TLSError?
        for plaintext in pending where plaintext.readableBytes > 0 {
            unsafe plaintext.withUnsafeReadableBytes { source in
                unsafe _ = ciphertext.writeWithUnsafeMutableBytes(minimumWritableBytes: TLSConnection.ciphertextCountMax(source.count)) { room in
                    do throws(TLSError) { return unsafe try tls.write(source, into: room) } catch { failure = error }
                    return 0
                }
            }
        }
        pending.removeAll(keepingCapacity: true)
        sendOutput(context)
        context.writeAndFlush(wrapOutboundOut(ciphertext), promise: nil)
        scratch.giveBackCiphertext(&ciphertext)
        if let failure { fail(failure, context) }
    }

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        if state == .open, mode != .input {
            tls.shutdown()
            sendOutput(context)
        }
        if mode == .all { state = .closed }
        context.close(mode: mode, promise: promise)
    }

    private func advanceHandshake(_ context: ChannelHandlerContext) {
        guard state == .handshaking else { return }
        do throws(TLSError) {
            if try tls.handshake() == .complete { handshakeIsComplete() }
            sendOutput(context)
        } catch { fail(error, context) }
    }

    private func handshakeIsComplete() {
        state = .open
        listener?.handshakeCompleted(TLSFacts(
            version: tls.version, cipher: tls.cipher, serverName: tls.serverName, isResumed: tls.isResumed, applicationProtocol: tls.applicationProtocol))
    }

    private func fail(_ error: TLSError, _ context: ChannelHandlerContext) {
        guard state != .closed else { return }
        let wasHandshaking = state == .handshaking
        state = .closed
        sendOutput(context)
        listener?.tlsFailed(error, duringHandshake: wasHandshaking)
        context.close(promise: nil)
    }

    /// Alerts, handshake flights, tickets and key updates.
    private func sendOutput(_ context: ChannelHandlerContext) {
        let output = tls.takeOutput()
        if !output.isEmpty { context.writeAndFlush(wrapOutboundOut(context.channel.allocator.buffer(bytes: output)), promise: nil) }
    }
}
