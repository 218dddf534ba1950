import GatewayTerms
import HTTPWire
import Testing

@Suite("RequestParser reads")
struct RequestParserTests {
    private func read(_ text: String) throws -> RequestSummary {
        try #require(readRequest(text).message)
    }

    @Test("A plain request is read whole")
    func plainRequest() throws {
        let text = "POST /api/metadata/flows/F?x=1&y=? HTTP/1.1\r\nHost: alpha.example:8443\r\nUser-Agent: python-requests/2.34.2\r\nAuthorization:Bearer abc\r\nContent-Type: application/json\r\nContent-Length: 17\r\nX-Empty:\r\nX-Blank: \t \r\n\r\n"
        let head = try read(text)
        #expect(head.method == .post)
        #expect(head.target == "/api/metadata/flows/F?x=1&y=?")
        #expect(head.path == "/api/metadata/flows/F")
        #expect(head.query == "x=1&y=?")
        #expect(head.authority == "alpha.example:8443")
        #expect(head.version == .http11)
        #expect(head.fields == [
            "Host: alpha.example:8443", "User-Agent: python-requests/2.34.2", "Authorization: Bearer abc", "Content-Type: application/json",
            "Content-Length: 17", "X-Empty: ", "X-Blank: ",
        ])
        #expect(head.hopByHop.isEmpty)
        #expect(head.framing == .length(17))
        #expect(head.keepsAlive)
        #expect(!head.expectsContinue)
        #expect(head.upgrade == nil)
        #expect(head.byteCount == text.utf8.count)
    }

    @Test("What follows a head belongs to the next message")
    func pipelined() throws {
        let first = "GET /1 HTTP/1.1\r\nHost: h\r\n\r\n"
        let bytes = Array((first + "\r\nGET /2 HTTP/1.1\r\nHost: i\r\nX: y\r\n\r\nrest").utf8)
        var parser = RequestParser(limits: RequestLimits())
        var head = RequestHead()
        let firstIsRead = try parser.parse(bytes.span, into: &head)
        #expect(firstIsRead)
        #expect(head.byteCount == first.utf8.count)
        let rest = Array(bytes[head.byteCount...])
        let secondIsRead = try parser.parse(rest.span, into: &head)
        #expect(secondIsRead)
        let summary = RequestSummary(head, rest)
        #expect(summary.path == "/2")
        #expect(summary.fields == ["Host: i", "X: y"])
        #expect(head.byteCount == rest.count - 4)
    }

    @Test("Every method of the list is read", arguments: Method.allCases.filter { $0 != .trace && $0 != .connect })
    func methods(method: Method) throws {
        #expect(try read("\(method) / HTTP/1.1\r\nHost: h\r\n\r\n").method == method)
    }

    @Test("A head without its end is incomplete, at every length")
    func incomplete() {
        let text = "GET /a HTTP/1.1\r\nHost: h\r\nX: y\r\n\r\n"
        for count in 0..<text.utf8.count { #expect(readRequest(Array(text.utf8.prefix(count))) == .incomplete) }
    }

    @Test("A target is taken apart by its form", arguments: [
        ("GET", "/", "/", nil), ("GET", "/?", "/", ""), ("GET", "/?a", "/", "a"), ("GET", "/a?b?c", "/a", "b?c"), ("GET", "/a/b/../c", "/a/b/../c", nil),
        ("GET", "//x", "//x", nil), ("GET", "/%2f", "/%2f", nil), ("GET", "/a\\b", "/a\\b", nil), ("GET", "/?a\\b", "/", "a\\b"), ("GET", "/;x", "/;x", nil),
        ("GET", "http://h", "/", nil), ("GET", "http://h/", "/", nil), ("GET", "HTTPS://H/a?b", "/a", "b"), ("GET", "http://h?b", "/", "b"), ("GET", "http://h//x", "//x", nil),
        ("GET", "https://h/http://i/", "/http://i/", nil), ("GET", "http://h/@x", "/@x", nil), ("GET", "http://h?u@x/", "/", "u@x/"), ("GET", "/http://x", "/http://x", nil),
        ("OPTIONS", "/x", "/x", nil), ("OPTIONS", "http://h/", "/", nil), ("GET", "/\"<>[]^`{|}", "/\"<>[]^`{|}", nil), ("GET", "/aaaaaaaaaaaaaaaaaaaaaaa?bbbbbbbbbbbbbbbbbbbbb", "/aaaaaaaaaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbbbbbbb"),
    ] as [(String, String, String, String?)])
    func targets(method: String, target: String, path: String, query: String?) throws {
        let head = try read("\(method) \(target) HTTP/1.1\r\nHost: h\r\n\r\n")
        #expect(head.target == target)
        #expect(head.path == path)
        #expect(head.query == query)
        // Where both name the host, the target does (RFC 9112 §3.2.2).
        #expect(head.authority == (target == "HTTPS://H/a?b" ? "H" : "h"))
        #expect(!head.isAsteriskForm)
    }

    @Test("Only OPTIONS asks about the server as a whole", arguments: [("OPTIONS *", true), ("OPTIONS http://h", true), ("OPTIONS http://h?x", false), ("GET http://h", false)])
    func asterisk(line: String, expected: Bool) throws {
        #expect(try read("\(line) HTTP/1.1\r\nHost: h\r\n\r\n").isAsteriskForm == expected)
    }

    @Test("Host may be any name or address, with a port", arguments: [
        "h", "H.Example", "a-b.c", "h.", "h:0", "h:80", "h:65535", "h:00080", "127.0.0.1", "127.0.0.1:8443", "[::1]", "[::1]:443", "[2001:DB8::1]", "[::ffff:1.2.3.4]:1", "xn--bcher-kva.example", "1",
    ])
    func hosts(host: String) throws {
        #expect(try read("GET / HTTP/1.1\r\nHost: \(host)\r\n\r\n").authority == host)
        #expect(try read("GET http://\(host.uppercased())/ HTTP/1.1\r\nHost:\t\(host) \r\n\r\n").authority == host.uppercased())
    }

    @Test("Framing follows Content-Length and Transfer-Encoding", arguments: [
        ("", MessageFraming.none), ("Content-Length: 0\r\n", .length(0)), ("Content-Length: 5\r\n", .length(5)), ("content-length:5\r\n", .length(5)), ("Content-Length:\t 5 \t\r\n", .length(5)),
        ("Content-Length: 007\r\n", .length(7)), ("Content-Length: 999999999999999999\r\n", .length(999_999_999_999_999_999)),
        ("Transfer-Encoding: chunked\r\n", .chunked), ("transfer-encoding:CHUNKED\r\n", .chunked), ("Transfer-Encoding: \tChunked \r\n", .chunked),
        ("Content-Lengt: 5\r\n", .none), ("X-Content-Length: 5\r\n", .none), ("Content-Lengths: 5\r\n", .none), ("Transfer-Encodin: chunked\r\n", .none),
    ])
    func framing(lines: String, framing: MessageFraming) throws {
        #expect(try read("POST / HTTP/1.1\r\nHost: h\r\n\(lines)\r\n").framing == framing)
        #expect(try read("GET / HTTP/1.1\r\n\(lines)Host: h\r\n\r\n").framing == framing)
    }

    @Test("The connection lives on in HTTP/1.1 unless it says close, and never in HTTP/1.0", arguments: [
        ("1.1", "", true), ("1.1", "Connection: keep-alive\r\n", true), ("1.1", "Connection: close\r\n", false), ("1.1", "connection: CLOSE\r\n", false),
        ("1.1", "Connection: keep-alive, close\r\n", false), ("1.1", "Connection: close\r\nConnection: keep-alive\r\n", false), ("1.1", "Connection: x\r\nConnection: close\r\n", false),
        ("1.1", "Connection: closed\r\n", true), ("1.1", "Connection: ,\r\n", true), ("1.1", "Connection:\r\n", true), ("1.1", "Proxy-Connection: close\r\n", true), ("1.1", "Connection:close\r\n", false),
        ("1.0", "", false), ("1.0", "Connection: keep-alive\r\n", false), ("1.0", "Connection: close\r\n", false),
    ])
    func keepAlive(version: String, lines: String, expected: Bool) throws {
        let head = try read("GET / HTTP/\(version)\r\nHost: h\r\n\(lines)\r\n")
        #expect(head.keepsAlive == expected)
        #expect(head.version == (version == "1.1" ? .http11 : .http10))
    }

    @Test("A client waits for 100 only when it announced a body, in HTTP/1.1", arguments: [
        ("1.1", "Content-Length: 5", true), ("1.1", "Transfer-Encoding: chunked", true), ("1.1", "Content-Length: 0", false), ("1.1", "X: y", false), ("1.0", "Content-Length: 5", false),
    ])
    func expectation(version: String, line: String, expected: Bool) throws {
        #expect(try read("PUT / HTTP/\(version)\r\nHost: h\r\nExpect: 100-Continue\r\n\(line)\r\n\r\n").expectsContinue == expected)
    }

    @Test("Expect is ignored in HTTP/1.0, whatever it says")
    func expectInHTTP10() throws {
        #expect(try read("PUT / HTTP/1.0\r\nHost: h\r\nExpect: tea\r\nContent-Length: 5\r\n\r\n").expectsContinue == false)
    }

    @Test("Fields that mean something to one connection only are marked, by name and by Connection", arguments: [
        ("Connection: x-a, X-B\r\nX-A: 1\r\nx-b: 2\r\nX-C: 3", ["Connection", "X-A", "x-b"]), ("X-A: 1\r\nX-A: 2\r\nConnection: x-a", ["X-A", "X-A", "Connection"]),
        ("Keep-Alive: timeout=5\r\nTE: trailers\r\nTrailer: x\r\nProxy-Connection: x\r\nProxy-Authorization: y\r\nX: y", ["Keep-Alive", "TE", "Trailer", "Proxy-Connection", "Proxy-Authorization"]),
        ("Connection: user-agent\r\nUser-Agent: x", ["Connection", "User-Agent"]), ("Connection: a\r\nConnection: b\r\nA: 1\r\nB: 2\r\nAB: 3", ["Connection", "Connection", "A", "B"]),
        ("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ", ["Connection", "Upgrade", "HTTP2-Settings"]), ("HTTP2-Settings: x", ["HTTP2-Settings"]),
        ("Transfer-Encoding: chunked", ["Transfer-Encoding"]), ("Upgrade: x", ["Upgrade"]), ("Connection: close\r\nClose: 1\r\nKeep-Alive: 1", ["Connection", "Keep-Alive"]),
        ("Connection: x-abcdefghijklmnopqrstuvwxyz\r\nX-Abcdefghijklmnopqrstuvwxyz: 1\r\nX-Abcdefghijklmnopqrstuvwxyy: 2", ["Connection", "X-Abcdefghijklmnopqrstuvwxyz"]),
    ])
    func hopByHop(lines: String, names: [String]) throws {
        #expect(try read("GET / HTTP/1.1\r\nHost: h\r\n\(lines)\r\n\r\n").hopByHop == names)
    }

    @Test("An upgrade is asked for by Connection and Upgrade together, in HTTP/1.1, and not to another HTTP", arguments: [
        ("1.1", "Connection: Upgrade\r\nUpgrade: websocket", "websocket"), ("1.1", "Upgrade: WebSocket\r\nConnection: keep-alive, upgrade", "WebSocket"), ("1.1", "Connection: upgrade\r\nUpgrade: a/1, b", "a/1, b"),
        ("1.1", "Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 0", "websocket"), ("1.1", "Upgrade: websocket", nil), ("1.1", "Connection: upgrade", nil), ("1.0", "Connection: upgrade\r\nUpgrade: websocket", nil),
        ("1.1", "Connection: upgrade\r\nUpgrade: h2c", nil), ("1.1", "Connection: upgrade\r\nUpgrade: websocket, H2C", nil), ("1.1", "Connection: upgrade\r\nUpgrade: h2c, websocket", nil),
        ("1.1", "Connection: upgrade\r\nUpgrade: HTTP/2.0", nil), ("1.1", "Connection: upgrade\r\nUpgrade: TLS/1.2", nil), ("1.1", "Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 5", nil),
        ("1.1", "Upgrade: websocket\r\nContent-Length: 5", nil), ("1.1", "Connection: close\r\nUpgrade: a b", nil),
    ] as [(String, String, String?)])
    func upgrades(version: String, lines: String, expected: String?) throws {
        #expect(try read("GET / HTTP/\(version)\r\nHost: h\r\n\(lines)\r\n\r\n").upgrade == expected)
    }

    @Test("A value may hold bytes of 0x80 and above where no decision reads it", arguments: ["User-Agent", "X-Title", "Referer", "Accept-Language"])
    func obsoleteText(name: String) throws {
        let head = try read("GET / HTTP/1.1\r\nHost: h\r\n\(name): caf\u{e9} \u{1f600} bar\r\n\r\n")
        #expect(head.fields[1] == "\(name): caf\u{e9} \u{1f600} bar")
    }

    @Test("A value of every length and alignment is read whole")
    func valueLengths() throws {
        for count in 0...40 {
            let value = String(repeating: "v", count: count)
            let name = String(repeating: "n", count: count + 1)
            #expect(try read("GET / HTTP/1.1\r\nHost: h\r\n\(name): \(value)\t\r\n\r\n").fields == ["Host: h", "\(name): \(value)"])
        }
    }

    @Test("value(of:) gives the first line of a name")
    func firstValue() throws {
        let bytes = Array("GET / HTTP/1.1\r\nHost: h\r\nCookie: a=1\r\ncookie: b=2\r\n\r\n".utf8)
        var parser = RequestParser(limits: RequestLimits())
        var head = RequestHead()
        let isRead = try parser.parse(bytes.span, into: &head)
        #expect(isRead)
        let cookie = try #require(head.value(of: .cookie))
        #expect(String(decoding: bytes[cookie.range], as: UTF8.self) == "a=1")
        #expect(head.value(of: .origin) == nil)
    }

    @Test("Over a limit the head is refused as soon as the bytes show it, and at the limit it is read")
    func limits() {
        func request(target: Int = 1, name: String = "X", line: Int? = nil, fields: Int = 0) -> String {
            var text = "GET /" + String(repeating: "t", count: target - 1) + " HTTP/1.1\r\nHost: h\r\n"
            for _ in 0..<fields { text += "A: b\r\n" }
            if let line { text += name + ":" + String(repeating: "v", count: line - name.utf8.count - 1) + "\r\n" }
            return text
        }
        var limits = RequestLimits()
        limits.targetBytesMax = 20
        limits.fieldLineBytesMax = 30
        limits.cookieBytesMax = 60
        limits.authorizationBytesMax = 50
        limits.fieldsMax = 5
        let end = "\r\n"
        #expect(readRequest(request(target: 20) + end, limits: limits).message != nil)
        #expect(readRequest(request(target: 21), limits: limits).fault == .targetTooLong)
        #expect(readRequest("GET /" + String(repeating: "t", count: 20), limits: limits).fault == .targetTooLong)
        #expect(readRequest("GET /" + String(repeating: "t", count: 19), limits: limits) == .incomplete)
        for (name, limit) in [("X", 30), ("Cookie", 60), ("Authorization", 50), ("X-Cookie", 30)] {
            #expect(readRequest(request(name: name, line: limit) + end, limits: limits).message != nil)
            #expect(readRequest(request(name: name, line: limit + 1), limits: limits).fault == .fieldTooLarge)
            #expect(readRequest(String(request(name: name, line: limit + 1).dropLast(1)), limits: limits).fault == .fieldTooLarge)
        }
        #expect(readRequest("GET / HTTP/1.1\r\n" + String(repeating: "n", count: 31), limits: limits).fault == .fieldTooLarge)
        #expect(readRequest("GET / HTTP/1.1\r\n" + String(repeating: "n", count: 30), limits: limits) == .incomplete)
        #expect(readRequest(request(fields: 4) + end, limits: limits).message != nil)
        #expect(readRequest(request(fields: 5), limits: limits).fault == .tooManyFields)
        let whole = request(fields: 3) + end
        limits.headBytesMax = whole.utf8.count
        #expect(readRequest(whole, limits: limits).message != nil)
        #expect(readRequest(whole + "more", limits: limits).message != nil)
        limits.headBytesMax = whole.utf8.count - 1
        #expect(readRequest(whole, limits: limits).fault == .headTooLarge)
        #expect(readRequest(Array(whole.utf8.dropLast()), limits: limits).fault == .headTooLarge)
    }

    @Test("The limits are those of the design by default")
    func defaultLimits() {
        let limits = RequestLimits()
        #expect(limits.headBytesMax == 61440)
        #expect(limits.fieldLineBytesMax == 8192)
        #expect(limits.cookieBytesMax == 24576)
        #expect(limits.authorizationBytesMax == 17408)
        #expect(limits.fieldsMax == 100)
        #expect(limits.targetBytesMax == 8192)
    }

    @Test("Limits of any size are safe", arguments: [Int.min, -1, 0, 1, Int.max])
    func absurdLimits(value: Int) {
        var limits = RequestLimits()
        limits.headBytesMax = value
        limits.fieldLineBytesMax = value
        limits.cookieBytesMax = value
        limits.authorizationBytesMax = value
        limits.fieldsMax = value
        limits.targetBytesMax = value
        let reading = readRequest("GET / HTTP/1.1\r\nHost: h\r\n\r\n", limits: limits)
        #expect((reading.message != nil) == (value == .max))
    }

    @Test("Fewer bytes than before are incomplete and do no harm")
    func shrinkingInput() throws {
        let bytes = Array("GET /abcdefghijkl HTTP/1.1\r\nHost: hhhhhhhhhhhhhhhhhhhhhhhh\r\nX: vvvvvvvvvvvvvvvvvvvvvv\r\n\r\n".utf8)
        for seen in 0..<bytes.count {
            for fewer in 0...seen {
                var parser = RequestParser(limits: RequestLimits())
                var head = RequestHead()
                let first = try parser.parse(bytes.span.extracting(0..<seen), into: &head)
                let second = try parser.parse(bytes.span.extracting(0..<fewer), into: &head)
                let third = try parser.parse(bytes.span, into: &head)
                #expect(!first && !second && third)
                #expect(head.byteCount == bytes.count && head.fields.count == 2)
            }
        }
    }
}
