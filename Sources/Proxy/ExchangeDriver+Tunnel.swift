internal import GatewayTerms
internal import HTTPWire
internal import NIOCore

/// The exchange behind a switch of protocols; ``Tunnel`` decides what passes.
extension ExchangeDriver {
    func beginTunnel(_ response: borrowing ResponseHead, _ bytes: ByteBuffer) {
        guard let connection else { return }
        let span = bytes.readableBytesUInt8Span
        let isWebSocket = response.upgrade.map { ("websocket" as StaticString).spellsIgnoringCase(span.extracting($0.range)) } ?? false
        tunnel = Tunnel(isWebSocket: isWebSocket)
        record.isWebSocket = isWebSocket
        worker.openTunnels += 1
        ResponseFields.writeSwitch(response, span, requestID: record.requestText, setCookies: setCookies, into: &worker.headWriter)
        connection.writeHead(worker.headWriter.bytes)
        connection.flush()
        connection.expect(.tunnel, within: snapshot.timeouts.streamIdle, from: worker.now)
        bindStream()
        connection.beginTunnel()
    }

    func tunnelFromClient(_ data: ByteBuffer) {
        record.bytesIn += data.readableBytes
        guard let passage = tunnel?.clientSent(data.readableBytesUInt8Span) else { return }
        if let upstreamConnection {
            if let passing = data.getSlice(at: data.readerIndex, length: passage.count), passage.count > 0 { upstreamConnection.write(passing) }
            if passage.closes { closeTowardsUpstream() }
            upstreamConnection.flush()
        }
        finishTunnelIfOver()
    }

    func tunnelFromUpstream(_ data: ByteBuffer) {
        guard let connection, let passage = tunnel?.upstreamSent(data.readableBytesUInt8Span) else { return }
        if let passing = data.getSlice(at: data.readerIndex, length: passage.count), passage.count > 0 {
            record.bytesOut += passage.count
            connection.write(passing)
        }
        if passage.closes { closeTowardsClient() }
        finishTunnelIfOver()
    }

    /// The client of a tunnel may be read on.
    var tunnelIsWritable: Bool { tunnel?.dropsClient == true || upstreamConnection?.isWritable ?? false }

    /// The upstream has closed.
    func tunnelEnded() {
        upstreamConnection = nil
        guard tunnel?.upstreamLeft() ?? true else { return }
        finishTunnel(left: .upstream)
    }

    // MARK: - The gateway ends it

    /// Ends the tunnel, if there is one: a WebSocket with a Close frame to both sides, each where its frame under way ends; anything else is cut.
    func closeTunnel(_ end: TunnelEnd) {
        guard exchange.state == .tunnelling, let connection, let action = tunnel?.end(end) else { return }
        switch action {
        case .none: break
        case .cut: finishTunnel(left: .upstream)
        case .close(let client, let upstream):
            if client { closeTowardsClient() }
            if upstream { closeTowardsUpstream() }
            connection.flush()
            upstreamConnection?.flush()
            connection.expect(.closeHandshake, within: snapshot.timeouts.closeHandshake)
            // Whoever was held up: what it says from here on is only looked at.
            if tunnel?.dropsUpstream == true { upstreamConnection?.setReading(true) }
            connection.resume()
            finishTunnelIfOver()
        }
    }

    func tunnelDeadlinePassed(_ wait: DownstreamConnection.Wait) {
        guard wait != .closeHandshake else { return finishTunnel(left: .upstream) }
        record.flags.insert(.streamIdle)
        closeTunnel(.idle)
    }

    private func closeTowardsClient() {
        guard let end = tunnel?.end else { return }
        connection?.write(WebSocketCloseFrame.bytes(code: end.code, reason: end.reason, maskingKey: nil))
    }

    private func closeTowardsUpstream() {
        guard let end = tunnel?.end else { return }
        upstreamConnection?.write(ByteBuffer(bytes: WebSocketCloseFrame.bytes(code: end.code, reason: end.reason, maskingKey: .random(in: .min ... .max))))
    }

    // MARK: - The end

    private func finishTunnelIfOver() {
        if tunnel?.isOver == true { finishTunnel(left: .upstream) }
    }

    private func finishTunnel(left: Tunnel.Side) {
        noteTunnelEnd(left: left)
        leaveUpstream(.cancelUpstream)
        _ = exchange.responseEnded()
        keepsAlive = false
        finish()
    }

    func noteTunnelEnd(left: Tunnel.Side) {
        guard let tunnel else { return }
        record.details = tunnel.closing(left: left)
        if left == .client, tunnel.end == nil, !tunnel.hasClosedWhole { record.flags.insert(.downstreamClosed) }
    }

    /// It is logged, and no longer counted as open.
    func forgetTunnel() {
        guard tunnel != nil else { return }
        tunnel = nil
        worker.openTunnels -= 1
    }
}
