import Authentication
import Testing

@Suite struct Base64URLTests {
    @Test("The vectors of RFC 4648 §10 decode and encode, without their padding", arguments: [
        ("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg"), ("fooba", "Zm9vYmE"), ("foobar", "Zm9vYmFy"),
        ("\u{3e}\u{3f}\u{3e}\u{3f}", "Pj8-Pw"), ("???", "Pz8_"),
    ])
    func vectors(plain: String, text: String) {
        let decoded = Base64URL.decode(Array(text.utf8).span)
        #expect(decoded == Array(plain.utf8))
        let encoded = Base64URL.encode(Array(plain.utf8).span)
        #expect(encoded == Array(text.utf8))
    }

    @Test("A text that is not the one canonical form is refused", arguments: [
        "A", "AAAAA",                                    // impossible lengths
        "Zg==", "Zm8=", "Zm9v====", "=",                 // padding
        "Zh", "Zi", "Zj", "Zk", "Zp", "Zx", "Zv",        // unused bits set after one byte
        "Zm9", "Zm-", "Zm_", "Zm1",                      // unused bits set after two bytes
        "Zm9+", "Zm9/", "+/+/",                          // the other alphabet
        "Zm 9v", " Zm9v", "Zm9v ", "Zm9v\n", "Zm\r\n9v", "\tZm9", // white space
        "Zm9\u{0}", "Zm9é", "Zm9.", "Zm9*", "Zm9~", "Zm9%",
    ])
    func refusesForeign(text: String) {
        let decoded = Base64URL.decode(Array(text.utf8).span)
        #expect(decoded == nil)
    }

    @Test("Every length from 0 to 300 comes back as it was")
    func roundTrip() {
        var state: UInt64 = 0x9e37_79b9_7f4a_7c15
        for length in 0...300 {
            let bytes = (0..<length).map { _ -> UInt8 in
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                return UInt8(state >> 56)
            }
            let encoded = Base64URL.encode(bytes.span)
            let decoded = Base64URL.decode(encoded.span)
            #expect(decoded == bytes)
            #expect(encoded.count == (length * 8 + 5) / 6)
        }
    }

    @Test("Exactly one of the 64 last letters of a two-letter text in sixteen is canonical")
    func canonicalLastLetter() {
        let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
        let two = letters.filter { Base64URL.decode([UInt8(ascii: "Z"), $0].span) != nil }
        #expect(two == Array("AQgw".utf8))
        let three = letters.filter { Base64URL.decode([UInt8(ascii: "Z"), UInt8(ascii: "m"), $0].span) != nil }
        #expect(three == Array("AEIMQUYcgkosw048".utf8))
    }
}
