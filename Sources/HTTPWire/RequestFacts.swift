internal import GatewayTerms

/// What the fields of one request say about its end, its host and its connection, gathered line by line.
struct RequestFacts: Sendable {
    /// The authority of an absolute-form target, or `:authority` beside a Host field.
    var targetAuthority: Slice?
    private var host: Slice?
    private var length: UInt64?
    private var isChunked = false
    private var hasAuthorization = false
    private var hasContentType = false
    private var hasConnection = false
    private var hasExpect = false
    private var expectsContinue = false
    private var upgrade: Slice?
    private var hasUpgrade = false

    /// Takes in a line whose field has a name of its own.
    @inline(__always)
    mutating func note(_ line: FieldLine, of bytes: Span<UInt8>, hasObsoleteText: Bool, version: HTTPVersion) throws(RequestError) {
        if hasObsoleteText, line.field.isReadByDecisions { throw .fieldValueNotASCII }
        switch line.field {
        case .host:
            guard host == nil else { throw .hostDuplicate }
            guard isAuthority(bytes, line.value.range) else { throw .hostInvalid }
            host = line.value
        case .contentLength:
            guard length == nil else { throw .contentLengthDuplicate }
            guard !isChunked else { throw .framingAmbiguous }
            guard let value = contentLength(bytes, line.value) else { throw .contentLengthInvalid }
            length = value
        case .transferEncoding:
            guard !isChunked else { throw .transferEncodingDuplicate }
            guard length == nil else { throw .framingAmbiguous }
            guard version == .http11 else { throw .transferEncodingInHTTP10 }
            guard bytes.spells("chunked", in: line.value.range) else { throw .transferEncodingInvalid }
            isChunked = true
        case .authorization:
            guard !hasAuthorization else { throw .authorizationDuplicate }
            hasAuthorization = true
        case .contentType:
            guard !hasContentType else { throw .contentTypeDuplicate }
            hasContentType = true
        case .expect:
            guard !hasExpect else { throw .expectDuplicate }
            hasExpect = true
            guard version == .http11 else { return }
            guard bytes.spells("100-continue", in: line.value.range) else { throw .expectationUnsupported }
            expectsContinue = true
        case .connection:
            hasConnection = true
        case .upgrade:
            guard !hasUpgrade else { throw .upgradeInvalid }
            hasUpgrade = true
            upgrade = line.value
        default:
            break
        }
    }

    /// Judges the head as a whole, now that all its lines are known.
    /// - Parameter isOpenEnded: a body follows whose end the protocol tells by itself, with or without a Content-Length.
    mutating func conclude(_ bytes: Span<UInt8>, into head: inout RequestHead, isOpenEnded: Bool = false) throws(RequestError) {
        guard let host else { throw .hostMissing }
        if let targetAuthority {
            guard bytes.equalsIgnoringCase(targetAuthority.range, host.range) else { throw .hostMismatch }
        }
        // Where both stand there, Host is replaced by what the target says (RFC 9112 §3.2.2, RFC 9113 §8.3.1).
        head.authority = targetAuthority ?? host
        if isChunked {
            head.framing = .chunked
        } else if let length {
            head.framing = .length(length)
        } else {
            head.framing = isOpenEnded ? .chunked : .none
        }
        let hasBody = isChunked || (length ?? (isOpenEnded ? 1 : 0)) > 0
        head.expectsContinue = expectsContinue && hasBody

        var options = ConnectionOptions()
        if hasConnection { try readConnection(bytes, &options, into: &head) }
        head.keepsAlive = head.version == .http11 && !options.close
        guard let upgrade, options.upgrade, head.version == .http11 else { return }
        switch UpgradeRequest(upgrade, of: bytes) {
        case .invalid: throw .upgradeInvalid
        case .http: break
        case .otherProtocol:
            guard !hasBody else { throw .upgradeWithBody }
            head.upgrade = upgrade
        }
    }

    private func readConnection(_ bytes: Span<UInt8>, _ options: inout ConnectionOptions, into head: inout RequestHead) throws(RequestError) {
        for index in head.fields.indices {
            guard case .connection = head.fields[index].field else { continue }
            let value = head.fields[index].value
            do {
                try options.read(value, of: bytes, marking: &head.fields, countMax: RequestLimits.connectionOptionsMax, toleratesProtected: false)
            } catch {
                switch error {
                case .invalid: throw .connectionInvalid
                case .namesProtected: throw .connectionNamesProtected
                }
            }
        }
    }
}

extension FieldName {
    /// Some decision of the gateway depends on the value, so it may hold no byte that two programs decode differently
    /// (CVE-2026-73552). `Server`, `User-Agent`, `Location` and names without a meaning here may.
    var isReadByDecisions: Bool {
        switch self {
        case .other, .userAgent, .server, .location, .retryAfter, .vary, .etag, .date, .setCookie, .wwwAuthenticate, .proxyAuthenticate,
             .accessControlAllowOrigin, .strictTransportSecurity, .ifNoneMatch: false
        case .host, .connection, .contentLength, .transferEncoding, .expect, .upgrade, .te, .trailer, .keepAlive, .proxyConnection,
             .proxyAuthorization, .http2Settings, .contentType, .contentEncoding, .cacheControl, .accept, .acceptEncoding,
             .authorization, .cookie, .apiKey, .origin, .secFetchMode, .secFetchDest, .secFetchSite, .secWebSocketKey,
             .xRequestedWith, .xRequestID, .traceparent, .tracestate, .forwardedFamily: true
        }
    }
}
