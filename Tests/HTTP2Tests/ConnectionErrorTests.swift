import HTTP2
import Testing

/// A violation and the code that the connection ends with.
struct Violation: Sendable, CustomTestStringConvertible {
    let name: String
    let code: ErrorCode
    let bytes: [UInt8]

    init(_ name: String, _ code: ErrorCode, _ frames: [Frame]) {
        self.name = name
        self.code = code
        bytes = frames.flatMap(\.bytes)
    }
    var testDescription: String { name }
}

@Suite("Connection errors (RFC 9113 §4–§7, RFC 7541)")
struct ConnectionErrorTests {
    static let violations: [Violation] = [
        Violation("§6.1 DATA on stream 0", .protocolError, [.data(0, [1])]),
        Violation("§5.1 DATA on an idle stream", .protocolError, [.data(1, [1])]),
        Violation("§6.1 padding as long as the payload", .protocolError, [.post(1), Frame(.data, .padded, stream: 1, [3, 0, 0])]),
        Violation("§6.2 HEADERS on stream 0", .protocolError, [.get(0)]),
        Violation("§6.2 HEADERS with padding as long as the payload", .protocolError, [Frame(.headers, [.endHeaders, .padded], stream: 1, [9, 0x82])]),
        Violation("§5.1.1 an even stream from a client", .protocolError, [.get(2)]),
        Violation("§5.1.1 a stream below an earlier one", .protocolError, [.get(5), .get(3)]),
        Violation("§6.3 PRIORITY on stream 0", .protocolError, [Frame(.priority, stream: 0, [0, 0, 0, 0, 1])]),
        Violation("§6.4 RST_STREAM on stream 0", .protocolError, [.reset(0)]),
        Violation("§6.4 RST_STREAM on an idle stream", .protocolError, [.reset(1)]),
        Violation("§6.4 RST_STREAM of three bytes", .frameSizeError, [.get(1), Frame(.resetStream, stream: 1, [0, 0, 8])]),
        Violation("§6.5 SETTINGS on a stream", .protocolError, [Frame(.settings, stream: 1)]),
        Violation("§6.5 SETTINGS of five bytes", .frameSizeError, [Frame(.settings, [0, 3, 0, 0, 0])]),
        Violation("§6.5 an acknowledgement with a payload", .frameSizeError, [Frame(.settings, .acknowledgement, [0, 3, 0, 0, 0, 1])]),
        Violation("§6.5.2 ENABLE_PUSH of 2", .protocolError, [.settings([(2, 2)])]),
        Violation("§6.5.2 a window over 2³¹−1", .flowControlError, [.settings([(4, 0x8000_0000)])]),
        Violation("§6.5.2 a frame size below 16,384", .protocolError, [.settings([(5, 16_383)])]),
        Violation("§6.5.2 a frame size over 2²⁴−1", .protocolError, [.settings([(5, 16_777_216)])]),
        Violation("§6.6 PUSH_PROMISE from a client", .protocolError, [.post(1), Frame(.pushPromise, .endHeaders, stream: 1, [0, 0, 0, 2, 0x82])]),
        Violation("§6.7 PING on a stream", .protocolError, [Frame(.ping, stream: 1, Array(repeating: 0, count: 8))]),
        Violation("§6.7 PING of seven bytes", .frameSizeError, [Frame(.ping, Array(repeating: 0, count: 7))]),
        Violation("§6.8 GOAWAY on a stream", .protocolError, [Frame(.goAway, stream: 1, Array(repeating: 0, count: 8))]),
        Violation("§6.8 GOAWAY of seven bytes", .frameSizeError, [Frame(.goAway, Array(repeating: 0, count: 7))]),
        Violation("§6.9 a connection window increment of 0", .protocolError, [.windowUpdate(0, 0)]),
        Violation("§6.9 WINDOW_UPDATE on an idle stream", .protocolError, [.windowUpdate(1, 1)]),
        Violation("§6.9 WINDOW_UPDATE of three bytes", .frameSizeError, [Frame(.windowUpdate, [0, 0, 1])]),
        Violation("§6.9.1 a connection window over 2³¹−1", .flowControlError, [.windowUpdate(0, 0x7FFF_FFFF)]),
        Violation("§6.10 CONTINUATION without HEADERS", .protocolError, [Frame(.continuation, .endHeaders, stream: 1, [0x82])]),
        Violation("§6.2 another frame inside a header block", .protocolError, [Frame(.headers, stream: 1, [0x82]), .ping()]),
        Violation("§6.2 another stream's CONTINUATION", .protocolError, [Frame(.headers, stream: 1, [0x82]), Frame(.continuation, .endHeaders, stream: 3, [0x84])]),
        Violation("§6.10 a frame of an unknown type inside a header block", .protocolError, [Frame(.headers, stream: 1, [0x82]), Frame(type: 0xFA)]),
        Violation("§4.2 a frame over 16,384 bytes", .frameSizeError, [.post(1), Frame(.data, stream: 1, Array(repeating: 0, count: 16_385))]),
        Violation("§4.2 a CONTINUATION over 16,384 bytes", .frameSizeError, [
            Frame(.headers, stream: 1, [0x82]), Frame(.continuation, .endHeaders, stream: 1, Array(repeating: 0, count: 16_385)),
        ]),
        Violation("§6.9.2 a first window that lets an open stream's overflow", .flowControlError, [.post(1), .windowUpdate(1, 0x7FFF_0000), .settings([(4, 65_536)])]),
        Violation("RFC 7541 §6.1 index 0", .compressionError, [Frame(.headers, [.endHeaders, .endStream], stream: 1, [0x80])]),
        Violation("RFC 7541 §2.3.3 an index that is not there", .compressionError, [Frame(.headers, [.endHeaders, .endStream], stream: 1, [0xFE])]),
        Violation("RFC 7541 §5.1 an integer without an end", .compressionError, [Frame(.headers, [.endHeaders, .endStream], stream: 1, [0xFF] + Array(repeating: 0xFF, count: 12))]),
        Violation("RFC 7541 §5.2 a Huffman text that ends in EOS", .compressionError, [Frame(.headers, [.endHeaders, .endStream], stream: 1, [0x00, 0x84, 0xFF, 0xFF, 0xFF, 0xFF, 0x00])]),
        Violation("RFC 7541 §6.3 a table larger than was allowed", .compressionError, [Frame(.headers, [.endHeaders, .endStream], stream: 1, HeaderBlock.integer(4097, prefix: 5, 0x20) + [0x82])]),
        Violation("RFC 7541 §4.2 a change of the table's size behind a field", .compressionError, [Frame(.headers, [.endHeaders, .endStream], stream: 1, [0x82, 0x20])]),
        Violation("RFC 7541 a header block that ends within a field", .compressionError, [Frame(.headers, [.endHeaders, .endStream], stream: 1, [0x82, 0x00, 0x05, 0x61])]),
    ]

    @Test("A violation ends the connection with its code", arguments: violations)
    func violation(_ violation: Violation) throws {
        let server = try Server()
        server.receive(violation.bytes)
        let frames = server.sent()
        #expect(frames.goAwayCode == violation.code)
        #expect(server.isFinished)
        let failures = server.events().filter { if case .failed = $0 { true } else { false } }
        #expect(failures == [.failed(.violation(code: violation.code.rawValue))])
    }

    @Test("Nothing is taken in after a connection error")
    func silence() throws {
        let server = try Server()
        server.receive([.windowUpdate(0, 0)])
        _ = server.sent()
        _ = server.events()
        server.receive([.get(1)])
        #expect(server.events().isEmpty)
        #expect(!server.wantsToSend)
    }

    @Test("Other first bytes than the preface end the connection at once", arguments: [
        "GET / HTTP/1.1\r\nHost: h\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\r", "\u{16}\u{3}\u{1}", "PRI * HTTP/1.1\r\n\r\n",
    ])
    func preface(text: String) throws {
        let server = try Server(greets: false)
        server.receive(Array(text.utf8))
        #expect(server.events() == [.failed(.prefaceInvalid)])
        #expect(server.sent().goAwayCode == .protocolError)
        #expect(server.isFinished)
    }

    @Test("The first frame behind the preface must be SETTINGS", arguments: [Frame.ping(), .get(1), .settingsAcknowledgement])
    func firstFrame(frame: Frame) throws {
        let server = try Server(greets: false)
        server.receive(Frame.preface + frame.bytes)
        #expect(server.sent().goAwayCode == .protocolError)
        #expect(server.isFinished)
    }

    @Test("What RFC 9113 says to ignore is ignored", arguments: [
        Violation("§4.1 a frame of an unknown type", .noError, [Frame(type: 0xEE, stream: 7, [1, 2, 3])]),
        Violation("§6.5.2 a setting that is unknown", .noError, [.settings([(0xEE, 1)])]),
        Violation("§4.1 flags without a meaning", .noError, [Frame(.ping, Frame.Flags(rawValue: 0xFE), stream: 0, Array(repeating: 0, count: 8))]),
        Violation("§5.3.2 PRIORITY on an idle stream", .noError, [Frame(.priority, stream: 9, [0, 0, 0, 0, 1])]),
        Violation("§5.1 RST_STREAM on a stream that was reset", .noError, [.get(1), .reset(1), .reset(1)]),
        Violation("§5.1 WINDOW_UPDATE on a stream that was reset", .noError, [.get(1), .reset(1), .windowUpdate(1, 5)]),
    ])
    func ignored(_ harmless: Violation) throws {
        let server = try Server()
        server.receive(harmless.bytes)
        server.receive([.get(11)])
        #expect(server.heads().last == [":method: GET", ":scheme: https", ":authority: h", ":path: /"])
        #expect(server.sent().goAwayCode == nil)
    }
}
