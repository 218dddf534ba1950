import Authentication
import Testing

@Suite struct KeySetTests {
    static func set(_ document: String) -> Result<KeySet, AuthenticationError> {
        do { return .success(try KeySet(document: Array(document.utf8), issuer: Fixture.issuer, generation: 7)) } catch { return .failure(error) }
    }
    static func set(keys: [String]) -> Result<KeySet, AuthenticationError> { set("{\"keys\":[\(keys.joined(separator: ","))]}") }

    @Test("A key set of two keys gives each by its kid, and keeps its bytes")
    func twoKeys() throws {
        let set = try Fixture.keySet(generation: 3)
        #expect(set.keys.map(\.keyID) == ["key-1", "key-2"])
        #expect(set.key("key-2")?.bits == 2048)
        #expect(set.key("KEY-2") == nil)
        #expect(set.key("") == nil)
        #expect(set.generation == 3)
        #expect(set.document == Fixture.jwks())
        #expect(set.skipped.isEmpty)
    }

    @Test("A usable key may leave out what is optional", arguments: [
        ["use": ""], ["alg": ""], ["use": "", "alg": ""], ["key_ops": "[\"verify\"]"], ["key_ops": "[\"verify\",\"sign\"]"],
        ["x5t": "\"abc\""], ["x5c": "[\"abc\"]"], ["e": "\"Aw\""], ["e": "\"AAAAAQAB\""], ["e": "\"AP____8\""], ["e": "\"EQ\""],
    ])
    func usable(members: [String: String]) throws {
        let set = try Self.set(keys: [Fixture.first.jwk(members)]).get()
        #expect(set.keys.map(\.keyID) == ["key-1"])
    }

    @Test("A modulus with leading zero bytes is the same key")
    func leadingZeros() throws {
        let set = try Self.set(keys: [Fixture.first.jwk(["n": "\"\(base64URL([0, 0] + Fixture.first.modulus))\""])]).get()
        #expect(set.keys[0].bits == 2048)
        #expect(set.hasSameKeys(as: try Self.set(keys: [Fixture.first.jwk()]).get()))
    }

    @Test("A key that is not for RS256 is skipped with its reason, and the others serve", arguments: [
        (["kty": "\"EC\""], "kty"), (["kty": "\"oct\"", "k": "\"c2VjcmV0\""], "kty"), (["kty": "\"rsa\""], "kty"), (["kty": ""], "kty"), (["kty": "7"], "kty"),
        (["kid": ""], "kid"), (["kid": "\"\""], "kid"), (["kid": "7"], "kid"), (["kid": "\"\(String(repeating: "k", count: 257))\""], "kid"),
        (["use": "\"enc\""], "use"), (["use": "\"SIG\""], "use"), (["use": "null"], "use"), (["use": "[\"sig\"]"], "use"),
        (["alg": "\"RS512\""], "alg"), (["alg": "\"HS256\""], "alg"), (["alg": "\"none\""], "alg"), (["alg": "\"rs256\""], "alg"), (["alg": "\"PS256\""], "alg"), (["alg": "null"], "alg"),
        (["key_ops": "[\"sign\"]"], "key_ops"), (["key_ops": "[]"], "key_ops"), (["key_ops": "\"verify\""], "key_ops"),
        (["d": "\"AQAB\""], "private"), (["p": "\"AQAB\""], "private"), (["k": "\"AQAB\""], "private"),
        (["n": ""], "n or e"), (["n": "7"], "n or e"), (["n": "\"a+b\""], "n or e"), (["n": "\"AQAB=\""], "n or e"), (["e": ""], "n or e"), (["e": "65537"], "n or e"),
        (["n": "\"\""], "modulus"), (["n": "\"AA\""], "modulus"), (["n": "\"\(base64URL([UInt8](repeating: 0xfe, count: 256)))\""], "modulus"),
        (["n": "\"\(base64URL([0x7f] + [UInt8](repeating: 0xff, count: 255)))\""], "2047 bits"),
        (["n": "\"\(base64URL([UInt8](repeating: 0xff, count: 128)))\""], "1024 bits"),
        (["n": "\"\(base64URL([1] + [UInt8](repeating: 0xff, count: 512)))\""], "4097 bits"),
        (["n": "\"\(base64URL([UInt8](repeating: 0xff, count: 2048)))\""], "16384 bits"),
        (["e": "\"AQ\""], "e is"), (["e": "\"AA\""], "e is"), (["e": "\"Ag\""], "e is"), (["e": "\"AQAA\""], "e is"), (["e": "\"\""], "e is"),
        (["e": "\"AQAAAAE\""], "e is"), (["e": "\"________\""], "e is"), (["e": "\"_wAAAAE\""], "e is"),
    ] as [([String: String], String)])
    func skipped(members: [String: String], reason: String) throws {
        let set = try Self.set(keys: [Fixture.first.jwk(members), Fixture.second.jwk()]).get()
        #expect(set.keys.map(\.keyID) == ["key-2"])
        #expect(set.skipped.count == 1)
        #expect(set.skipped[0].reason.contains(reason))
        guard case .failure(.keySetRefused(let issuer, _)) = Self.set(keys: [Fixture.first.jwk(members)]) else {
            Issue.record("a set without a usable key was accepted")
            return
        }
        #expect(issuer == Fixture.issuer)
    }

    @Test("Entries that are no objects are skipped")
    func foreignEntries() throws {
        let set = try Self.set(keys: ["null", "7", "[]", "{}", Fixture.first.jwk()]).get()
        #expect(set.keys.count == 1)
        #expect(set.skipped.count == 4)
    }

    @Test("What is no key set is refused", arguments: [
        "", "null", "[]", "{}", "{\"keys\":null}", "{\"keys\":{}}", "{\"keys\":[]}", "{\"keys\":[{}]}", "{\"Keys\":[]}", "<html></html>",
        "{\"keys\":[],\"keys\":[]}", "{\"keys\":[]", "{\"keys\":[]}}", "{\"error\":\"throttled\"}",
    ])
    func noKeySet(document: String) {
        guard case .failure(.keySetRefused) = Self.set(document) else {
            Issue.record("accepted")
            return
        }
    }

    @Test("Keys of one kid: the same twice is one key, two different ones refuse the set")
    func twins() throws {
        let twice = try Self.set(keys: [Fixture.first.jwk(), Fixture.first.jwk()]).get()
        #expect(twice.keys.count == 1)
        guard case .failure(.keySetRefused(_, let reason)) = Self.set(keys: [Fixture.first.jwk(), Fixture.foreign.jwk()]) else {
            Issue.record("accepted")
            return
        }
        #expect(reason.contains("key-1"))
    }

    @Test("32 keys are read, 33 are refused")
    func keyLimit() throws {
        let keys = (0..<33).map { Fixture.first.jwk(["kid": "\"k\($0)\""]) }
        #expect(try Self.set(keys: Array(keys.prefix(32))).get().keys.count == 32)
        guard case .failure(.keySetRefused(_, let reason)) = Self.set(keys: keys) else {
            Issue.record("accepted")
            return
        }
        #expect(reason.contains("33"))
    }

    @Test("A document of 256 KiB is read, one byte more is refused")
    func documentLimit() throws {
        let document = String(decoding: Fixture.jwks(), as: UTF8.self)
        let padding = String(repeating: " ", count: KeySet.documentBytesMax - document.utf8.count)
        #expect(try Self.set(document + padding).get().keys.count == 2)
        guard case .failure = Self.set(document + padding + " ") else {
            Issue.record("accepted")
            return
        }
    }

    @Test("A member that stands twice in a key refuses the set")
    func duplicateMember() {
        let key = Fixture.first.jwk().dropLast() + ",\"kid\":\"key-9\"}"
        guard case .failure = Self.set(keys: [String(key)]) else {
            Issue.record("accepted")
            return
        }
    }

    @Test("A 4096-bit key is usable and verifies")
    func largeKey() throws {
        let key = SigningKey(keyID: "large", bits: 4096)
        let bench = try Bench(keySets: KeySets([try Fixture.keySet(Fixture.issuer, [key])]))
        #expect(bench.decide(Fixture.token(key: key)).identity?.keyID == "large")
    }

    @Test("Sets are the same where their keys are, whatever the order")
    func sameKeys() throws {
        let both = try Fixture.keySet()
        #expect(both.hasSameKeys(as: try Fixture.keySet(Fixture.issuer, [Fixture.second, Fixture.first], generation: 9)))
        #expect(!both.hasSameKeys(as: try Fixture.keySet(Fixture.issuer, [Fixture.first])))
        #expect(!both.hasSameKeys(as: try Fixture.keySet(Fixture.prodIssuer)))
        #expect(!(try Fixture.keySet(Fixture.issuer, [Fixture.first])).hasSameKeys(as: try Fixture.keySet(Fixture.issuer, [Fixture.foreign])))
    }

    @Test("The published sets hold one set for each issuer")
    func published() throws {
        var sets = try Fixture.keySets()
        #expect(sets[Fixture.issuer]?.generation == 1)
        sets = sets.replacing(with: try Fixture.keySet(generation: 2))
        #expect(sets[Fixture.issuer]?.generation == 2)
        #expect(sets[Fixture.prodIssuer]?.generation == 1)
        #expect(sets.issuers.count == 2)
        sets = sets.removing(issuer: Fixture.issuer)
        #expect(sets[Fixture.issuer] == nil)
        #expect(sets[Fixture.issuer + "/"] == nil)
    }
}
