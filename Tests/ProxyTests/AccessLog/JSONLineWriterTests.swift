import Foundation
import GatewayTerms
import Proxy
import Testing

private func written(_ bytes: [UInt8]) -> String {
    var writer = JSONLineWriter()
    writer.begin()
    writer.member(#""t":"#, .bytes(bytes))
    writer.end()
    return String(decoding: writer.bytes, as: UTF8.self)
}

@Suite("The JSON line writer")
struct JSONLineWriterTests {
    @Test("escapes what JSON, a terminal or a reader would obey", arguments: [
        ("\"", #"\""#), ("\\", #"\\"#), ("\n", #"\n"#), ("\r", #"\r"#), ("\t", #"\t"#), ("\u{0}", #"\u0000"#), ("\u{8}", #"\u0008"#),
        ("\u{1b}[31m", #"\u001b[31m"#), ("\u{1f}", #"\u001f"#), ("\u{7f}", #"\u007f"#), ("\u{80}", #"\u0080"#), ("\u{9b}", #"\u009b"#),
        ("\u{2028}", #"\u2028"#), ("\u{2029}", #"\u2029"#), ("\u{202e}", #"\u202e"#), ("\u{2066}", #"\u2066"#), ("\u{feff}", #"\ufeff"#),
        ("/", "/"), ("é", "é"), ("€", "€"), ("😀", "😀"), ("\u{a0}", "\u{a0}"), ("<script>&'", "<script>&'"),
    ])
    func escapes(text: String, expected: String) {
        #expect(written(Array(text.utf8)) == "{\"t\":\"\(expected)\"}\n")
        // At every place within and across the eight bytes that are looked at together.
        for shift in 0..<17 {
            let padding = String(repeating: "-", count: shift)
            #expect(written(Array((padding + text + padding).utf8)) == "{\"t\":\"\(padding)\(expected)\(padding)\"}\n")
        }
    }

    @Test("writes U+FFFD for what is no UTF-8", arguments: [
        ([0xff], "\u{fffd}"), ([0x80], "\u{fffd}"), ([0xc0, 0xaf], "\u{fffd}\u{fffd}"), ([0xc3], "\u{fffd}"), ([0xc3, 0x28], "\u{fffd}("),
        ([0xe2, 0x82], "\u{fffd}"), ([0xe2, 0x82, 0x22], "\u{fffd}\\\""), ([0xed, 0xa0, 0x80], "\u{fffd}\u{fffd}\u{fffd}"),
        ([0xf0, 0x80, 0x80, 0x80], "\u{fffd}\u{fffd}\u{fffd}\u{fffd}"), ([0xf0, 0x9f, 0x98], "\u{fffd}"),
        ([0xf4, 0x90, 0x80, 0x80], "\u{fffd}\u{fffd}\u{fffd}\u{fffd}"), ([0xf5], "\u{fffd}"),
    ] as [([UInt8], String)])
    func invalid(bytes: [UInt8], expected: String) {
        #expect(written(bytes) == "{\"t\":\"\(expected)\"}\n")
    }

    @Test("lets a JSON reader find the same text again, for every byte and 20,000 random texts")
    func roundTrip() throws {
        var random = SystemRandomNumberGenerator()
        var texts = (0...255).map { [UInt8($0)] }
        for _ in 0..<20_000 {
            let bias = UInt8.random(in: 0...3, using: &random)
            texts.append((0..<Int.random(in: 0...40, using: &random)).map { _ in
                switch bias {
                case 0: UInt8.random(in: 0...255, using: &random)
                case 1: UInt8.random(in: 0x78...0xff, using: &random)
                case 2: [0x22, 0x5c, 0x20, 0x61, 0x1f, 0x7f].randomElement(using: &random) ?? 0
                default: [0xe2, 0x80, 0xa8, 0xf0, 0x9f, 0x98, 0xed, 0xa0, 0xc2].randomElement(using: &random) ?? 0
                }
            })
        }
        for text in texts {
            let object = try JSONSerialization.jsonObject(with: Data(written(text).utf8)) as? [String: String]
            // Compared by scalars: equal strings may differ in form.
            #expect(object?["t"].map { Array($0.unicodeScalars) } == Array(String(decoding: text, as: UTF8.self).unicodeScalars))
        }
    }

    @Test("writes numbers in full", arguments: [(0, "0"), (9, "9"), (10, "10"), (-1, "-1"), (Int.max, "9223372036854775807"), (Int.min, "-9223372036854775808")])
    func numbers(number: Int, expected: String) {
        var writer = JSONLineWriter()
        writer.begin()
        writer.member(#""n":"#, number)
        writer.end()
        #expect(writer.bytes == Array("{\"n\":\(expected)}\n".utf8))
    }

    @Test("writes times as milliseconds with microseconds behind the point", arguments: [
        (LogDuration(microseconds: 0), "0.000"), (LogDuration(microseconds: 7), "0.007"), (LogDuration(microseconds: 1_000), "1.000"),
        (LogDuration(microseconds: 61_002_030), "61002.030"), (LogDuration(microseconds: -5), "0.000"), (LogDuration(nanoseconds: 1_999), "0.001"),
        (LogDuration(.milliseconds(1500)), "1500.000"), (LogDuration(.seconds(-1)), "0.000"), (LogDuration(.seconds(Int64.max)), "9223372036854775.807"),
    ])
    func durations(duration: LogDuration, expected: String) {
        var writer = JSONLineWriter()
        writer.begin()
        writer.member(#""d":"#, duration)
        writer.end()
        #expect(writer.bytes == Array("{\"d\":\(expected)}\n".utf8))
    }

    @Test("writes a moment as RFC 3339 does, also where the second changes or goes back", arguments: [
        [0, 999, 1000, 1001, 500], [1_795_002_573_007, 1_795_002_573_999, 1_795_002_574_000, 1_709_164_800_000], [-1, -1000, -1001],
    ] as [[Int64]])
    func moments(milliseconds: [Int64]) {
        var writer = JSONLineWriter()
        for moment in milliseconds.map(WallTime.init(milliseconds:)) {
            writer.begin()
            writer.member(#""m":"#, moment)
            writer.end()
            #expect(String(decoding: writer.bytes, as: UTF8.self) == "{\"m\":\"\(moment)\"}\n")
        }
    }

    @Test("writes addresses as their description does", arguments: ["0.0.0.0", "10.1.2.3", "255.255.255.255", "::1", "2001:db8::ff00:42:8329", "::ffff:192.0.2.1"])
    func addresses(text: String) throws {
        let address = try #require(IPAddress(text))
        var writer = JSONLineWriter()
        writer.begin()
        writer.member(#""a":"#, address)
        writer.end()
        #expect(String(decoding: writer.bytes, as: UTF8.self) == "{\"a\":\"\(address)\"}\n")
    }
}
