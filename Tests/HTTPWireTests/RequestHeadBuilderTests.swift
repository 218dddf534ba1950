import GatewayTerms
import HTTPWire
import Testing

/// Builds a head out of fields, as a decoded HTTP/2 header block gives them.
private func build(
    _ fields: [(String, String)], limits: RequestLimits = RequestLimits(), endsStream: Bool = true, isSecure: Bool = true
) -> Reading<RequestSummary, RequestError> {
    var bytes: [UInt8] = []
    let places = fields.map { name, value in
        let start = bytes.count
        bytes += Array(name.utf8) + Array(value.utf8)
        return (start..<start + name.utf8.count, start + name.utf8.count..<bytes.count)
    }
    var builder = RequestHeadBuilder(limits: limits)
    var head = RequestHead()
    do throws(RequestError) {
        builder.begin(&head)
        for (name, value) in places { try builder.field(name: name, value: value, of: bytes.span, into: &head) }
        try builder.finish(bytes.span, endsStream: endsStream, isSecure: isSecure, into: &head)
    } catch { return .refused(error) }
    return .message(RequestSummary(head, bytes))
}

private func request(_ more: [(String, String)] = [], method: String = "GET", scheme: String = "https", authority: String? = "h", path: String = "/") -> [(String, String)] {
    [(":method", method), (":scheme", scheme)] + (authority.map { [(":authority", $0)] } ?? []) + [(":path", path)] + more
}

@Suite("Heads of HTTP/2 requests")
struct RequestHeadBuilderTests {
    @Test("A head is what the same request is in HTTP/1.1")
    func same() throws {
        let fields = [("accept", "*/*"), ("cookie", "a=b; c=d"), ("x-y", "z\tz"), ("content-length", "3"), ("expect", "100-continue")]
        let text = "POST /a/b?c=d HTTP/1.1\r\nhost: example.org:8443\r\n" + fields.map { "\($0.0): \($0.1)\r\n" }.joined() + "\r\n"
        var old = try #require(readRequest(text).message)
        var new = try #require(build(request(fields, method: "POST", authority: "example.org:8443", path: "/a/b?c=d"), endsStream: false).message)
        #expect(new.version == .http2)
        old.fields.removeFirst()
        old.byteCount = 0
        new.byteCount = 0
        old.version = .http2
        #expect(new == old)
    }

    @Test("The path is taken apart as in origin-form", arguments: [
        ("/", "/", nil), ("/a?", "/a", ""), ("/a?b?c", "/a", "b?c"), ("/%2e%2e/", "/%2e%2e/", nil), ("//a", "//a", nil),
    ] as [(String, String, String?)])
    func path(target: String, path: String, query: String?) throws {
        let head = try #require(build(request(path: target)).message)
        #expect(head.target == target)
        #expect(head.path == path)
        #expect(head.query == query)
        #expect(!head.isAsteriskForm)
    }

    @Test("The end of the body is told by the stream, its length by Content-Length", arguments: [
        ([], true, MessageFraming.none), ([("content-length", "0")], true, .length(0)), ([], false, .chunked), ([("content-length", "7")], false, .length(7)),
        ([("content-length", "0")], false, .length(0)),
    ] as [([(String, String)], Bool, MessageFraming)])
    func framing(fields: [(String, String)], endsStream: Bool, framing: MessageFraming) throws {
        #expect(build(request(fields, method: "POST"), endsStream: endsStream).message?.framing == framing)
    }

    @Test("100-continue counts only before a body", arguments: [(true, false), (false, true)])
    func expectation(endsStream: Bool, expects: Bool) {
        #expect(build(request([("expect", "100-continue")], method: "POST"), endsStream: endsStream).message?.expectsContinue == expects)
    }

    @Test("The authority is that of :authority, or of Host where there is none (RFC 9113 §8.3.1)", arguments: [
        request(authority: "Example.org"), request([("host", "Example.org")], authority: nil), request([("host", "example.ORG")], authority: "Example.org"),
    ])
    func authority(fields: [(String, String)]) {
        #expect(build(fields).message?.authority == "Example.org")
    }

    @Test("What HTTP/1.1 cannot say is refused", arguments: [
        (request(path: ""), RequestError.targetForm), (request(path: "a"), .targetForm), (request(path: "*"), .targetForm), (request(path: "https://h/"), .targetForm),
        (request(path: "/#a"), .targetFragment), (request(path: "/ HTTP/1.1\r\nx: y"), .targetInvalidByte), (request(path: "/\u{0}"), .targetInvalidByte), (request(path: "/é"), .targetInvalidByte),
        (request(path: "/" + String(repeating: "a", count: 8 * 1024)), .targetTooLong),
        (request(method: "CONNECT"), .methodConnect), ([(":method", "CONNECT"), (":authority", "h:1")], .methodConnect), (request(method: "TRACE"), .methodTrace),
        (request(method: "get"), .methodUnknown), (request(method: "BREW"), .methodUnknown), (request(method: String(repeating: "A", count: 33)), .methodTooLong),
        (request(method: "GET / HTTP/1.1\r\nx: y"), .requestLineMalformed), (request(method: ""), .requestLineMalformed),
        (request(scheme: "http"), .schemeInvalid), (request(scheme: "ftp"), .schemeInvalid), (request(scheme: ""), .schemeInvalid), (request(scheme: "https "), .schemeInvalid),
        (request(authority: ""), .hostInvalid), (request(authority: "u@h"), .hostInvalid), (request(authority: "h\r\nx: y"), .hostInvalid), (request(authority: "h:65536"), .hostInvalid),
        (request(authority: nil), .hostMissing), (request([("host", "i")]), .hostMismatch), (request([("host", "h:443")]), .hostMismatch),
        (request([("host", "h"), ("host", "h")], authority: nil), .hostDuplicate), (request([("host", "h"), ("host", "h")]), .hostDuplicate),
        (request([("host", "h/")], authority: nil), .hostInvalid),
        (Array(request().dropFirst()), .pseudoFieldInvalid), ([(":method", "GET"), (":authority", "h"), (":path", "/")], .pseudoFieldInvalid),
        ([(":method", "GET"), (":scheme", "https"), (":authority", "h")], .pseudoFieldInvalid), (request([(":path", "/")]), .pseudoFieldInvalid), (request([(":protocol", "websocket")]), .pseudoFieldInvalid),
        (request([(":status", "200")]), .pseudoFieldInvalid), ([("accept", "*/*")] + request(), .pseudoFieldInvalid), (request([(":", "a")]), .pseudoFieldInvalid), (request([(":Path", "/")]), .pseudoFieldInvalid),
        (request([("connection", "close")]), .connectionSpecificField), (request([("transfer-encoding", "chunked")]), .connectionSpecificField), (request([("upgrade", "websocket")]), .connectionSpecificField),
        (request([("keep-alive", "1")]), .connectionSpecificField), (request([("proxy-connection", "close")]), .connectionSpecificField), (request([("http2-settings", "")]), .connectionSpecificField),
        (request([("te", "gzip")]), .connectionSpecificField), (request([("te", "trailers, deflate")]), .connectionSpecificField),
        (request([("x_y", "a")]), .fieldNameUnderscore), (request([("X-Y", "a")]), .fieldNameInvalid), (request([("x y", "a")]), .fieldNameBlank), (request([("", "a")]), .fieldNameEmpty),
        (request([("x\r\ny", "a")]), .fieldWithoutColon), (request([("x\u{0}", "a")]), .fieldNameInvalid), (request([("x:", "a")]), .fieldNameInvalid), (request([("é", "a")]), .fieldNameInvalid),
        (request([("x", "a\r\nb: c")]), .fieldValueControl), (request([("x", "a\nb")]), .fieldValueControl), (request([("x", "\u{0}")]), .fieldValueControl), (request([("x", "a\u{7f}")]), .fieldValueControl),
        (request([("x", " a")]), .fieldValueBlank), (request([("x", "a\t")]), .fieldValueBlank), (request([("authorization", "é")]), .fieldValueNotASCII),
        (request([("content-length", "1"), ("content-length", "1")]), .contentLengthDuplicate), (request([("content-length", "+1")]), .contentLengthInvalid), (request([("content-length", "1")]), .contentLengthInvalid),
        (request([("authorization", "a"), ("authorization", "b")]), .authorizationDuplicate), (request([("content-type", "a"), ("content-type", "a")]), .contentTypeDuplicate),
        (request([("expect", "200-ok")]), .expectationUnsupported),
        (request([("x", String(repeating: "a", count: 8 * 1024))]), .fieldTooLarge), (request([("cookie", String(repeating: "a", count: 24 * 1024))]), .fieldTooLarge),
        (request(Array(repeating: ("x", "a"), count: 101)), .tooManyFields),
    ] as [([(String, String)], RequestError)])
    func refused(fields: [(String, String)], error: RequestError) {
        #expect(build(fields).fault == error)
    }

    @Test("What HTTP/1.1 can say passes", arguments: [
        request([("te", "trailers")]), request([("x", "é")]), request([("x", "")]), request([("x", "a\tb")]), request([("cookie", String(repeating: "a", count: 20 * 1024))]),
        request([("authorization", String(repeating: "a", count: 16 * 1024))]), request(Array(repeating: ("x", "a"), count: 100)), request(scheme: "HTTPS"), request(authority: "[::1]:8443"),
    ])
    func passes(fields: [(String, String)]) {
        #expect(build(fields).message?.method == .get)
    }

    @Test("Without TLS the scheme is http")
    func insecure() {
        #expect(build(request(scheme: "http"), isSecure: false).message != nil)
        #expect(build(request(scheme: "https"), isSecure: false).fault == .schemeInvalid)
    }

    @Test("OPTIONS * asks about the server")
    func asterisk() {
        #expect(build(request(method: "OPTIONS", path: "*")).message?.isAsteriskForm == true)
    }

    @Test("TE and Trailer are for this connection only")
    func hopByHop() {
        #expect(build(request([("te", "trailers"), ("trailer", "x"), ("x", "y")])).message?.hopByHop == ["te", "trailer"])
    }

    @Test("A builder serves one head after the other")
    func reuse() throws {
        var builder = RequestHeadBuilder(limits: RequestLimits())
        var head = RequestHead()
        let bad = Array(":method".utf8)
        builder.begin(&head)
        #expect(throws: RequestError.requestLineMalformed) { try builder.field(name: 0..<7, value: 7..<7, of: bad.span, into: &head) }
        let bytes = Array(":methodGET:schemehttps:authorityh:path/".utf8)
        builder.begin(&head)
        for (name, value) in [(0..<7, 7..<10), (10..<17, 17..<22), (22..<32, 32..<33), (33..<38, 38..<39)] {
            try builder.field(name: name, value: value, of: bytes.span, into: &head)
        }
        try builder.finish(bytes.span, endsStream: true, isSecure: true, into: &head)
        #expect(head.method == .get)
        #expect(head.fields.isEmpty)
    }

    @Test("Trailers become lines", arguments: [
        ([("x-sum", "7"), ("etag", "\"a\"")], "x-sum: 7\r\netag: \"a\"\r\n", nil), ([], "", nil), ([("content-length", "1")], "", BodyError.trailerForbidden), ([("authorization", "a")], "", .trailerForbidden),
        ([("x", "a\r\nb: c")], "", .trailerInvalid), ([("x_y", "a")], "", .trailerInvalid), ([("", "a")], "", .trailerInvalid), ([(":path", "/")], "", .trailerInvalid), ([("X", "a")], "", .trailerInvalid),
        (Array(repeating: ("x", "a"), count: 33), "", .trailersTooLarge), ([("x", String(repeating: "a", count: 8 * 1024))], "", .trailersTooLarge),
    ] as [([(String, String)], String, BodyError?)])
    func trailers(fields: [(String, String)], text: String, error: BodyError?) throws {
        var bytes: [UInt8] = []
        let places = fields.map { name, value in
            let start = bytes.count
            bytes += Array(name.utf8) + Array(value.utf8)
            return (name: start..<start + name.utf8.count, value: start + name.utf8.count..<bytes.count)
        }
        if let error {
            #expect(throws: error) { try RequestHeadBuilder.trailerLines(of: places, in: bytes.span) }
        } else {
            #expect(try RequestHeadBuilder.trailerLines(of: places, in: bytes.span) == Array(text.utf8))
        }
    }
}
