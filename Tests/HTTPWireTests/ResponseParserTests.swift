import GatewayTerms
import HTTPWire
import Testing

@Suite("ResponseParser")
struct ResponseParserTests {
    private func read(_ text: String, to method: Method = .get) throws -> ResponseSummary {
        try #require(readResponse(text, to: method).message)
    }

    @Test("A plain response is read whole")
    func plainResponse() throws {
        let text = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 4\r\nMETADATA_SERVICE_VERSION: 2.5.1\r\nX~: y\r\n\r\n"
        let head = try read(text + "pong")
        #expect(head.status == 200)
        #expect(head.reason == "OK")
        #expect(head.version == .http11)
        #expect(head.fields == ["Content-Type: text/plain; charset=utf-8", "Content-Length: 4", "METADATA_SERVICE_VERSION: 2.5.1", "X~: y"])
        #expect(head.framing == .length(4))
        #expect(head.keepsAlive)
        #expect(head.byteCount == text.utf8.count)
    }

    @Test("A status line may lack its reason phrase", arguments: [
        ("HTTP/1.1 200 OK", 200, "OK"), ("HTTP/1.1 200 ", 200, ""), ("HTTP/1.1 200", 200, ""), ("HTTP/1.1 404 Not Found", 404, "Not Found"), ("HTTP/1.0 999 \u{e9}t\u{e9}", 999, "\u{e9}t\u{e9}"),
        ("HTTP/1.1 100 Continue", 100, "Continue"), ("HTTP/1.1 500  two  blanks ", 500, " two  blanks "), ("HTTP/1.1 200 a\tb", 200, "a\tb"), ("HTTP/1.1 599 x", 599, "x"),
    ])
    func statusLine(line: String, status: Int, reason: String) throws {
        let head = try read(line + "\r\nContent-Length: 0\r\n\r\n")
        #expect(head.status == status)
        #expect(head.reason == reason)
    }

    @Test("A malformed status line is refused", arguments: [
        ("HTTP/1.1 20 OK\r\n", ResponseError.statusLineMalformed), ("HTTP/1.1 2000 OK\r\n", .statusLineMalformed), ("HTTP/1.1  200 OK\r\n", .statusLineMalformed), ("HTTP/1.1\r\n", .statusLineMalformed), ("http/1.1 200 OK\r\n", .statusLineMalformed),
        ("ICY 200 OK\r\n", .statusLineMalformed), ("HTTP/1.1 2x0 OK\r\n", .statusLineMalformed), ("HTTP/1.1 -20 OK\r\n", .statusLineMalformed), ("HTTP/1.1 200\tOK\r\n", .statusLineMalformed), ("HTTP/1.1 200 OK\n", .statusLineMalformed),
        ("HTTP/1.1 200\n", .statusLineMalformed), ("HTTP/1.1 200 O\u{0}K\r\n", .statusLineMalformed), ("HTTP/1.1 200 OK\rX", .statusLineMalformed), ("\r\nHTTP/1.1 200 OK\r\n", .statusLineMalformed), ("HTTP/1.1 200OK\r\n", .statusLineMalformed),
        ("HTTP/11 200 OK\r\n", .statusLineMalformed), ("HTTP/1.1 200é\r\n", .statusLineMalformed), ("<html>", .statusLineMalformed), ("HTTP/1.1 2 0 OK\r\n", .statusLineMalformed), ("HTTP/1.1 200 \u{7f}\r\n", .statusLineMalformed),
        ("HTTP/2.0 200 OK\r\n", .versionUnsupported), ("HTTP/1.2 200 OK\r\n", .versionUnsupported), ("HTTP/0.9 200 OK\r\n", .versionUnsupported), ("HTTP/1.1 099 OK\r\n", .statusInvalid), ("HTTP/1.1 000 OK\r\n", .statusInvalid),
    ])
    func malformedStatusLine(text: String, error: ResponseError) {
        #expect(readResponse(text).fault == error)
    }

    @Test("A malformed field line is refused, values of other programs are not", arguments: [
        " X: y", "X", ": y", "X : y", "X Y: z", "X: y\r\n z", "X: y\nZ: w", "X: y\rZ: w", "X: \u{0}", "X: \u{1b}", "X\u{0}: y", "X(: y", "é: y", "X: \u{7f}", "\nX: y", "\rX: y",
    ])
    func malformedFieldLine(lines: String) {
        #expect(readResponse("HTTP/1.1 200 OK\r\n" + lines + "\r\n\r\n").fault == .fieldMalformed)
    }

    @Test("Bytes of 0x80 and above pass in every value", arguments: ["X", "Server", "Content-Type", "Set-Cookie", "Location"])
    func obsoleteText(name: String) throws {
        #expect(try read("HTTP/1.1 200 OK\r\n\(name): caf\u{e9}\r\n\r\n").fields == ["\(name): caf\u{e9}"])
    }

    @Test("Framing follows the method, the status and the fields, in this order", arguments: [
        (Method.get, 200, "", MessageFraming.untilClose, false), (.get, 200, "Content-Length: 5", .length(5), true), (.get, 200, "Transfer-Encoding: chunked", .chunked, true), (.get, 200, "transfer-encoding: Chunked ", .chunked, true),
        (.get, 200, "Content-Length: 5\r\nConnection: close", .length(5), false), (.get, 200, "Content-Length: 5\r\nContent-Length: 5", .length(5), true), (.get, 200, "Content-Length: 5\r\nContent-Length: 05", .length(5), true),
        (.head, 200, "", .none, true), (.head, 200, "Content-Length: 5", .none, true), (.head, 200, "Transfer-Encoding: chunked", .none, true), (.head, 404, "Content-Length: 5", .none, true),
        (.get, 204, "", .none, true), (.get, 204, "Content-Length: 0", .none, true), (.get, 204, "Content-Length: 5", .none, false), (.get, 204, "Transfer-Encoding: chunked", .none, false),
        (.get, 304, "", .none, true), (.get, 304, "Content-Length: 5", .none, true), (.get, 304, "Transfer-Encoding: chunked", .none, true), (.get, 304, "Connection: close", .none, false),
        (.get, 100, "", .none, true), (.get, 103, "Link: </x>", .none, true), (.post, 100, "Content-Length: 5", .none, false), (.post, 500, "Content-Length: 0", .length(0), true), (.post, 205, "Content-Length: 0", .length(0), true),
    ])
    func framing(method: Method, status: Int, lines: String, framing: MessageFraming, keepsAlive: Bool) throws {
        let head = try read("HTTP/1.1 \(status) X\r\n\(lines.isEmpty ? "" : lines + "\r\n")\r\n", to: method)
        #expect(head.framing == framing)
        #expect(head.keepsAlive == keepsAlive)
    }

    @Test("A Content-Length that repeats another is left out")
    func repeatedContentLength() throws {
        #expect(try read("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: y\r\ncontent-length: 5\r\n\r\n").fields == ["Content-Length: 5", "X: y"])
    }

    @Test("HTTP/1.0 never keeps the connection", arguments: ["Content-Length: 5", "Content-Length: 5\r\nConnection: keep-alive"])
    func http10(lines: String) throws {
        #expect(try read("HTTP/1.0 200 OK\r\n\(lines)\r\n\r\n").keepsAlive == false)
    }

    @Test("Framing that could be read in two ways is the upstream's fault, also where no body follows", arguments: [
        ("Content-Length: 5\r\nTransfer-Encoding: chunked", ResponseError.framingAmbiguous), ("Transfer-Encoding: chunked\r\nContent-Length: 5", .framingAmbiguous), ("Content-Length: 5\r\nContent-Length: 6", .contentLengthConflict),
        ("Content-Length: 5, 5", .contentLengthInvalid), ("Content-Length: +5", .contentLengthInvalid), ("Content-Length:", .contentLengthInvalid), ("Content-Length: 5\r\nContent-Length: x", .contentLengthInvalid),
        ("Content-Length: 1000000000000000000", .contentLengthInvalid), ("Content-Length: 0x5", .contentLengthInvalid), ("Transfer-Encoding: gzip", .transferEncodingInvalid), ("Transfer-Encoding: gzip, chunked", .transferEncodingInvalid),
        ("Transfer-Encoding: identity", .transferEncodingInvalid), ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", .transferEncodingInvalid), ("Transfer-Encoding:", .transferEncodingInvalid), ("Connection: a b", .connectionInvalid),
    ])
    func ambiguousFraming(lines: String, error: ResponseError) {
        for status in [200, 204, 304] { #expect(readResponse("HTTP/1.1 \(status) X\r\n\(lines)\r\n\r\n").fault == error) }
        #expect(readResponse("HTTP/1.1 200 X\r\n\(lines)\r\n\r\n", to: .head).fault == error)
    }

    @Test("HTTP/1.0 knows no Transfer-Encoding")
    func transferEncodingInHTTP10() {
        #expect(readResponse("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").fault == .transferEncodingInvalid)
    }

    @Test("101 names the protocol that the connection speaks from here on")
    func switching() throws {
        let head = try read("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n\u{81}")
        #expect(head.upgrade == "websocket")
        #expect(head.framing == .none)
        #expect(!head.keepsAlive)
        #expect(try read("HTTP/1.1 200 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n").upgrade == nil)
    }

    @Test("101 without a protocol to switch to is refused", arguments: ["X: y", "Upgrade: websocket", "Connection: upgrade", "Connection: upgrade\r\nUpgrade: ", "Connection: upgrade\r\nUpgrade: h2c"])
    func switchingToNothing(lines: String) {
        #expect(readResponse("HTTP/1.1 101 X\r\n\(lines)\r\n\r\n").fault == .upgradeInvalid)
    }

    @Test("Connection marks fields, but never a protected one")
    func hopByHop() throws {
        let head = try read("HTTP/1.1 200 OK\r\nConnection: x-a, content-type, content-length\r\nX-A: 1\r\nContent-Type: a/b\r\nContent-Length: 0\r\nKeep-Alive: timeout=5\r\nProxy-Authenticate: x\r\n\r\n")
        #expect(head.hopByHop == ["Connection", "X-A", "Keep-Alive", "Proxy-Authenticate"])
    }

    @Test("An interim response is followed by the next head on the same parser")
    func interim() throws {
        var parser = ResponseParser(limits: ResponseLimits())
        var head = ResponseHead()
        let first = Array("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".utf8)
        let isInterim = try parser.parse(first.span, requestMethod: .post, into: &head)
        #expect(isInterim && head.status == 100)
        let rest = Array(first[head.byteCount...])
        let isFinal = try parser.parse(rest.span, requestMethod: .post, into: &head)
        #expect(isFinal && head.status == 200)
        #expect(head.value(of: .contentLength) != nil)
        #expect(head.value(of: .server) == nil)
    }

    @Test("Over a limit the head is refused, and at the limit it is read")
    func limits() {
        var limits = ResponseLimits()
        limits.fieldLineBytesMax = 30
        limits.fieldsMax = 2
        func response(line: Int, reason: Int = 2) -> String {
            "HTTP/1.1 200 " + String(repeating: "r", count: reason) + "\r\nX:" + String(repeating: "v", count: line - 2) + "\r\n"
        }
        #expect(readResponse(response(line: 30) + "\r\n", limits: limits).message != nil)
        #expect(readResponse(response(line: 31), limits: limits).fault == .fieldTooLarge)
        #expect(readResponse(response(line: 10, reason: 17) + "\r\n", limits: limits).message != nil)
        #expect(readResponse(response(line: 10, reason: 18), limits: limits).fault == .fieldTooLarge)
        #expect(readResponse(response(line: 10) + "A: b\r\n\r\n", limits: limits).message != nil)
        #expect(readResponse(response(line: 10) + "A: b\r\nC: d\r\n", limits: limits).fault == .tooManyFields)
        let whole = response(line: 10) + "\r\n"
        limits.headBytesMax = whole.utf8.count
        #expect(readResponse(whole, limits: limits).message != nil)
        limits.headBytesMax -= 1
        #expect(readResponse(whole, limits: limits).fault == .headTooLarge)
        #expect(ResponseLimits() == { var limits = ResponseLimits(); limits.headBytesMax = 65536; limits.fieldsMax = 200; limits.fieldLineBytesMax = 32768; return limits }())
    }

    @Test("Each error has its own name for the log")
    func names() {
        #expect(Set(ResponseError.allCases.map(\.rawValue)).count == ResponseError.allCases.count)
        #expect(ResponseError.allCases.allSatisfy { $0.rawValue.hasPrefix("upstream_") })
    }
}
