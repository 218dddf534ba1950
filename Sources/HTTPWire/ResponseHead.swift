package import GatewayTerms

/// How much of a response's head is read. Over a limit the response is refused: 502, the upstream's fault.
package struct ResponseLimits: Sendable, Equatable {
    /// Status line and field section, in bytes. Range 1 KiB…1 MiB.
    package var headBytesMax = 64 * 1024
    package var fieldsMax = 200
    /// Status line, or one field line, without its CRLF, in bytes.
    package var fieldLineBytesMax = 32 * 1024

    package init() {}
}

/// One response's head as the parser read it. Reused from response to response.
package struct ResponseHead: Sendable {
    /// 100…999 (RFC 9110 §15).
    package internal(set) var status = 0
    package internal(set) var version = HTTPVersion.http11
    /// May be empty.
    package internal(set) var reason = Slice.empty
    /// A Content-Length that repeats another one is left out.
    package internal(set) var fields: [FieldLine] = []
    /// `.none` also for an answer to HEAD and for 1xx, 204 and 304, whatever its fields say (RFC 9112 §6.3).
    package internal(set) var framing = MessageFraming.none
    /// What Content-Length says, also where no body follows: the length that GET would have had (RFC 9110 §8.6).
    package internal(set) var contentLength: UInt64?
    /// The connection may carry another exchange once the body has ended.
    package internal(set) var keepsAlive = true
    /// The protocol that 101 switches to; `nil` for every other status.
    package internal(set) var upgrade: Slice?
    package internal(set) var byteCount = 0

    package init() {}

    /// The value of the first such field line.
    package func value(of field: FieldName) -> Slice? {
        for line in fields where line.field == field { return line.value }
        return nil
    }

    mutating func removeAll() {
        fields.removeAll(keepingCapacity: true)
        status = 0
        reason = .empty
        framing = .none
        contentLength = nil
        keepsAlive = true
        upgrade = nil
        byteCount = 0
    }
}
