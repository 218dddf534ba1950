internal import Authentication
internal import GatewayTerms
internal import HTTPWire
internal import Routing

/// What the upstream must know of the client's side.
struct ForwardedFacts {
    /// The client's address.
    var forwardedFor: String?
    var isSecure: Bool
    var publicPort: Int
    var requestID: InlineArray<36, UInt8>
    /// The gateway's own span.
    var trace: TraceContext
    /// The trace came from the client, and so its `tracestate` goes with it.
    var isTraceContinued: Bool
}

/// Writes the head of a request as the upstream gets it (A8, B10, C9): the canonical path, the client's end-to-end fields, and what only
/// the gateway may say. Nothing is copied whole: each field is let through for a reason.
enum ForwardedHead {
    static func write(
        _ head: borrowing RequestHead, _ bytes: Span<UInt8>, _ destination: Admission.Destination, identity: Identity?, facts: borrowing ForwardedFacts,
        into writer: inout HeadWriter
    ) {
        writer.removeAll()
        let path = destination.path.bytes
        let rewrite: PathRewrite = if case .upstream(_, let rewrite) = destination.route.target { rewrite } else { .keep }
        let query = head.query.map(\.range)
        if let range = rewrite.range(in: destination.path, prefixCount: destination.prefixCount) {
            requestLine(&writer, head.method, path.span.extracting(range), query, bytes)
        } else {
            let root: InlineArray<1, UInt8> = [UInt8(ascii: "/")]
            requestLine(&writer, head.method, root.span, query, bytes)
        }
        writer.field("host", bytes.extracting(head.authority.range))
        for line in head.fields where passes(line, destination.route, facts) {
            if line.field == .cookie, destination.stage.login != nil {
                writeCookie(bytes.extracting(line.value.range), into: &writer)
            } else if line.field == .ifNoneMatch, destination.route.compresses {
                writeTags(bytes.extracting(line.value.range), into: &writer)
            } else {
                writer.rawField(name: bytes.extracting(line.name.range), value: bytes.extracting(line.value.range))
            }
        }
        switch head.framing {
        case .none, .untilClose: break
        case .length(let count): writer.field("content-length", number: count)
        case .chunked: writer.field("transfer-encoding", "chunked")
        }
        if let upgrade = head.upgrade {
            writer.field("connection", "upgrade")
            writer.field("upgrade", bytes.extracting(upgrade.range))
        }
        writer.field("x-request-id", facts.requestID.span)
        let trace = facts.trace.text
        writer.field("traceparent", trace.span)
        if let client = facts.forwardedFor { writer.field("x-forwarded-for", client) }
        writer.field("x-forwarded-proto", facts.isSecure ? "https" : "http")
        writer.field("x-forwarded-host", bytes.extracting(head.authority.range))
        writer.field("x-forwarded-port", number: UInt64(facts.publicPort))
        if let fields = identity?.forwardedFields { writer.lines(fields.span) }
        writer.end()
    }

    /// Without the login's own cookies, whatever the route's credentials are (D17).
    private static func writeCookie(_ field: Span<UInt8>, into writer: inout HeadWriter) {
        switch LoginCookies.forwarded(field) {
        case .unchanged: writer.field("cookie", field)
        case .replaced(let value): writer.field("cookie", value.span)
        case .nothing: break
        }
    }

    /// The tags that the client asks with, and behind them the strong forms of the weak ones: the gateway may have weakened a tag when it
    /// compressed what stood behind it, and not every server compares weakly, as RFC 9110 §13.1.2 wants it.
    private static func writeTags(_ value: Span<UInt8>, into writer: inout HeadWriter) {
        guard value.count <= tagsBytesMax else { return writer.field("if-none-match", value) }
        var tags = Array(copying: value)
        var position = 0
        while position + 2 < value.count {
            guard value[position] == UInt8(ascii: "W"), value[position + 1] == UInt8(ascii: "/"), value[position + 2] == UInt8(ascii: "\"") else {
                position += 1
                continue
            }
            var end = position + 3
            while end < value.count, value[end] != UInt8(ascii: "\"") { end += 1 }
            guard end < value.count else { break }
            tags += Array(", ".utf8) + Array(copying: value.extracting(position + 2...end))
            position = end + 1
        }
        writer.field("if-none-match", tags.span)
    }

    /// A longer list goes on as it is: upstreams have limits too.
    private static let tagsBytesMax = 1024

    private static func requestLine(_ writer: inout HeadWriter, _ method: Method, _ path: Span<UInt8>, _ query: Range<Int>?, _ bytes: Span<UInt8>) {
        if let query {
            writer.requestLine(method, path: path, query: bytes.extracting(query))
        } else {
            writer.requestLine(method, path: path, query: nil)
        }
    }

    private static func passes(_ line: FieldLine, _ route: Route, _ facts: borrowing ForwardedFacts) -> Bool {
        if line.isHopByHop { return false }
        return switch line.field {
        // Written anew from what was decided.
        case .host, .contentLength, .transferEncoding, .connection, .upgrade, .expect, .xRequestID, .traceparent: false
        case .tracestate: facts.isTraceContinued
        // Only the gateway may say these.
        case .forwardedFamily: false
        case .authorization: route.forwardsAuthorization
        case .apiKey: route.forwardsAuthorization || !route.credentials.contains(.apiKey)
        default: true
        }
    }
}
