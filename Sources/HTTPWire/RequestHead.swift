package import GatewayTerms

/// One request's head as the parser read it: facts, and places in the buffer that was parsed. Reused from request to
/// request, so that a head costs no allocation.
package struct RequestHead: Sendable {
    package internal(set) var method = Method.get
    /// As it was sent.
    package internal(set) var target = Slice.empty
    /// The target's path, still raw: `CanonicalPath` reads it. `/` for an absolute-form target without a path.
    package internal(set) var path = Slice.empty
    /// Behind the first `?`; empty for `/?`, `nil` without one. Visible ASCII without `#`.
    package internal(set) var query: Slice?
    /// `host[:port]` of `Host`, which an absolute-form target repeats (RFC 9112 §3.2.2).
    package internal(set) var authority = Slice.empty
    package internal(set) var version = HTTPVersion.http11
    /// In the order in which they came.
    package internal(set) var fields: [FieldLine] = []
    /// Never `.untilClose`.
    package internal(set) var framing = MessageFraming.none
    /// The client will send another request on this connection. Never for HTTP/1.0 (B11).
    package internal(set) var keepsAlive = true
    /// The client waits for 100 (Continue) before it sends the body that it announced (RFC 9110 §10.1.1).
    package internal(set) var expectsContinue = false
    /// The protocol to switch to, when the client asks for one properly (RFC 9110 §7.8); `nil` for a switch to HTTP/2, which
    /// is asked for by ALPN here, and in HTTP/1.0.
    package internal(set) var upgrade: Slice?
    /// Length of the head, with a skipped empty line before it and the empty line that ends it.
    package internal(set) var byteCount = 0
    /// `OPTIONS *`, or OPTIONS with an absolute-form target that has neither path nor query (RFC 9112 §3.2.4): asks about the
    /// server, not about a resource.
    package internal(set) var isAsteriskForm = false

    package init() {}

    /// The value of the first such field line.
    package func value(of field: FieldName) -> Slice? {
        for line in fields where line.field == field { return line.value }
        return nil
    }

    mutating func removeAll() {
        fields.removeAll(keepingCapacity: true)
        method = .get
        query = nil
        authority = .empty
        framing = .none
        keepsAlive = true
        expectsContinue = false
        upgrade = nil
        byteCount = 0
        isAsteriskForm = false
        target = .empty
        path = .empty
    }
}

extension Slice {
    static let empty = Slice(start: 0, count: 0)
}
