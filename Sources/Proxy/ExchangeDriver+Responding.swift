internal import Authentication
internal import GatewayTerms
internal import HTTPWire
internal import NIOCore
internal import Routing

/// Respond: what the upstream says goes on to the client.
extension ExchangeDriver {
    func informationalArrived(_ response: borrowing ResponseHead, _ bytes: ByteBuffer) {
        guard let connection, exchange.state == .forwarding else { return }
        // 100 is ours to say (B11); what else is there goes on to clients that can know it (RFC 9110 §15.2).
        if response.status == 100 {
            if head.expectsContinue { sendContinue() }
            return
        }
        guard head.version != .http10 else { return }
        ResponseFields.writeInformational(response, bytes.readableBytesUInt8Span, into: &worker.headWriter)
        connection.writeInformational(worker.headWriter.bytes)
    }

    func responseHeadArrived(_ response: borrowing ResponseHead, _ bytes: ByteBuffer, switchesProtocols: Bool) {
        guard let connection, let destination else { return }
        if switchesProtocols, head.upgrade == nil || response.upgrade == nil {
            upstreamConnection?.close()
            upstreamConnection = nil
            return upstreamFailed(.responseMalformed(.upgradeUnasked), wasReused: false)
        }
        let action = exchange.responseHeadArrived(switchesProtocols: switchesProtocols)
        let now = worker.now
        record.responded = now
        record.status = response.status
        record.upstreamStatus = response.status
        switch action {
        case .ignore: return
        case .hold:
            upstreamConnection?.setReading(false)
            hold(.head(copy response, bytes, switchesProtocols: switchesProtocols))
        case .tunnel: beginTunnel(response, bytes)
        case .forward:
            let coding = chooseCoding(response, bytes)
            frame(response, coding)
            let facts = ResponseFields.Facts(
                requestID: record.requestText, framing: responseFraming, keepsAlive: keepsAlive,
                sendsTransportSecurity: destination.stage.sendsTransportSecurity && connection.client.isSecure, setCookies: setCookies,
                hidesFromOtherOrigins: !destination.route.credentials.isEmpty, coding: coding)
            let date = worker.date(worker.wallTime)
            ResponseFields.write(response, bytes.readableBytesUInt8Span, facts: facts, date: date, into: &worker.headWriter)
            connection.writeHead(worker.headWriter.bytes)
            if isEventStream(response, bytes.readableBytesUInt8Span) { bindStream() }
            connection.expect(exchange.request == .complete ? .stream : .body, within: snapshot.timeouts.streamIdle, from: now)
        }
    }

    /// The login's cookies for a head that leaves now: later they could overtake newer ones.
    var setCookies: [String] { cookieUpdate?.lines(at: worker.wallTime) ?? [] }

    private func frame(_ response: borrowing ResponseHead, _ coding: ContentCoding) {
        if connection?.isLeaving == true { keepsAlive = false }
        switch response.framing {
        case .length where coding == .gzip: responseFraming = .chunked
        case .length(let count): responseFraming = .length(count)
        case .none where coding == .gzip: responseFraming = .none
        case .none:
            // An answer to HEAD and 304 may say the length of what they stand for.
            responseFraming = .none
            if head.method == .head || response.status == 304, let length = response.contentLength { responseFraming = .length(length) }
        case .chunked, .untilClose:
            if head.version == .http10 {
                responseFraming = .untilClose
                keepsAlive = false
            } else {
                responseFraming = .chunked
            }
        }
    }

    func responseBodyArrived(_ data: ByteBuffer) {
        guard let connection, exchange.response == .headSent else { return }
        if compressor != nil { return compress(data) }
        record.bytesOut += data.readableBytes
        if responseFraming == .chunked {
            connection.writeChunk(data)
        } else {
            connection.write(data)
        }
    }

    /// All that one read of the upstream gave has been handed on: send it, and see whether the client keeps up.
    func upstreamReadComplete() {
        guard let connection else { return }
        if compressor != nil { flushCompressor() }
        connection.flush()
        if exchange.response == .headSent, !connection.isWritable, tunnel?.dropsUpstream != true { upstreamConnection?.setReading(false) }
    }

    /// The client takes bytes again.
    func downstreamWritabilityChanged() {
        guard let connection, connection.isWritable, exchange.state != .holding else { return }
        upstreamConnection?.setReading(true)
        // What the upstream's connection held back meanwhile was written just now.
        if compressor != nil { flushCompressor() }
        connection.flush()
    }

    /// The response's last byte has been read.
    func responseEnded(trailers: [UInt8], connectionIsReusable: Bool) {
        guard let connection, let upstreamConnection, let destination else { return }
        if compressor != nil {
            guard finishCompressor() else { return }
        }
        if responseFraming == .chunked {
            connection.endChunks(Trailers.kept(trailers, allowed: destination.route.trailersAllowed))
        }
        self.upstreamConnection = nil
        let action = exchange.responseEnded()
        if action == .reuseUpstream, connectionIsReusable {
            pool?.connectionFreed(upstreamConnection)
        } else {
            pool?.connectionLost(upstreamConnection)
            upstreamConnection.close()
        }
        finish()
    }
}
