import GatewayTerms
import HTTPWire
import Testing

/// A small generator with a seed, so that a failure can be repeated (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }
}

@Suite("Random input")
struct RandomInputTests {
    private static let pieces = [
        "GET ", "POST ", "OPTIONS * ", "/", "?", "#", " HTTP/1.1\r\n", " HTTP/1.0\r\n", "Host: h\r\n", "Host: h:80", "Content-Length: ", "5\r\n", "Transfer-Encoding: chunked\r\n", "Connection: ", "close", "upgrade, ", "x-a\r\n", "X-A: b\r\n",
        "Upgrade: websocket\r\n", "Expect: 100-continue\r\n", "\r\n", "\r", "\n", ":", " ", "\t", ",", "X", "é", "\u{0}", "http://h", "Cookie: ", "0\r\n", "1\r\nx\r\n", "ffffffffffffffff\r\n", ";a=\"b\"", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 101 \r\n", "0\r\nX: y\r\n\r\n",
    ].map { Array($0.utf8) }

    private func input(_ generator: inout SeededGenerator) -> [UInt8] {
        var bytes: [UInt8] = []
        for _ in 0..<Int.random(in: 0...14, using: &generator) { bytes += Self.pieces.randomElement(using: &generator) ?? [] }
        for _ in 0..<Int.random(in: 0...2, using: &generator) where !bytes.isEmpty {
            bytes[Int.random(in: 0..<bytes.count, using: &generator)] = UInt8.random(in: .min ... .max, using: &generator)
        }
        return bytes
    }

    @Test("Random bytes never trap, and every way to cut them reads alike", arguments: [1, 2, 3, 4] as [UInt64])
    func neverTraps(seed: UInt64) {
        var generator = SeededGenerator(state: seed)
        for _ in 0..<400 {
            let bytes = input(&generator)
            let text = String(decoding: bytes, as: UTF8.self)
            _ = readRequest(bytes)
            _ = readResponse(text, to: Bool.random(using: &generator) ? .get : .head)
            _ = readBody(text, .chunked, limit: UInt64.random(in: 0...40, using: &generator))
        }
    }

    @Test("A random head that is made of valid parts is read as it was made", arguments: [11, 12, 13] as [UInt64])
    func readsValid(seed: UInt64) throws {
        var generator = SeededGenerator(state: seed)
        let visible = Array(0x21...0x7E as ClosedRange<UInt8>)
        for _ in 0..<60 {
            let target = "/" + String(decoding: (0..<Int.random(in: 0...30, using: &generator)).map { _ in visible.filter { $0 != 0x23 }.randomElement(using: &generator) ?? 0x61 }, as: UTF8.self)
            var lines = ["Host: h"]
            for _ in 0..<Int.random(in: 0...5, using: &generator) {
                let name = "N" + String(repeating: "n", count: Int.random(in: 0...20, using: &generator))
                let value = String(decoding: (0..<Int.random(in: 0...30, using: &generator)).map { _ in visible.randomElement(using: &generator) ?? 0x61 }, as: UTF8.self)
                lines.append("\(name): \(value)")
            }
            let head = try #require(readRequest("PUT \(target) HTTP/1.1\r\n" + lines.joined(separator: "\r\n") + "\r\n\r\n").message)
            #expect(head.target == target)
            #expect(head.fields == lines)
        }
    }
}
