internal import GatewayTerms
package import HTTPWire

/// What becomes of a response's body on its way to the client.
package enum ContentCoding: Equatable, Sendable {
    /// It leaves as the upstream sent it, and always would.
    case untouched
    /// It leaves as it is, but another client would have got gzip: a cache must know.
    case varies
    case gzip
    /// 304 for a body that this client has as gzip: its tag is the weak one.
    case revalidated
}

/// Whether a response leaves as gzip. What is known of the two heads decides; no body is looked at.
package enum CompressionRule {
    /// - Parameter bytesMin: a body that is known to be shorter leaves as it is.
    package static func coding(
        _ request: borrowing RequestHead, _ requestBytes: Span<UInt8>, _ response: borrowing ResponseHead, _ responseBytes: Span<UInt8>, bytesMin: UInt64
    ) -> ContentCoding {
        if response.status == 304 { return isRevalidation(request, requestBytes, response, responseBytes) ? .revalidated : .untouched }
        guard hasBody(request, response, bytesMin: bytesMin), isEligible(response, responseBytes) else { return .untouched }
        return coding(for: request, requestBytes)
    }

    /// The same of a document of the gateway's own, which is whole and not encoded yet.
    package static func coding(_ request: borrowing RequestHead, _ bytes: Span<UInt8>, _ answer: LocalAnswer, bytesMin: UInt64) -> ContentCoding {
        if answer.status == 304 {
            guard let tag = answer.entityTag, let asked = request.value(of: .ifNoneMatch) else { return .untouched }
            return isAskedWeakly(bytes.extracting(asked.range), Array(tag.utf8).span) ? .revalidated : .untouched
        }
        guard answer.status == 200, let contentType = answer.contentType, answer.body.count >= max(1, bytesMin) else { return .untouched }
        return MediaType.isCompressible(Array(contentType.utf8).span) ? coding(for: request, bytes) : .untouched
    }

    /// Of a body that may be compressed.
    private static func coding(for request: borrowing RequestHead, _ bytes: Span<UInt8>) -> ContentCoding {
        request.version != .http10 && accepts(request, bytes) && isSafe(request, bytes) ? .gzip : .varies
    }

    private static func hasBody(_ request: borrowing RequestHead, _ response: borrowing ResponseHead, bytesMin: UInt64) -> Bool {
        // 206 is a part of a body that the client puts together with others, byte for byte (RFC 9110 §15.3.7).
        guard response.status >= 200, response.status != 204, response.status != 205, response.status != 206 else { return false }
        switch response.framing {
        case .length(let count): return count >= max(1, bytesMin)
        case .chunked, .untilClose: return true
        case .none: return request.method == .head && response.contentLength ?? bytesMin >= bytesMin
        }
    }

    private static func isEligible(_ response: borrowing ResponseHead, _ bytes: Span<UInt8>) -> Bool {
        var isCompressible = false
        for line in response.fields {
            switch line.field {
            case .contentType:
                isCompressible = MediaType.isCompressible(bytes.extracting(line.value.range))
                if !isCompressible { return false }
            case .contentEncoding:
                if !("identity" as StaticString).spellsIgnoringCase(bytes.extracting(line.value.range)) { return false }
            case .cacheControl:
                if bytes.extracting(line.value.range).listContains("no-transform") { return false }
            case .other:
                if isBoundToBytes(bytes.extracting(line.name.range)) { return false }
            default: break
            }
        }
        return isCompressible
    }

    /// The field speaks of the very bytes that the upstream sent: a part of them, or their digest (RFC 9530).
    private static func isBoundToBytes(_ name: Span<UInt8>) -> Bool {
        switch name.count {
        case 6: ("digest" as StaticString).spellsIgnoringCase(name)
        case 11: ("content-md5" as StaticString).spellsIgnoringCase(name) || ("repr-digest" as StaticString).spellsIgnoringCase(name)
        case 13: ("content-range" as StaticString).spellsIgnoringCase(name)
        case 14: ("content-digest" as StaticString).spellsIgnoringCase(name)
        default: false
        }
    }

    private static func accepts(_ request: borrowing RequestHead, _ bytes: Span<UInt8>) -> Bool {
        var accepted = AcceptEncoding()
        for line in request.fields where line.field == .acceptEncoding { accepted.read(bytes.extracting(line.value.range)) }
        return accepted.prefersGzip
    }

    /// BREACH: a page of another site that makes a browser send its cookies, chooses a part of the address, and sees how long answers are, reads
    /// secrets out of compressed ones. So a request with cookies must say that it comes from this very host, or from nowhere (Fetch
    /// Metadata §2.3); one that says nothing may come from anywhere.
    private static func isSafe(_ request: borrowing RequestHead, _ bytes: Span<UInt8>) -> Bool {
        guard request.value(of: .cookie) != nil else { return true }
        guard let site = request.value(of: .secFetchSite) else { return false }
        let value = bytes.extracting(site.range)
        return ("same-origin" as StaticString).spellsIgnoringCase(value) || ("none" as StaticString).spellsIgnoringCase(value)
    }

    /// The client asked with the weak form of the strong tag that the upstream names.
    private static func isRevalidation(
        _ request: borrowing RequestHead, _ requestBytes: Span<UInt8>, _ response: borrowing ResponseHead, _ responseBytes: Span<UInt8>
    ) -> Bool {
        guard let tag = response.value(of: .etag), let asked = request.value(of: .ifNoneMatch) else { return false }
        return isAskedWeakly(requestBytes.extracting(asked.range), responseBytes.extracting(tag.range))
    }

    /// - Parameter list: the value of If-None-Match.
    private static func isAskedWeakly(_ list: Span<UInt8>, _ strong: Span<UInt8>) -> Bool {
        guard strong.count >= 2, strong[0] == UInt8(ascii: "\""), list.count >= strong.count + 2 else { return false }
        for start in 0...list.count - strong.count - 2 where list[start] == UInt8(ascii: "W") && list[start + 1] == UInt8(ascii: "/") {
            if isEqual(list.extracting(start + 2..<start + 2 + strong.count), strong) { return true }
        }
        return false
    }

    private static func isEqual(_ first: Span<UInt8>, _ second: Span<UInt8>) -> Bool {
        guard first.count == second.count else { return false }
        for index in 0..<first.count where first[index] != second[index] { return false }
        return true
    }
}
