import HTTPWire
import Testing

@Suite("WebSocket frames")
struct WebSocketFramesTests {
    /// A frame as RFC 6455 §5.2 draws it, with the shortest length field unless told otherwise.
    static func frame(_ opcode: UInt8 = 1, _ payload: [UInt8] = [], final: Bool = true, mask: [UInt8]? = nil, lengthBytes: Int? = nil, reserved: UInt8 = 0) -> [UInt8] {
        var bytes: [UInt8] = [(final ? 0x80 : 0) | reserved << 4 | opcode]
        let wide = lengthBytes ?? (payload.count < 126 ? 0 : payload.count < 65_536 ? 2 : 8)
        let flag: UInt8 = mask == nil ? 0 : 0x80
        switch wide {
        case 0: bytes.append(flag | UInt8(payload.count))
        case 2: bytes += [flag | 126] + (0..<2).map { UInt8(truncatingIfNeeded: payload.count >> (8 - 8 * $0)) }
        default: bytes += [flag | 127] + (0..<8).map { UInt8(truncatingIfNeeded: payload.count >> (56 - 8 * $0)) }
        }
        guard let mask else { return bytes + payload }
        return bytes + mask + payload.enumerated().map { $1 ^ mask[$0 % 4] }
    }

    static let mask: [UInt8] = [0x37, 0xFA, 0x21, 0x3D]

    struct Case: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var sender = WebSocketFrames.Sender.server
        var frames: [[UInt8]]
        var code: UInt16?
        var closes = false
    }

    static let cases: [Case] = [
        Case(testDescription: "an empty text", frames: [frame()]),
        Case(testDescription: "a masked empty text", sender: .client, frames: [frame(mask: mask)]),
        Case(testDescription: "125 bytes, the most of a short length", frames: [frame(2, Array(repeating: 7, count: 125))]),
        Case(testDescription: "126 bytes, the least of a 16-bit length", sender: .client, frames: [frame(2, Array(repeating: 7, count: 126), mask: mask)]),
        Case(testDescription: "65535 bytes, the most of a 16-bit length", frames: [frame(2, Array(repeating: 7, count: 65_535))]),
        Case(testDescription: "65536 bytes, the least of a 64-bit length", sender: .client, frames: [frame(2, Array(repeating: 7, count: 65_536), mask: mask)]),
        Case(testDescription: "a length longer than it must be, which an endpoint may refuse", frames: [frame(1, [1, 2, 3], lengthBytes: 8)]),
        Case(testDescription: "fragments with a ping and a pong between them", frames: [
            frame(1, [1, 2], final: false), frame(9, [3]), frame(0, [], final: false), frame(10, [3]), frame(0, [4, 5, 6]),
        ]),
        Case(testDescription: "a compressed message, by its reserved bit (RFC 7692)", sender: .client, frames: [frame(1, [0xAA, 0x55], mask: mask, reserved: 4)]),
        Case(testDescription: "an opcode that some extension may define", frames: [frame(3, [1]), frame(11, [2])]),
        Case(testDescription: "a payload that looks like a Close frame", frames: [frame(2, [0x88, 0x02, 0x03, 0xE8])]),
        Case(testDescription: "a Close without a code", frames: [frame(8)], closes: true),
        Case(testDescription: "a Close with half a code", frames: [frame(8, [3])], closes: true),
        Case(testDescription: "a Close with a code and a reason", frames: [frame(1, [1]), frame(8, [0x03, 0xE9] + Array("bye".utf8))], code: 1001, closes: true),
        Case(testDescription: "a masked Close", sender: .client, frames: [frame(8, [0x0F, 0xA1], mask: mask)], code: 4001, closes: true),
        Case(testDescription: "a second Close, which changes nothing", frames: [frame(8, [0x03, 0xE9]), frame(8, [0x03, 0xE8])], code: 1001, closes: true),
    ]

    @Test("However the bytes are cut into reads, every frame's end is found and no other place", arguments: cases)
    func borders(_ test: Case) {
        let all = test.frames.flatMap(\.self)
        var ends: Set<Int> = [0]
        for frame in test.frames { ends.insert((ends.max() ?? 0) + frame.count) }
        for size in [1, 2, 3, 5, 13, 4096, all.count] {
            var frames = WebSocketFrames(from: test.sender)
            var position = 0
            while position < all.count {
                #expect(frames.isBetween == ends.contains(position), "at \(position) in reads of \(size)")
                let next = min(all.count, position + size)
                let count = frames.advance(over: all.span.extracting(position..<next))
                #expect(count == next - position)
                position = next
            }
            #expect(frames.isBetween)
            #expect(frames.breach == nil)
            #expect(frames.count == UInt64(test.frames.count))
            #expect(frames.closeCode == test.code)
            #expect(frames.hasClosed == test.closes)
        }
    }

    @Test("Told to stop between frames, it stops at the end of the one under way", arguments: cases)
    func stops(_ test: Case) {
        let all = test.frames.flatMap(\.self)
        let first = test.frames[0].count
        for begun in 1..<min(first + 1, 40) {
            var frames = WebSocketFrames(from: test.sender)
            let nothing = frames.advance(over: all.span, stopsBetween: true)
            #expect(nothing == 0)
            _ = frames.advance(over: all.span.extracting(0..<begun))
            let rest = frames.advance(over: all.span.extracting(begun...), stopsBetween: true)
            #expect(begun + rest == first)
            #expect(frames.isBetween)
        }
    }

    @Test("A breach ends the following, and the bytes pass all the same", arguments: [
        (WebSocketFrames.Sender.client, frame(1, [1, 2]), WebSocketFrames.Breach.maskWrong),
        (.server, frame(1, [1, 2], mask: mask), .maskWrong),
        (.server, [0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 1], .lengthTooLarge),
        (.client, [0x82, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], .lengthTooLarge),
        (.server, frame(9, Array(repeating: 0, count: 126)), .controlFrameInvalid),
        (.server, frame(8, [3, 0xE8], final: false), .controlFrameInvalid),
        (.client, Array("GET / HTTP/1.1\r\n\r\n".utf8), .maskWrong),
    ])
    func breaches(sender: WebSocketFrames.Sender, bytes: [UInt8], breach: WebSocketFrames.Breach) {
        var frames = WebSocketFrames(from: sender)
        let count = frames.advance(over: bytes.span)
        #expect(count == bytes.count)
        #expect(frames.breach == breach)
        #expect(!frames.isBetween)
        let more = frames.advance(over: bytes.span, stopsBetween: true)
        #expect(more == bytes.count)
    }

    @Test("The largest length there is costs nothing and does not trap")
    func largest() {
        var frames = WebSocketFrames(from: .server)
        let header: [UInt8] = [0x82, 127, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]
        _ = frames.advance(over: header.span)
        #expect(frames.breach == nil)
        let more = Array(repeating: UInt8(0x88), count: 100_000)
        let count = frames.advance(over: more.span)
        #expect(count == more.count)
        #expect(!frames.isBetween)
    }

    @Test("Random bytes neither trap nor get lost")
    func random() {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<2000 {
            var frames = WebSocketFrames(from: Bool.random() ? .client : .server)
            let bytes = (0..<Int.random(in: 1...64)).map { _ in UInt8.random(in: 0...255, using: &generator) }
            let stopped = frames.advance(over: bytes.span, stopsBetween: Bool.random())
            #expect(stopped <= bytes.count)
            let rest = frames.advance(over: bytes.span.extracting(stopped...))
            #expect(stopped + rest == bytes.count)
        }
    }

    @Test("A Close frame of ours is one that it reads itself", arguments: [nil, 0, 0x37FA_213D, UInt32.max])
    func writes(maskingKey: UInt32?) {
        let bytes = WebSocketCloseFrame.bytes(code: 1008, reason: "The login has ended.", maskingKey: maskingKey)
        #expect(bytes == Self.frame(8, [0x03, 0xF0] + Array("The login has ended.".utf8), mask: maskingKey.map { key in (0..<4).map { UInt8(truncatingIfNeeded: key >> UInt32(24 - 8 * $0)) } }))
        var frames = WebSocketFrames(from: maskingKey == nil ? .server : .client)
        _ = frames.advance(over: bytes.span)
        #expect(frames.isBetween && frames.hasClosed)
        #expect(frames.closeCode == 1008)
    }
}
