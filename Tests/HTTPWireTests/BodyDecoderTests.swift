import HTTPWire
import Testing

@Suite("BodyDecoder")
struct BodyDecoderTests {
    @Test("A counted body ends after its last byte", arguments: [(0, "", 0), (1, "a", 1), (5, "hello", 5), (5, "helloGET / HTTP/1.1", 5)])
    func counted(length: UInt64, text: String, consumed: Int) {
        #expect(readBody(text, .length(length)) == .message(BodySummary(data: String(text.prefix(Int(length))), trailers: "", consumed: consumed)))
    }

    @Test("A counted body that is cut off is not whole")
    func countedIncomplete() throws {
        #expect(readBody("hell", .length(5)) == .incomplete)
        var decoder = BodyDecoder(.length(5))
        let bytes = Array("hell".utf8)
        let step = try decoder.next(bytes.span)
        #expect(step == .data(range: 0..<4, consumed: 4))
        #expect(!decoder.isWholeAtClose)
        #expect(!decoder.isFinished)
        #expect(decoder.dataCount == 4)
    }

    @Test("No body ends before the first byte, again and again")
    func none() throws {
        var decoder = BodyDecoder(.none)
        let bytes = Array("GET".utf8)
        for _ in 0..<3 {
            let step = try decoder.next(bytes.span)
            #expect(step == .end(consumed: 0))
        }
        #expect(decoder.isFinished)
    }

    @Test("A body until close has every byte, and closing makes it whole")
    func untilClose() throws {
        var decoder = BodyDecoder(.untilClose)
        let bytes = Array("0\r\n\r\n".utf8)
        for _ in 0..<2 {
            let step = try decoder.next(bytes.span)
            #expect(step == .data(range: 0..<5, consumed: 5))
        }
        let empty = try decoder.next(bytes.span.extracting(0..<0))
        #expect(empty == .needsMore(consumed: 0))
        #expect(decoder.isWholeAtClose)
        #expect(!decoder.isFinished)
        #expect(decoder.dataCount == 10)
    }

    @Test("Chunks are joined, and extensions dropped", arguments: [
        ("0\r\n\r\n", ""), ("000\r\n\r\n", ""), ("0000000000000000\r\n\r\n", ""), ("1\r\na\r\n0\r\n\r\n", "a"), ("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", "hello world"),
        ("A\r\n0123456789\r\n0\r\n\r\n", "0123456789"), ("a\r\n0123456789\r\n00\r\n\r\n", "0123456789"), ("0000000000000001\r\nx\r\n0\r\n\r\n", "x"), ("4\r\n\r\n\r\n\r\n0\r\n\r\n", "\r\n\r\n"),
        ("10\r\n0123456789abcdef\r\n0\r\n\r\n", "0123456789abcdef"), ("5\r\n0\r\n\r\n\r\n0\r\n\r\n", "0\r\n\r\n"),
        ("1;a\r\nx\r\n0\r\n\r\n", "x"), ("1;a=b\r\nx\r\n0\r\n\r\n", "x"), ("1;a=\"b\"\r\nx\r\n0;c\r\n\r\n", "x"), ("1; a = b ; c\r\nx\r\n0\r\n\r\n", "x"), ("1;a=\"q;\\\" =\"\r\nx\r\n0\r\n\r\n", "x"),
        ("1;a;b;c=d\r\nx\r\n0;x=\"\"\r\n\r\n", "x"), ("1;\ta\r\nx\r\n0\r\n\r\n", "x"), ("1;a \r\nx\r\n0\r\n\r\n", "x"), ("1;a=\"é\"\r\nx\r\n0\r\n\r\n", "x"),
    ])
    func chunked(text: String, data: String) {
        #expect(readBody(text, .chunked) == .message(BodySummary(data: data, trailers: "", consumed: text.utf8.count)))
        #expect(readBody(text + "GET /", .chunked) == .message(BodySummary(data: data, trailers: "", consumed: text.utf8.count)))
        for count in 0..<text.utf8.count { #expect(readBody(String(decoding: Array(text.utf8.prefix(count)), as: UTF8.self), .chunked).message == nil) }
    }

    @Test("Trailers are handed over as they came", arguments: [
        ("X-Checksum: abc\r\n", FieldNameRule.strict), ("A: b\r\nC:d\r\n", .strict), ("ETag: \"x\"\r\n", .strict), ("X:\r\n", .strict), ("X_Y: z\r\n", .token), ("Grpc-Status: 0\r\ngrpc-message: caf\u{e9}\r\n", .strict),
        ("Server: x\r\nDate: y\r\n", .strict), ("X-T: \ta b\t\r\n", .strict),
    ])
    func trailers(lines: String, names: FieldNameRule) {
        let text = "1\r\nx\r\n0\r\n" + lines + "\r\n"
        #expect(readBody(text + "x", .chunked, names: names) == .message(BodySummary(data: "x", trailers: lines, consumed: text.utf8.count)))
    }

    @Test("A chunked body that two programs could read in two ways is refused by name", arguments: [
        ("\r\n", BodyError.chunkSizeInvalid), ("g\r\n", .chunkSizeInvalid), ("0x1\r\nx", .chunkSizeInvalid), ("+1\r\nx", .chunkSizeInvalid), ("-1\r\nx", .chunkSizeInvalid), (" 1\r\nx", .chunkSizeInvalid),
        ("1 \r\nx", .chunkSizeInvalid), ("1\t\r\nx", .chunkSizeInvalid), ("1 ;a\r\nx", .chunkSizeInvalid), ("1h\r\nx", .chunkSizeInvalid), ("1_0\r\n", .chunkSizeInvalid), ("1.0\r\n", .chunkSizeInvalid),
        ("00000000000000001\r\nx", .chunkSizeInvalid), ("10000000000000000\r\nx", .chunkSizeInvalid), ("ffffffffffffffff0", .chunkSizeInvalid), (";a\r\n", .chunkSizeInvalid), ("\n", .chunkSizeInvalid), ("\u{0}", .chunkSizeInvalid),
        ("1\u{b}\r\nx", .chunkSizeInvalid), ("١\r\nx", .chunkSizeInvalid), ("1,1\r\nx", .chunkSizeInvalid), ("\"1\"\r\n", .chunkSizeInvalid),
        ("1\nx\n0\n\n", .chunkLineEndInvalid), ("1\rx", .chunkLineEndInvalid), ("1\r\rx", .chunkLineEndInvalid), ("1;a\nx", .chunkLineEndInvalid), ("1;a\rx", .chunkLineEndInvalid), ("0\n\n", .chunkLineEndInvalid), ("0;a\n", .chunkLineEndInvalid),
        ("1;a=\"\n\"\r\nx", .chunkLineEndInvalid), ("1;a=b\r \n", .chunkLineEndInvalid),
        ("1;\r\nx", .chunkExtensionInvalid), ("1;;a\r\nx", .chunkExtensionInvalid), ("1;=b\r\nx", .chunkExtensionInvalid), ("1;a=\r\nx", .chunkExtensionInvalid), ("1;a=;b\r\nx", .chunkExtensionInvalid), ("1;a b\r\nx", .chunkExtensionInvalid),
        ("1;a=b c\r\nx", .chunkExtensionInvalid), ("1;a=\"b\r\nx", .chunkExtensionInvalid), ("1;a=\"b\\\r\nx", .chunkExtensionInvalid), ("1;a=b=c\r\nx", .chunkExtensionInvalid), ("1;a\u{0}\r\nx", .chunkExtensionInvalid), ("1;a=\"\u{1}\"\r\nx", .chunkExtensionInvalid),
        ("1;a=\"\u{7f}\"\r\nx", .chunkExtensionInvalid), ("1;é\r\nx", .chunkExtensionInvalid), ("1;a=\"b\"c\r\nx", .chunkExtensionInvalid), ("1;a,b\r\nx", .chunkExtensionInvalid), ("1; \r\nx", .chunkExtensionInvalid), ("1;a/b\r\nx", .chunkExtensionInvalid),
        ("1\r\nxy\r\n0\r\n\r\n", .chunkDataEndInvalid), ("1\r\nx\n0\r\n\r\n", .chunkDataEndInvalid), ("1\r\nx\r0\r\n\r\n", .chunkDataEndInvalid), ("1\r\nx0\r\n\r\n", .chunkDataEndInvalid), ("2\r\nxyz", .chunkDataEndInvalid), ("1\r\nx \r\n", .chunkDataEndInvalid),
        ("0\r\n\n", .trailerInvalid), ("0\r\n\r\r\n", .trailerInvalid), ("0\r\n\rX", .trailerInvalid), ("0\r\nX\r\n\r\n", .trailerInvalid), ("0\r\n X: y\r\n\r\n", .trailerInvalid), ("0\r\nX : y\r\n\r\n", .trailerInvalid), ("0\r\n: y\r\n\r\n", .trailerInvalid),
        ("0\r\nX_Y: z\r\n\r\n", .trailerInvalid), ("0\r\nX: y\n\r\n", .trailerInvalid), ("0\r\nX: y\rZ\r\n\r\n", .trailerInvalid), ("0\r\nX: y\r\n z\r\n\r\n", .trailerInvalid), ("0\r\nX: \u{0}\r\n\r\n", .trailerInvalid), ("0\r\nX(: y\r\n\r\n", .trailerInvalid),
        ("0\r\nGET / HTTP/1.1\r\n", .trailerInvalid), ("0\r\n\tX: y\r\n", .trailerInvalid),
    ])
    func refusesChunked(text: String, error: BodyError) {
        #expect(readBody(text, .chunked).fault == error)
        let expected = error.rawValue.hasPrefix("trailer") ? error : nil
        if let expected { #expect(readBody("3\r\nabc\r\n" + text, .chunked).fault == expected) }
    }

    @Test("A trailer can neither frame, route nor authenticate", arguments: [
        "Content-Length", "transfer-encoding", "Host", "Authorization", "Cookie", "Connection", "Upgrade", "TE", "Trailer", "Expect", "Content-Type", "Content-Encoding", "X-Forwarded-For", "X-Auth-Subject", "Forwarded",
        "X-Real-IP", "Origin", "Set-Cookie", "WWW-Authenticate", "X-Request-ID", "traceparent", "Proxy-Authorization", "Cache-Control", "X-Api-Key", "Keep-Alive", "Location", "Vary", "X-Envoy-Peer", "HTTP2-Settings", "Sec-Fetch-Mode",
    ])
    func forbiddenTrailer(name: String) {
        #expect(readBody("0\r\n\(name): 1\r\n\r\n", .chunked).fault == .trailerForbidden)
        #expect(readBody("0\r\nX: y\r\n\(name): 1\r\n\r\n", .chunked, names: .token).fault == .trailerForbidden)
    }

    @Test("A body over the limit is refused before its data", arguments: [
        (MessageFraming.length(6), "abcdef"), (.length(.max), ""), (.chunked, "6\r\nabcdef\r\n"), (.chunked, "3\r\nabc\r\n3\r\n"), (.chunked, "ffffffffffffffff\r\n"), (.chunked, "1\r\na\r\nffffffffffffffff\r\n"), (.chunked, "5\r\nabcde\r\n1\r\n"),
    ])
    func tooLarge(framing: MessageFraming, text: String) {
        #expect(readBody(text, framing, limit: 5).fault == .tooLarge)
    }

    @Test("A body of exactly the limit passes")
    func atLimit() {
        #expect(readBody("abcde", .length(5), limit: 5).message?.data == "abcde")
        #expect(readBody("2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n", .chunked, limit: 5).message?.data == "abcde")
        #expect(readBody("0\r\n\r\n", .chunked, limit: 0).message?.data == "")
    }

    @Test("A body until close is refused once it passes the limit")
    func untilCloseTooLarge() throws {
        var decoder = BodyDecoder(.untilClose, limit: 5)
        let bytes = Array("abc".utf8)
        _ = try decoder.next(bytes.span)
        #expect(throws: BodyError.tooLarge) { try decoder.next(bytes.span) }
        #expect(throws: BodyError.tooLarge) { try decoder.next(bytes.span) }
        #expect(!decoder.isWholeAtClose)
    }

    @Test("A chunk size of 64 bits is counted down without overflow")
    func hugeChunk() throws {
        var decoder = BodyDecoder(.chunked)
        let bytes = Array("ffffffffffffffff\r\nabc".utf8)
        let step = try decoder.next(bytes.span)
        #expect(step == .data(range: 18..<21, consumed: 21))
        let more = try decoder.next(bytes.span)
        #expect(more == .data(range: 0..<21, consumed: 21))
    }

    @Test("Two chunks whose sizes add up to more than 64 bits are refused")
    func hugeChunks() throws {
        var decoder = BodyDecoder(.chunked)
        let first = Array("1\r\na\r\n".utf8)
        let step = try decoder.next(first.span)
        #expect(step == .data(range: 3..<4, consumed: 4))
        let rest = Array("\r\nffffffffffffffff\r\n".utf8)
        #expect(throws: BodyError.tooLarge) { try decoder.next(rest.span) }
    }

    @Test("Extensions are bounded in a chunk and in a body")
    func extensionLimits() {
        func text(_ count: Int) -> String { ";" + String(repeating: "e", count: count - 1) }
        #expect(decode("1" + text(1024) + "\r\nx\r\n0\r\n\r\n") == .message(BodySummary(data: "x", trailers: "", consumed: 1035)))
        #expect(decode("1" + text(1025)).fault == .chunkExtensionTooLarge)
        let chunk = "1" + text(1024) + "\r\nx\r\n"
        #expect(decode(String(repeating: chunk, count: 16) + "0\r\n\r\n").message?.data == String(repeating: "x", count: 16))
        #expect(decode(String(repeating: chunk, count: 16) + "0;").fault == .chunkExtensionTooLarge)
    }

    @Test("Trailers are bounded in bytes and lines")
    func trailerLimits() {
        func line(_ count: Int) -> String { "X:" + String(repeating: "v", count: count - 4) + "\r\n" }
        #expect(decode("0\r\n" + line(8192) + "\r\n").message?.trailers.utf8.count == 8192)
        #expect(decode("0\r\n" + line(8193) + "\r\n").fault == .trailersTooLarge)
        #expect(decode("0\r\n" + String(repeating: line(4096), count: 2) + "X").fault == .trailersTooLarge)
        #expect(decode("0\r\n" + String(repeating: line(8), count: 32) + "\r\n").message?.trailers.utf8.count == 256)
        #expect(decode("0\r\n" + String(repeating: line(8), count: 33)).fault == .trailersTooLarge)
    }

    @Test("A refused body is 413 when it is too large and 400 otherwise")
    func statuses() {
        for error in BodyError.allCases { #expect(error.status == (error == .tooLarge ? 413 : 400)) }
    }

    /// In one piece, for the texts that are too long to be cut at every place.
    private func decode(_ text: String) -> Reading<BodySummary, BodyError> {
        var decoder = BodyDecoder(.chunked)
        let bytes = Array(text.utf8)
        var consumed = 0
        var data: [UInt8] = []
        do {
            while true {
                switch try decoder.next(bytes.span.extracting(consumed..<bytes.count)) {
                case .needsMore: return .incomplete
                case .data(let range, let step):
                    data += bytes[(consumed + range.lowerBound)..<(consumed + range.upperBound)]
                    consumed += step
                case .end(let step):
                    return .message(BodySummary(data: String(decoding: data, as: UTF8.self), trailers: String(decoding: decoder.trailers, as: UTF8.self), consumed: consumed + step))
                }
            }
        } catch {
            return .refused(error)
        }
    }
}
