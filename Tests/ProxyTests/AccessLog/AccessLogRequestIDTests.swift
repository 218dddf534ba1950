import GatewayTerms
import Proxy
import Testing

private func name(_ text: String) -> RequestID? {
    let bytes = Array(text.utf8)
    return RequestID(bytes.span)
}

@Suite("A request's name")
struct AccessLogRequestIDTests {
    @Test("is a UUID of version 7 with the request's time in front")
    func form() {
        var generator = RequestIDGenerator()
        let identifier = generator.next(at: WallTime(milliseconds: 0x0123_4567_89ab))
        let text = identifier.description
        #expect(text.hasPrefix("01234567-89ab-7"))
        #expect(text.utf8.count == 36)
        #expect("89ab".utf8.contains(Array(text.utf8)[19]))
    }

    @Test("rises from one to the next within a millisecond and when the clock steps back a little")
    func order() {
        var generator = RequestIDGenerator(seed: (1, 2, 3, 4))
        var random = SystemRandomNumberGenerator()
        var last = ""
        var clock: Int64 = 1_795_002_573_000
        for _ in 0..<50_000 {
            clock += [0, 0, 0, 1].randomElement(using: &random) ?? 0
            let text = generator.next(at: WallTime(milliseconds: clock - (Bool.random(using: &random) ? 0 : Int64.random(in: 0...50_000, using: &random)))).description
            #expect(text > last)
            last = text
        }
    }

    @Test("never comes twice, even from many loops in one millisecond")
    func unique() {
        var seen = Set<RequestID>()
        for _ in 0..<8 {
            var generator = RequestIDGenerator()
            for _ in 0..<20_000 { seen.insert(generator.next(at: WallTime(milliseconds: 1_795_002_573_000))) }
        }
        #expect(seen.count == 160_000)
    }

    @Test("follows the clock when it was set back by more than a minute")
    func clockSetBack() {
        var generator = RequestIDGenerator()
        _ = generator.next(at: WallTime(milliseconds: 1_795_002_573_000))
        let corrected = generator.next(at: WallTime(milliseconds: 0x0100_0000_0000))
        #expect(corrected.description.hasPrefix("01000000-0000-7"))
    }

    @Test("does not trap on clocks outside of its range", arguments: [Int64.min, -1, 0, 1 << 48, Int64.max])
    func extremes(milliseconds: Int64) {
        var generator = RequestIDGenerator(seed: (0, 0, 0, 0))
        let first = generator.next(at: WallTime(milliseconds: milliseconds))
        let second = generator.next(at: WallTime(milliseconds: milliseconds))
        #expect(first != second)
    }

    @Test("is read back from its text in either case", arguments: ["0199fa12-3456-7abc-8def-0123456789ab", "00000000-0000-0000-0000-000000000000", "FFFFFFFF-FFFF-4FFF-BFFF-FFFFFFFFFFFF"])
    func reads(text: String) {
        #expect(name(text)?.description == text.lowercased())
    }

    @Test("is not read from any other text", arguments: [
        "", "0199fa12-3456-7abc-8def-0123456789a", "0199fa12-3456-7abc-8def-0123456789abc", "0199fa1203456-7abc-8def-0123456789ab",
        "0199fa12-3456-7abc-8def-0123456789ag", "0199fa1-23456-7abc-8def-0123456789ab", "{199fa12-3456-7abc-8def-0123456789a}", "0199fa12-3456-7abc-8def-0123456789a\n",
    ])
    func refuses(text: String) {
        #expect(name(text) == nil)
    }
}
