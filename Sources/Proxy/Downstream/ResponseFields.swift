internal import GatewayTerms
internal import HTTPWire

/// How the body of a response is framed towards the client.
enum ResponseFraming: Equatable {
    /// No body follows, and no length is said (1xx, 204, answers to HEAD without a length).
    case none
    /// The length that the fields say; nothing may follow for HEAD and 304.
    case length(UInt64)
    case chunked
    /// Until close: for HTTP/1.0 clients.
    case untilClose
}

/// Writes the head of an upstream's response as the client gets it: end-to-end fields, framing of this connection, the request id.
enum ResponseFields {
    struct Facts {
        var requestID: InlineArray<36, UInt8>
        var framing: ResponseFraming
        var keepsAlive: Bool
        var sendsTransportSecurity: Bool
        /// The login's cookies, for an answer that is on its way anyway.
        var setCookies: [String] = []
        /// The route needs credentials, so no other origin is welcome to its answers.
        var hidesFromOtherOrigins: Bool
        var coding: ContentCoding
    }

    static func write(_ head: borrowing ResponseHead, _ bytes: Span<UInt8>, facts: borrowing Facts, date: String, into writer: inout HeadWriter) {
        writer.removeAll()
        writer.statusLine(head.status, reason: bytes.extracting(head.reason.range))
        var hasDate = false
        let isCoded = facts.coding == .gzip
        for line in head.fields where !line.isHopByHop {
            switch line.field {
            case .contentLength, .transferEncoding, .connection, .upgrade, .xRequestID: continue
            case .strictTransportSecurity where facts.sendsTransportSecurity: continue
            case .accessControlAllowOrigin where facts.hidesFromOtherOrigins: continue
            case .date: hasDate = true
            case .contentEncoding where isCoded: continue
            case .etag where isCoded || facts.coding == .revalidated:
                writeWeakly(bytes.extracting(line.name.range), bytes.extracting(line.value.range), into: &writer)
                continue
            // Ranges of what leaves here cannot be had.
            case .other where isCoded && ("accept-ranges" as StaticString).spellsIgnoringCase(bytes.extracting(line.name.range)): continue
            default: break
            }
            writer.rawField(name: bytes.extracting(line.name.range), value: bytes.extracting(line.value.range))
        }
        if !hasDate { writer.field("date", date) }
        if isCoded { writer.field("content-encoding", "gzip") }
        if isCoded || facts.coding == .varies, !variesByEncoding(head, bytes) { writer.field("vary", "accept-encoding") }
        writer.field("x-request-id", facts.requestID.span)
        for cookie in facts.setCookies { writer.field("set-cookie", cookie) }
        if facts.sendsTransportSecurity { writer.field("strict-transport-security", "max-age=31536000") }
        switch facts.framing {
        case .none: break
        case .length(let count): writer.field("content-length", number: count)
        case .chunked: writer.field("transfer-encoding", "chunked")
        case .untilClose: break
        }
        if !facts.keepsAlive { writer.field("connection", "close") }
        writer.end()
    }

    /// What is coded anew is no longer the same byte for byte (RFC 9110 §8.8.1).
    private static func writeWeakly(_ name: Span<UInt8>, _ tag: Span<UInt8>, into writer: inout HeadWriter) {
        if tag.count > 0, tag[0] == UInt8(ascii: "\"") {
            writer.field("etag", (Array("W/".utf8) + Array(copying: tag)).span)
        } else {
            writer.rawField(name: name, value: tag)
        }
    }

    private static func variesByEncoding(_ head: borrowing ResponseHead, _ bytes: Span<UInt8>) -> Bool {
        for line in head.fields where line.field == .vary {
            let value = bytes.extracting(line.value.range)
            if value.listContains("accept-encoding") || value.listContains("*") { return true }
        }
        return false
    }

    /// 101: the switch itself is hop-by-hop, so its fields are said again.
    static func writeSwitch(_ head: borrowing ResponseHead, _ bytes: Span<UInt8>, requestID: borrowing InlineArray<36, UInt8>, setCookies: [String], into writer: inout HeadWriter) {
        writer.removeAll()
        writer.statusLine(101, reason: nil)
        for line in head.fields where !line.isHopByHop && line.field != .contentLength && line.field != .xRequestID {
            writer.rawField(name: bytes.extracting(line.name.range), value: bytes.extracting(line.value.range))
        }
        writer.field("connection", "upgrade")
        if let upgrade = head.upgrade { writer.field("upgrade", bytes.extracting(upgrade.range)) }
        writer.field("x-request-id", requestID.span)
        for cookie in setCookies { writer.field("set-cookie", cookie) }
        writer.end()
    }

    /// 103 and other informational answers.
    static func writeInformational(_ head: borrowing ResponseHead, _ bytes: Span<UInt8>, into writer: inout HeadWriter) {
        writer.removeAll()
        writer.statusLine(head.status, reason: bytes.extracting(head.reason.range))
        for line in head.fields where !line.isHopByHop && line.field != .contentLength {
            writer.rawField(name: bytes.extracting(line.name.range), value: bytes.extracting(line.value.range))
        }
        writer.end()
    }
}
