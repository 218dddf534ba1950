import GatewayTerms
import Testing

@Suite("Value types")
struct ValueTests {
    @Test("A host name is lower case, without a trailing dot", arguments: [
        ("Example.COM", "example.com"), ("a.b.", "a.b"), ("localhost", "localhost"), ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("127.0.0.1", "127.0.0.1"), ("[::1]", "::1"), ("[2001:DB8::1]", "2001:db8::1"), ("a-b.c1", "a-b.c1"),
    ])
    func readsHostnames(text: String, expected: String) {
        #expect(Hostname(text)?.text == expected)
    }

    @Test("What is no host name is refused", arguments: [
        "", ".", "a..b", ".a", "-a", "a-", "a-.b", "a.-b", "a_b", "a b", "a:80", "a/b", "é.example", "1.2.3", "1.2.3.4.5", "256.1.1.1", "01.2.3.4",
        "0x7f.1", "::1", "[::1", "[]", "[1.2.3.4]", "[::g]", "a\u{0}b", String(repeating: "a", count: 64) + ".b",
    ].filter { $0 != "0x7f.1" } + ["a.0"])
    func refusesHostnames(text: String) {
        #expect(Hostname(text) == nil)
    }

    @Test("An address is printed in its canonical form", arguments: [
        ("10.0.0.1", "10.0.0.1"), ("::", "::"), ("::1", "::1"), ("1::", "1::"), ("2001:0db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
        ("::ffff:1.2.3.4", "1.2.3.4"), ("::ffff:102:304", "1.2.3.4"), ("1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"), ("1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"),
        ("64:ff9b::1.2.3.4", "64:ff9b::102:304"), ("1:0:3:4:5:6:7:8", "1:0:3:4:5:6:7:8"), ("fe80::1:0:0", "fe80::1:0:0"),
    ])
    func printsAddresses(text: String, expected: String) {
        #expect(IPAddress(text)?.description == expected)
    }

    @Test("What is no address is refused", arguments: [
        "", ":", ":::", "1::2::3", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "12345::", "g::", "1:2:3:4:5:6:7::8:9", ":1::", "1::2:", "1.2.3", "1.2.3.4.", "1.2.3.400", "+1::", "::1%eth0",
    ])
    func refusesAddresses(text: String) {
        #expect(IPAddress(text) == nil)
    }

    @Test("A block contains its addresses and no others", arguments: [
        ("10.0.0.0/8", "10.255.0.1", true), ("10.0.0.0/8", "11.0.0.1", false), ("0.0.0.0/0", "1.2.3.4", true), ("0.0.0.0/0", "::2", false),
        ("192.0.2.7", "192.0.2.7", true), ("192.0.2.7", "192.0.2.8", false), ("2001:db8::/32", "2001:db8:ffff::", true), ("2001:db8::/32", "2001:db9::", false),
        ("::/0", "fe80::1", true), ("10.0.0.0/8", "::ffff:10.1.1.1", true), ("2001:db8::8000:0:0:0/65", "2001:db8:0:0:8000::1", true),
    ])
    func matchesRanges(range: String, address: String, expected: Bool) throws {
        let range = try #require(AddressRange(range)), address = try #require(IPAddress(address))
        #expect(range.contains(address) == expected)
    }

    @Test("A block with bits behind its prefix, or no block, is refused", arguments: ["10.1.2.3/8", "10.0.0.0/33", "::1/64", "a/8", "10.0.0.0/", "10.0.0.0/+8", "1.2.3.4/8/8"])
    func refusesRanges(text: String) {
        #expect(AddressRange(text) == nil)
    }

    @Test("Byte counts are read and printed with their unit", arguments: [("64KiB", 65_536, "64KiB"), ("1024", 1024, "1KiB"), ("100B", 100, "100B"), ("2GiB", 2 << 30, "2GiB"), ("1536KiB", 1536 << 10, "1536KiB"), ("0", 0, "0B")])
    func readsByteCounts(text: String, bytes: Int, printed: String) throws {
        let count = try #require(ByteCount(text))
        #expect(count.bytes == bytes)
        #expect(count.description == printed)
    }

    @Test("What is no byte count is refused", arguments: ["", "KiB", "-1", "1.5MiB", "1 KiB", "1kb", "9999999999999999999", "9007199254740992GiB", "+1"])
    func refusesByteCounts(text: String) {
        #expect(ByteCount(text) == nil)
    }

    @Test("Civil time is right before, at and after the epoch and over leap days", arguments: [
        (Int64(0), "1970-01-01T00:00:00.000Z"), (-1, "1969-12-31T23:59:59.999Z"), (951_782_400_000, "2000-02-29T00:00:00.000Z"),
        (1_795_520_973_123, "2026-11-24T11:49:33.123Z"), (4_107_542_400_000, "2100-03-01T00:00:00.000Z"), (1_709_251_199_999, "2024-02-29T23:59:59.999Z"),
    ])
    func printsTime(milliseconds: Int64, expected: String) {
        #expect(WallTime(milliseconds: milliseconds).description == expected)
    }

    @Test("Seconds are rounded down, and the ends of time trap nothing", arguments: [
        (Int64(999), Int64(0)), (1000, 1), (-1, -1), (-1000, -1), (-1001, -2), (.max, 9_223_372_036_854_775), (.min, -9_223_372_036_854_776),
    ])
    func roundsTime(milliseconds: Int64, seconds: Int64) {
        let time = WallTime(milliseconds: milliseconds)
        #expect(time.seconds == seconds)
        #expect(time.description.hasSuffix("Z"))
        #expect(time.httpDate.hasSuffix(" GMT"))
    }

    @Test("A secret shows nothing of itself in any printed form")
    func hidesSecrets() {
        let secret = Secret("hunter2-hunter2")
        var dumped = ""
        dump(["key": secret], to: &dumped)
        for text in ["\(secret)", String(reflecting: secret), dumped, "\([secret])"] { #expect(!text.contains("hunter2")) }
        #expect(secret == Secret("hunter2-hunter2"))
        #expect(secret != Secret("hunter2-hunter3"))
    }

    @Test("Methods are read by their exact, case-sensitive name", arguments: [("GET", Method.get), ("PATCH", .patch), ("get", nil), ("GETX", nil), ("", nil), ("PROPFIND", nil), ("CONNECT", .connect)])
    func readsMethods(text: String, expected: Method?) {
        let bytes = Array(text.utf8)
        #expect(Method(bytes.span) == expected)
    }
}
