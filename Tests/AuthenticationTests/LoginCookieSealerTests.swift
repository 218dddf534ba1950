import Authentication
import GatewayTerms
import Testing

@Suite("The cookie sealer")
struct LoginCookieSealerTests {
    private static let host = Hostname("alpha.example.com")!
    private static let record = Array("what is sealed".utf8)
    private static let nonce = [UInt8](repeating: 5, count: 12)

    private static func seal(_ record: [UInt8] = record, name: String = "__Host-gws", host: Hostname = host, count: Int = 1, nonce: [UInt8] = nonce) throws -> [UInt8]? {
        var sealer = try CookieSealer()
        return sealer.seal(record, as: name, for: host, count: count, key: LoginBench.ring.keys[0], nonce: nonce)
    }

    private static func open(_ value: [UInt8], name: String = "__Host-gws", host: Hostname = host, ring: KeyRing = LoginBench.ring) throws -> Result<[UInt8], SealFault> {
        var sealer = try CookieSealer()
        do throws(SealFault) { return .success(try sealer.open(value.span, as: name, for: host, ring: ring)) } catch { return .failure(error) }
    }

    @Test("A record of any size opens as it was sealed, and its value has the announced length", arguments: [0, 1, 15, 16, 17, 1000, 8000, 12 * 1024])
    func roundTrip(count: Int) throws {
        let record = SeededBytes(UInt64(count + 1)).bytes(count)
        let value = try #require(try Self.seal(record))
        #expect(value.count == CookieSealer.valueBytes(recordBytes: count, keyID: LoginBench.ring.keys[0].id))
        #expect(value.allSatisfy { $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: ";") && $0 != UInt8(ascii: ",") && $0 != UInt8(ascii: "\"") })
        #expect(try Self.open(value) == .success(record))
    }

    @Test("What is too large, has no nonce or no count is not sealed")
    func notSealed() throws {
        #expect(try Self.seal([UInt8](repeating: 0, count: 12 * 1024 + 1)) == nil)
        #expect(try Self.seal(nonce: [1, 2, 3]) == nil)
        #expect(try Self.seal(count: 0) == nil && Self.seal(count: 10) == nil)
    }

    @Test("Changing any byte of a value makes it worthless")
    func everyByteCounts() throws {
        let value = try #require(try Self.seal())
        for index in value.indices {
            var changed = value
            changed[index] = changed[index] == UInt8(ascii: "A") ? UInt8(ascii: "B") : UInt8(ascii: "A")
            if case .success = try Self.open(changed) { Issue.record("byte \(index)") }
        }
        for count in 0..<value.count {
            if case .success = try Self.open(Array(value.prefix(count))) { Issue.record("prefix \(count)") }
        }
        if case .success = try Self.open(value + value) { Issue.record("doubled") }
    }

    @Test("A value is good under its own name and on its own host only")
    func bound() throws {
        let value = try #require(try Self.seal())
        #expect(try Self.open(value, name: "__Host-gwrecent") == .failure(.notAuthentic))
        #expect(try Self.open(value, host: Hostname("prod.example.com")!) == .failure(.notAuthentic))
        // The same letters, cut elsewhere between name and host.
        let name = try #require(try Self.seal(name: "__Host-gwsa", host: Hostname("lpha.example.com")!))
        #expect(try Self.open(name, name: "__Host-gws", host: Self.host) == .failure(.notAuthentic))
    }

    @Test("A value of a key that the ring lacks is told from a forged one")
    func unknownKey() throws {
        let value = try #require(try Self.seal())
        let other = KeyRing.fresh(at: Fixture.now) { SeededBytes(99).bytes($0) }
        #expect(try Self.open(value, ring: other) == .failure(.unknownKey))
    }

    @Test("Text that is no value of ours is refused as malformed", arguments: [
        "", "1", "1.1.", "1.1..", "2.1.k.AAAA", "1.0.k.AAAA", "1.a.k.AAAA", "1.1.k", "1.1.KEY.A", "1.1.KEY.AA==", "1.1.KEY.AAAA", "1.1.KEY.", "1.1.k!.AAAA", "1.1.abcdefghijklmnopq.AAAA", "....", "1.1.\u{e9}.AAAA",
    ])
    func malformed(text: String) throws {
        #expect(try Self.open(Array(text.replacing("KEY", with: LoginBench.ring.keys[0].id).utf8)) == .failure(.malformed))
    }

    @Test("Random text never opens and never traps")
    func random() throws {
        let random = SeededBytes(3)
        for _ in 0..<2000 {
            var value = random.bytes(random.below(200))
            if random.below(2) == 0 { value = Array("1.1.\(LoginBench.ring.keys[0].id).".utf8) + Array(base64URL(value).utf8) }
            if case .success = try Self.open(value) { Issue.record("opened") }
        }
    }
}
