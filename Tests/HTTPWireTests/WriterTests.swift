import GatewayTerms
import HTTPWire
import Testing

@Suite("Writers")
struct WriterTests {
    private func written(_ write: (inout HeadWriter) -> Void) -> String {
        var writer = HeadWriter(capacity: 64)
        write(&writer)
        return String(decoding: writer.bytes, as: UTF8.self)
    }

    private func span<Result>(_ text: String, _ body: (Span<UInt8>) -> Result) -> Result {
        let bytes = Array(text.utf8)
        return body(bytes.span)
    }

    @Test("A request line is written in origin-form", arguments: [
        ("/", nil, "GET / HTTP/1.1\r\n"), ("/a", "", "GET /a? HTTP/1.1\r\n"), ("/a/b", "x=1&y=/?", "GET /a/b?x=1&y=/? HTTP/1.1\r\n"), ("/a b", nil, "GET /a%20b HTTP/1.1\r\n"),
        ("/\r\nX: y", "\n", "GET /%0D%0AX:%20y?%0A HTTP/1.1\r\n"), ("/é", "\u{7f}", "GET /%C3%A9?%7F HTTP/1.1\r\n"), ("/%2f", "\u{0}", "GET /%2f?%00 HTTP/1.1\r\n"),
    ] as [(String, String?, String)])
    func requestLine(path: String, query: String?, expected: String) {
        let line = written { writer in
            span(path) { path in
                if let query { span(query) { writer.requestLine(.get, path: path, query: $0) } } else { writer.requestLine(.get, path: path, query: nil) }
            }
        }
        #expect(line == expected)
    }

    @Test("Every method is written by its name", arguments: Method.allCases)
    func methods(method: Method) {
        #expect(written { writer in span("/") { writer.requestLine(method, path: $0, query: nil) } } == "\(method) / HTTP/1.1\r\n")
    }

    @Test("A status line has the given reason phrase, or the registry's", arguments: [
        (200, nil, "HTTP/1.1 200 OK\r\n"), (200, "", "HTTP/1.1 200 OK\r\n"), (200, "Fine", "HTTP/1.1 200 Fine\r\n"), (503, nil, "HTTP/1.1 503 Service Unavailable\r\n"), (299, nil, "HTTP/1.1 299 \r\n"),
        (200, "a\r\nX: y", "HTTP/1.1 200 a  X: y\r\n"), (101, nil, "HTTP/1.1 101 Switching Protocols\r\n"), (99, nil, "HTTP/1.1 500 Internal Server Error\r\n"), (1000, nil, "HTTP/1.1 500 Internal Server Error\r\n"), (-1, nil, "HTTP/1.1 500 Internal Server Error\r\n"),
        (999, "\u{0}\u{7f}", "HTTP/1.1 999   \r\n"),
    ] as [(Int, String?, String)])
    func statusLine(status: Int, reason: String?, expected: String) {
        let line = written { writer in
            if let reason { span(reason) { writer.statusLine(status, reason: $0) } } else { writer.statusLine(status) }
        }
        #expect(line == expected)
    }

    @Test("Every status that the gateway answers with has a reason phrase", arguments: [200, 204, 301, 302, 303, 304, 307, 308, 400, 401, 403, 404, 405, 408, 413, 414, 417, 421, 429, 431, 500, 501, 502, 503, 504, 505])
    func reasonPhrases(status: Int) {
        #expect(reasonPhrase(status).utf8CodeUnitCount > 0)
    }

    @Test("No value can end its line", arguments: [
        ("plain", "plain"), ("", ""), ("a\tb", "a\tb"), ("a\r\nSet-Cookie: x=y", "a  Set-Cookie: x=y"), ("\n", " "), ("\u{0}", " "), ("a\u{7f}b", "a b"), ("caf\u{e9}", "caf\u{e9}"), ("0123456\r89abcde\n", "0123456 89abcde "),
        ("01234567\u{1b}", "01234567 "), ("\u{85}", "\u{85}"),
    ])
    func values(value: String, expected: String) {
        #expect(written { $0.field("X-Name", value) } == "X-Name: \(expected)\r\n")
        #expect(written { writer in span(value) { writer.field("X-Name", $0) } } == "X-Name: \(expected)\r\n")
    }

    @Test("Numbers are written in decimal", arguments: [0, 1, 9, 10, 1234, UInt64(UInt32.max), UInt64.max])
    func numbers(number: UInt64) {
        #expect(written { $0.field("N", number: number) } == "N: \(number)\r\n")
    }

    @Test("A head is written in order, and the buffer is used again")
    func wholeHead() {
        var writer = HeadWriter(capacity: 256)
        for _ in 0..<2 {
            writer.removeAll()
            writer.statusLine(200)
            span("X-A") { name in span("b") { writer.rawField(name: name, value: $0) } }
            writer.field("Content-Length", number: 0)
            writer.end()
        }
        #expect(String(decoding: writer.bytes, as: UTF8.self) == "HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: 0\r\n\r\n")
    }

    @Test("What was written is read back as it was meant")
    func roundTrip() throws {
        let text = written { writer in
            span("/a/b") { path in span("c=d") { writer.requestLine(.patch, path: path, query: $0) } }
            writer.field("Host", "h")
            writer.field("X-Evil", "a\r\nContent-Length: 5\r\n\r\n")
            writer.field("Content-Length", number: 3)
            writer.end()
        }
        let head = try #require(readRequest(text).message)
        #expect(head.fields == ["Host: h", "X-Evil: a  Content-Length: 5", "Content-Length: 3"])
        #expect(head.framing == .length(3))
    }

    @Test("A chunk prefix is the size in hexadecimal and CRLF", arguments: [(1, "1\r\n"), (9, "9\r\n"), (10, "A\r\n"), (16, "10\r\n"), (65535, "FFFF\r\n"), (65536, "10000\r\n"), (Int.max, "7FFFFFFFFFFFFFFF\r\n"), (0, "0\r\n"), (-1, "0\r\n")])
    func chunkPrefix(size: Int, expected: String) {
        let prefix = ChunkPrefix(size: size)
        var bytes: [UInt8] = []
        prefix.append(to: &bytes)
        #expect(String(decoding: bytes, as: UTF8.self) == expected)
        #expect(prefix.count == expected.utf8.count)
        #expect(prefix.count <= ChunkPrefix.countMax)
        let lent = prefix.withBytes { span in span.indices.map { span[$0] } }
        #expect(lent == bytes)
    }

    @Test("Chunks that were written are decoded to what was sent")
    func chunkRoundTrip() {
        var bytes: [UInt8] = []
        for piece in ["a", "hello", String(repeating: "x", count: 300)] {
            ChunkPrefix(size: piece.utf8.count).append(to: &bytes)
            bytes += Array(piece.utf8) + Array(ChunkPrefix.suffix.description.utf8)
        }
        bytes += Array(ChunkPrefix.last.description.utf8)
        #expect(readBody(String(decoding: bytes, as: UTF8.self), .chunked).message?.data == "ahello" + String(repeating: "x", count: 300))
    }
}
