internal import Authentication
internal import GatewayTerms
internal import HTTPWire
internal import NIOCore
internal import Routing

/// Choose endpoint and forward: an exchange gets a connection to its upstream and sends the request over it.
extension ExchangeDriver {
    // MARK: - choose endpoint

    func chooseEndpoint(avoiding: EndpointPool?) {
        guard let destination, case .upstream(let index, _) = destination.route.target, let connection else { return }
        let upstream = snapshot.upstreams[index]
        guard let pool = worker.pool(ofUpstream: index, in: snapshot, avoiding: avoiding, key: { self.balancingKey(upstream) }) else { return answer(.noEndpoint) }
        self.pool = pool
        record.queued = worker.now
        connection.expect(.connection, within: upstream.pendingTimeout + upstream.connectTimeout)
        switch pool.acquire(self) {
        case .given: break
        case .waits(let request): waitingRequest = request
        case .refused: answer(.overloaded)
        }
    }

    /// What a hashing upstream tells callers apart by; a caller without a login by its address.
    private func balancingKey(_ upstream: Upstream) -> String {
        if upstream.balance == .hashLoginSession, let identity { return identity.subject }
        let bytes = bytes
        return connection?.client.address(head, bytes.readableBytesUInt8Span)?.description ?? ""
    }

    func connectionFailed(_ fault: Fault, pool: EndpointPool) {
        waitingRequest = nil
        countFailure(fault)
        guard let destination, case .upstream(let index, _) = destination.route.target else { return }
        record.upstreamAddress = pool.endpoint.name
        switch exchange.connectionFailed(canHelp: snapshot.upstreams[index].endpoints.count > 1) {
        case .retry:
            countRetry()
            chooseEndpoint(avoiding: pool)
        case .answer: answerFailure(fault)
        case .abort, .none: break
        }
    }

    // MARK: - forward

    func connectionReady(_ upstream: UpstreamConnection) {
        guard let destination, let connection else { return }
        waitingRequest = nil
        upstreamConnection = upstream
        upstream.lease(to: self, method: head.method)
        exchange.connectionReady()
        let now = worker.now
        record.forwarded = now
        record.dialled = upstream.servedCount == 0 ? max(upstream.dialStarted, record.queued ?? now) : nil
        record.upstreamAddress = upstream.endpoint.name
        let facts = ForwardedFacts(
            forwardedFor: connection.client.addressText(head, bytes.readableBytesUInt8Span), isSecure: connection.client.isSecure,
            publicPort: connection.client.rules.publicPort, requestID: record.requestText, trace: record.trace, isTraceContinued: record.isTraceContinued)
        ForwardedHead.write(head, bytes.readableBytesUInt8Span, destination, identity: identity, facts: facts, into: &worker.headWriter)
        var buffer = worker.scratch.takeRequest(minimum: worker.headWriter.bytes.count)
        buffer.writeBytes(worker.headWriter.bytes)
        upstream.write(buffer)
        if exchange.request == .complete {
            upstream.flush()
            connection.expect(.response, within: destination.route.responseTimeout, from: now)
        } else {
            connection.expect(.body, within: snapshot.timeouts.bodyIdle, from: now)
            if head.expectsContinue { sendContinue() }
            upstream.flush()
            connection.resume()
        }
        worker.scratch.giveBackRequest(&buffer)
    }

    func sendContinue() {
        guard !isContinued, let connection, connection.hasReceivedNoBody else { return }
        isContinued = true
        worker.headWriter.removeAll()
        worker.headWriter.statusLine(100, reason: nil)
        worker.headWriter.end()
        connection.writeInformational(worker.headWriter.bytes)
        connection.flush()
    }

    /// Over it, 413.
    var bodyBytesMax: UInt64 { UInt64(max(0, destination?.route.bodyBytesMax.bytes ?? Int.max)) }

    /// What the connection is to do with body bytes now.
    var bodyAction: Exchange.BodyAction {
        let action = exchange.bodyArrived()
        if action == .forward, let upstreamConnection, !upstreamConnection.isWritable { return .hold }
        return action
    }

    func bodyArrived(_ data: ByteBuffer) {
        guard let upstreamConnection else { return }
        record.bytesIn += data.readableBytes
        if head.framing == .chunked {
            var prefix = ByteBuffer()
            ChunkPrefix(size: data.readableBytes).withBytes { prefix.write($0) }
            upstreamConnection.write(prefix)
            upstreamConnection.write(data)
            upstreamConnection.write(ByteBuffer(staticString: ChunkPrefix.suffix))
        } else {
            upstreamConnection.write(data)
        }
    }

    /// The request's last byte is there; trailers are dropped unless the route names them (B15).
    func bodyEnded(trailers: [UInt8]) {
        guard exchange.requestEnded(), let upstreamConnection, let destination else { return }
        if head.framing == .chunked {
            let kept = Trailers.kept(trailers, allowed: destination.route.trailersAllowed)
            if kept.isEmpty {
                upstreamConnection.write(ByteBuffer(staticString: ChunkPrefix.last))
            } else {
                upstreamConnection.write(ByteBuffer(bytes: Array("0\r\n".utf8) + kept + Array("\r\n".utf8)))
            }
        }
        upstreamConnection.flush()
        if exchange.response == .none { connection?.expect(.response, within: destination.route.responseTimeout) }
    }

    func downstreamReadComplete() { upstreamConnection?.flush() }

    /// The upstream takes bytes again.
    func upstreamWritabilityChanged() {
        guard let upstreamConnection, upstreamConnection.isWritable else { return }
        connection?.resume()
    }
}
