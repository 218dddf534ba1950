import HTTP2
import Testing

@Suite("Requests (RFC 9113 §8)")
struct RequestTests {
    @Test("A head comes out with its fields in order")
    func head() throws {
        let server = try Server()
        server.receive([.headers(1, HeaderBlock.request(path: "/a?b") + [("accept", "*/*"), ("x-y", "")])])
        #expect(server.heads() == [[":method: GET", ":scheme: https", ":authority: h", ":path: /a?b", "accept: */*", "x-y: "]])
    }

    @Test("Every way to cut the bytes gives the same events", arguments: [1, 2, 3, 7, 9, 10, 31])
    func pieces(size: Int) throws {
        let frames: [Frame] = [
            .get(1, [("cookie", "a=1"), ("cookie", "b=2")]), .post(3, [("content-length", "5")]), .data(3, Array("he".utf8)), .data(3, Array("llo".utf8), endStream: true),
            Frame(.headers, .endStream, stream: 5, Array(HeaderBlock.literal(HeaderBlock.request()).prefix(9))),
            Frame(.continuation, [], stream: 5, Array(HeaderBlock.literal(HeaderBlock.request()).dropFirst(9).prefix(9))),
            Frame(.continuation, .endHeaders, stream: 5, Array(HeaderBlock.literal(HeaderBlock.request()).dropFirst(18))),
            .reset(1), .ping(),
        ]
        let whole = try Server()
        whole.receive(frames)
        let cut = try Server()
        cut.receive(frames.flatMap(\.bytes), pieces: size)
        #expect(cut.body == whole.body)
        #expect(cut.events() == whole.events())
        #expect(cut.sentBytes() == whole.sentBytes())
    }

    @Test("Cookie crumbs become one field, the last (§8.2.3)")
    func cookies() throws {
        let server = try Server()
        server.receive([.get(1, [("cookie", "a=1"), ("accept", "x"), ("cookie", "b=2"), ("cookie", "")])])
        #expect(server.heads().first?.suffix(2) == ["accept: x", "cookie: a=1; b=2; "])
    }

    @Test("A malformed head resets its stream and no other", arguments: [
        ("no :method", [(":scheme", "https"), (":authority", "h"), (":path", "/")]),
        ("no :scheme", [(":method", "GET"), (":authority", "h"), (":path", "/")]),
        ("no :path", [(":method", "GET"), (":scheme", "https"), (":authority", "h")]),
        ("an empty :path", HeaderBlock.request(path: "")),
        (":path without a slash", HeaderBlock.request(path: "a")),
        (":path in absolute-form", HeaderBlock.request(path: "https://h/")),
        (":path * for GET", HeaderBlock.request(path: "*")),
        (":method twice", [(":method", "GET")] + HeaderBlock.request()),
        (":path twice", HeaderBlock.request() + [(":path", "/b")]),
        (":authority twice", HeaderBlock.request() + [(":authority", "i")]),
        ("an unknown pseudo-field", HeaderBlock.request() + [(":protocol", "websocket")]),
        ("a response's pseudo-field", HeaderBlock.request() + [(":status", "200")]),
        ("a pseudo-field behind a field", [("accept", "*/*")] + HeaderBlock.request()),
        ("Connection", HeaderBlock.request() + [("connection", "close")]),
        ("Keep-Alive", HeaderBlock.request() + [("keep-alive", "1")]),
        ("Proxy-Connection", HeaderBlock.request() + [("proxy-connection", "close")]),
        ("Transfer-Encoding", HeaderBlock.request(method: "POST") + [("transfer-encoding", "chunked")]),
        ("Upgrade", HeaderBlock.request() + [("upgrade", "websocket")]),
        ("TE other than trailers", HeaderBlock.request() + [("te", "gzip")]),
        ("a Content-Length that is no number", HeaderBlock.request() + [("content-length", "1x")]),
        ("Content-Length twice", HeaderBlock.request() + [("content-length", "0"), ("content-length", "0")]),
        ("a Content-Length without a body", HeaderBlock.request() + [("content-length", "1")]),
        ("neither :authority nor Host", [(":method", "GET"), (":scheme", "https"), (":path", "/")]),
    ] as [(String, [(String, String)])])
    func malformed(name: String, fields: [(String, String)]) throws {
        let server = try Server()
        server.receive([.headers(1, fields), .get(3)])
        let frames = server.sent()
        #expect(frames.resetCode(1) == .protocolError)
        #expect(frames.goAwayCode == nil)
        let events = server.events()
        #expect(events.contains(.requestMalformed(stream: 1)) || events.contains(.streamClosed(stream: 1, code: ErrorCode.protocolError.rawValue)))
        #expect(events.contains { if case .requestHead(3, _, _) = $0 { true } else { false } })
    }

    @Test("A name or value with bytes that cannot stand there comes out as refused (§8.2.1)", arguments: [
        ("X-Upper", "a"), ("a b", "a"), ("a\u{0}", "a"), ("a\r\nb", "a"), ("", "a"), ("a:", "b"), ("é", "a"),
        ("x", "a\r\nb: c"), ("x", "a\nb"), ("x", "a\rb"), ("x", "a\u{0}b"), ("x", "a\u{7f}"), ("x", "\u{1}"), ("x", " a"), ("x", "a "), ("x", "\ta"),
    ])
    func invalidField(name: String, value: String) throws {
        let server = try Server()
        server.receive([.get(1, [(name, value)])])
        let events = server.events()
        let isRefused = events.contains { if case .requestHead(1, let fields, _) = $0 { fields.refusal == .nameInvalid || fields.refusal == .valueInvalid } else { false } }
        #expect(isRefused || events.contains(.requestMalformed(stream: 1)))
    }

    @Test("A pseudo-field with bytes that could begin another line resets the stream", arguments: [
        HeaderBlock.request(method: "GET / HTTP/1.1\r\nx: y"), HeaderBlock.request(method: "GE T"), HeaderBlock.request(method: ""), HeaderBlock.request(path: "/\r\nx: y"),
        HeaderBlock.request(path: "/ HTTP/1.1"), HeaderBlock.request(path: "/\u{0}"), HeaderBlock.request(scheme: "https://h\r\n"), HeaderBlock.request(scheme: ""),
        HeaderBlock.request(authority: "h\r\nx: y"), HeaderBlock.request(authority: "h\u{0}"), HeaderBlock.request(authority: "h i"),
    ])
    func injection(fields: [(String, String)]) throws {
        let server = try Server()
        server.receive([.headers(1, fields)])
        #expect(server.events() == [.requestMalformed(stream: 1)] || server.sent().resetCode(1) == .protocolError)
        #expect(server.heads().isEmpty)
    }

    @Test("CONNECT comes out as a head, for the caller to refuse")
    func connect() throws {
        let server = try Server()
        server.receive([.headers(1, [(":method", "CONNECT"), (":authority", "h:443")], endStream: false)])
        #expect(server.heads() == [[":method: CONNECT", ":authority: h:443"]])
    }

    @Test("A body comes out as it came, and ends with its stream")
    func body() throws {
        let server = try Server()
        server.receive([.post(1, [("content-length", "3")]), .data(1, [1, 2]), Frame(.data, [.padded, .endStream], stream: 1, [2, 3, 0, 0])])
        #expect(server.body == [1, 2, 3])
        #expect(server.events().last == .requestEnded(stream: 1, trailers: nil))
    }

    @Test("Trailers come out with the end")
    func trailers() throws {
        let server = try Server()
        server.receive([.post(1), .data(1, [1]), .headers(1, [("x-sum", "7")])])
        guard case .requestEnded(1, let trailers?) = server.events().last else {
            Issue.record("The request did not end with trailers.")
            return
        }
        #expect(Server.lines(trailers) == ["x-sum: 7"])
    }

    @Test("A body other than Content-Length says resets the stream (§8.1.1)", arguments: [
        [Frame.data(1, [1, 2, 3, 4])], [.data(1, [1, 2], endStream: true)], [.data(1, [1, 2]), .data(1, [3, 4], endStream: true)], [.data(1, [], endStream: true)],
        [.data(1, [1]), .headers(1, [("x", "y")])],
    ])
    func contentLength(frames: [Frame]) throws {
        let server = try Server()
        server.receive([.post(1, [("content-length", "3")])] + frames)
        #expect(server.sent().resetCode(1) == .protocolError)
        let events = server.events()
        #expect(events.contains(.streamClosed(stream: 1, code: ErrorCode.protocolError.rawValue)))
        #expect(!events.contains(.requestEnded(stream: 1, trailers: nil)))
    }

    @Test("Trailers that do not end the stream, or hold a pseudo-field, reset it", arguments: [
        Frame.headers(1, [("x", "y")], endStream: false), .headers(1, [(":path", "/")]), .headers(1, [("x", "y"), (":method", "GET")]),
    ])
    func trailersMalformed(frame: Frame) throws {
        let server = try Server()
        server.receive([.post(1), frame])
        #expect(server.sent().resetCode(1) == .protocolError)
    }

    @Test("DATA or HEADERS behind the end is an error", arguments: [Frame.data(1, [1]), .headers(1, [("x", "y")])])
    func behindTheEnd(frame: Frame) throws {
        let server = try Server()
        server.receive([.get(1), frame])
        let frames = server.sent()
        #expect(frames.resetCode(1) == .streamClosed || frames.goAwayCode == .streamClosed || frames.goAwayCode == .protocolError)
        #expect(server.body.isEmpty)
    }

    @Test("HEADERS or DATA on a stream that the client has ended and that is over get STREAM_CLOSED, once (§5.1, §6.1)", arguments: [
        Frame.headers(1, [("x", "y")]), .data(1, [1, 2, 3]), .data(1, [], endStream: true),
    ], [nil, 1, 4])
    func onAClosedStream(frame: Frame, pieces: Int?) throws {
        for isReset in [false, true] {
            let server = try Server()
            if isReset {
                server.receive([.post(1), .data(1, [1]), .reset(1)])
            } else {
                server.receive([.get(1)])
                var head = HeadFields()
                head.begin(status: 204)
                server.session.submitHead(1, head, endsStream: true)
            }
            _ = server.sent()
            #expect(server.streamCount == 0)
            server.receive(Frame.post(3).bytes + Frame.data(3, [1]).bytes + frame.bytes + Frame.data(3, [2]).bytes, pieces: pieces)
            #expect(server.sent().resetCode(1) == .streamClosed)
            server.receive([frame])
            #expect(server.sent().resetCode(1) == nil)
            #expect(server.streamCount == 1)
        }
    }

    @Test("DATA behind a reset gets STREAM_CLOSED when both come at once")
    func dataBehindAReset() throws {
        let server = try Server()
        server.receive([.post(1), .data(1, [1]), .reset(1), .data(1, [2]), .data(1, [3])])
        let codes = server.sent().filter { $0.kind == .resetStream }
        #expect(codes.count == 1)
    }

    @Test("Trailers on a stream that was reset are passed over (§5.4.2)")
    func trailersUnderWay() throws {
        let server = try Server()
        server.receive([.post(1, [("content-length", "1")]), .data(1, [1, 2])])
        #expect(server.sent().resetCode(1) == .protocolError)
        server.receive([.headers(1, [("x", "y")])])
        #expect(server.sent().isEmpty)
        #expect(server.headBegan == nil)
    }

    @Test("A client's reset closes the stream")
    func reset() throws {
        let server = try Server()
        server.receive([.post(1), .data(1, [1]), .reset(1, code: 8)])
        #expect(server.events().last == .streamClosed(stream: 1, code: 8))
        #expect(server.streamCount == 0)
    }

    @Test("A window increment of 0, or one that is too much, resets the stream", arguments: [(UInt32(0), ErrorCode.protocolError), (0x7FFF_FFFF, .flowControlError)])
    func windowUpdate(increment: UInt32, code: ErrorCode) throws {
        let server = try Server()
        server.receive([.post(1), .windowUpdate(1, increment)])
        let frames = server.sent()
        #expect(frames.resetCode(1) == code || frames.goAwayCode == code)
    }
}
