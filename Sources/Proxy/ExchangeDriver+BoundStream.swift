internal import Authentication
internal import GatewayTerms
internal import HTTPWire
internal import NIOCore

/// A stream that ends with the credential that let it in (D12); ``BoundStreams`` decides when.
extension ExchangeDriver {
    /// A WebSocket, another tunnel or an event stream begins. Those of public routes belong to nobody.
    func bindStream() {
        guard let identity, let id = connection?.id else { return }
        let age = worker.wallTime.advanced(by: snapshot.timeouts.streamAge.nanoseconds / 1_000_000_000)
        // Signed out or revoked while the upstream thought about its answer: it ends at the next tick.
        let isRevoked = worker.revocation.revokes(identity, now: worker.wallTime) != nil
        let latest = isRevoked ? worker.wallTime : min(age, loginEndsAt ?? identity.expiresAt)
        worker.boundStreams.begin(BoundStreams.Stream(
            exchange: number, connection: id, identity: identity, login: record.isLogin ? identity.tokenID : nil, end: loginExpiresAt ?? identity.expiresAt, latest: latest))
        isBound = true
    }

    /// An answer that goes on for as long as both sides like (WHATWG HTML §9.2).
    func isEventStream(_ response: borrowing ResponseHead, _ bytes: Span<UInt8>) -> Bool {
        guard let line = response.fields.first(where: { $0.field == .contentType }) else { return false }
        let value = bytes.extracting(line.value.range)
        let type: StaticString = "text/event-stream"
        return value.count >= type.utf8CodeUnitCount && type.spellsIgnoringCase(value.extracting(0..<type.utf8CodeUnitCount))
    }

    func unbindStream() {
        guard isBound else { return }
        isBound = false
        worker.boundStreams.ended(number)
    }

    /// Its credential is over.
    func endStream(exchange number: UInt64) {
        guard number == self.number, isBound else { return }
        isBound = false
        if exchange.state == .tunnelling { return closeTunnel(.loginEnded) }
        guard exchange.state == .forwarding, exchange.response == .headSent, let connection else { return }
        leaveUpstream(.cancelUpstream)
        record.details = "stream_login_ended"
        // An event stream that ends whole is asked for again by its page, which then meets the login.
        if responseFraming == .chunked {
            connection.endChunks([])
            _ = exchange.responseEnded()
            finish()
        } else {
            _ = exchange.responseEnded()
            writeLog()
            connection.abort()
        }
    }
}
