import Authentication
import GatewayTerms
import Testing

private let now = Fixture.now

private func ring(_ text: String) throws(KeyRing.Fault) -> KeyRing {
    let bytes = Array(text.utf8)
    return try KeyRing(document: bytes.span)
}

private func entry(_ id: String, byte: UInt8 = 1, created: Int64 = 100, after: Int64? = nil) -> String {
    let key = base64URL((0..<32).map { UInt8($0) &+ byte })
    return "{\"id\":\"\(id)\",\"key\":\"\(key)\",\"created\":\(created)" + (after.map { ",\"encrypts_after\":\($0)" } ?? "") + "}"
}

@Suite("The key ring of the login sessions")
struct LoginKeyRingTests {
    @Test("The newest key whose time has come seals, and every key opens", arguments: [
        (0, "a"), (1599, "a"), (1600, "b"), (1999, "b"), (2000, "c"), (9999, "c"),
    ] as [(Int64, String)])
    func sealingKey(at seconds: Int64, id: String) throws {
        let ring = try ring("{\"keys\":[\(entry("b", byte: 2, created: 1000)),\(entry("a", created: 100)),\(entry("c", byte: 3, created: 1000, after: 2000))]}")
        #expect(ring.sealingKey(at: WallTime(seconds: seconds))?.id == id)
        #expect(ring["a"] != nil && ring["b"] != nil && ring["c"] != nil && ring["d"] == nil)
    }

    @Test("A key seals ten minutes after its creation unless its entry says otherwise")
    func defaults() throws {
        let ring = try ring("{\"keys\":[\(entry("a", created: 100)),\(entry("b", byte: 9, created: 100, after: 100))]}")
        #expect(ring["a"]?.encryptsAfter == WallTime(seconds: 700))
        #expect(ring["b"]?.encryptsAfter == WallTime(seconds: 100))
    }

    @Test("A file that is not a key ring is refused with its place and no part of a key", arguments: [
        ("[]", "the top"), ("{}", "keys"), ("{\"keys\":[]}", "keys"), ("{\"keys\":{}}", "keys"), ("{\"keys\":[],\"more\":1}", "the top"), ("{\"keys\":[1]}", "keys[0]"),
        ("{\"keys\":[{\"id\":\"a\",\"created\":1}]}", "keys[0].key"), ("{\"keys\":[\(entry("a")),\(entry("a", byte: 2))]}", "keys[1].id"),
        ("{\"keys\":[\(entry("a")),\(entry("b"))]}", "keys[1].key"), ("{\"keys\":[\(entry("a.b"))]}", "keys[0].id"), ("{\"keys\":[\(entry(""))]}", "keys[0].id"),
        ("{\"keys\":[\(entry("abcdefghijklmnopq"))]}", "keys[0].id"), ("{\"keys\":[\(entry("a", created: -1))]}", "keys[0].created"),
        ("{\"keys\":[{\"id\":\"a\",\"key\":\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\",\"created\":1.5}]}", "keys[0].created"),
        ("{\"keys\":[{\"id\":\"a\",\"key\":\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\",\"created\":1}]}", "keys[0].key"),
        ("{\"keys\":[{\"id\":\"a\",\"key\":\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd\",\"created\":1}]}", "keys[0].key"),
        ("{\"keys\":[{\"id\":\"a\",\"key\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\",\"created\":1}]}", "keys[0].key"),
        ("{\"keys\":[{\"id\":\"a\",\"id\":\"b\"}]}", "byte 18"), ("{\"keys\":[{\"id\":\"a\",\"encrypt_after\":1}]}", "keys[0]"), ("", "byte 0"),
    ])
    func refusals(text: String, place: String) {
        do throws(KeyRing.Fault) {
            _ = try ring(text)
            Issue.record("accepted")
        } catch {
            #expect(error.place == place || (place.hasPrefix("byte") && error.place.hasPrefix("byte")))
            #expect(!error.description.contains("AAEC"))
        }
    }

    @Test("More keys than a ring may hold are refused")
    func tooMany() {
        let entries = (0..<33).map { entry("k\($0)", byte: UInt8($0)) }.joined(separator: ",")
        #expect(throws: KeyRing.Fault.self) { try ring("{\"keys\":[\(entries)]}") }
    }

    @Test("A rotated ring reads back, seals with the old key for ten minutes, and prints nothing of a key")
    func rotation() throws {
        let random = SeededBytes()
        let first = KeyRing.fresh(at: now, random: random.bytes)
        #expect(first.sealingKey(at: now)?.id == first.keys[0].id)
        let second = first.rotated(at: now, loginLifetimeSeconds: 86_400, random: random.bytes)
        let read = try second.document.withBytes { (bytes) throws(KeyRing.Fault) in try KeyRing(document: bytes) }
        #expect(read.keys == second.keys)
        #expect(read.sealingKey(at: now.advanced(by: 599))?.id == first.keys[0].id)
        #expect(read.sealingKey(at: now.advanced(by: 600))?.id == second.keys[1].id)
        let key = second.keys[0].secret.withBytes { String(decoding: Base64URL.encode($0), as: UTF8.self) }
        #expect(!"\(second.document)\(second.keys)\(String(reflecting: second.keys))".contains(key))
        #expect(second.document.withBytes { String(copying: $0) }.contains(key))
    }

    @Test("A key goes when its successor has sealed for longer than a login lives, not before")
    func keysLeave() {
        let random = SeededBytes()
        let first = KeyRing.fresh(at: now, random: random.bytes)
        let second = first.rotated(at: now.advanced(by: 1000), loginLifetimeSeconds: 86_400, random: random.bytes)
        let stays = second.rotated(at: now.advanced(by: 1600 + 86_399), loginLifetimeSeconds: 86_400, random: random.bytes)
        #expect(stays[first.keys[0].id] != nil && stays.keys.count == 3)
        let leaves = second.rotated(at: now.advanced(by: 1600 + 86_400), loginLifetimeSeconds: 86_400, random: random.bytes)
        #expect(leaves[first.keys[0].id] == nil && leaves.keys.count == 2)
    }

    @Test("A ring that is rotated all the time keeps within its limit")
    func rotatesForever() {
        let random = SeededBytes()
        var ring = KeyRing.fresh(at: now, random: random.bytes)
        for step in 1...100 { ring = ring.rotated(at: now.advanced(by: Int64(step)), loginLifetimeSeconds: 86_400, random: random.bytes) }
        #expect(ring.keys.count == KeyRing.keysMax)
    }

    @Test("Two gateways that load a rotated ring a minute apart log nobody out")
    func twoGateways() throws {
        let old = try LoginBench(), late = try LoginBench(seed: 2)
        var browser = Browser()
        old.login(&browser)
        let rotated = old.ring.rotated(at: now, loginLifetimeSeconds: 86_400, random: old.random.bytes)
        // One has the new ring at once, the other a minute later; each sets cookies that the other must open.
        old.ring = rotated
        for second: Int64 in [0, 30, 59, 60, 599, 600, 601, 1200, 5000] {
            (old.now, late.now) = (now.advanced(by: second), now.advanced(by: second))
            if second >= 60 { late.ring = rotated }
            for (one, other) in [(old, late), (late, old)] {
                guard let pending = one.flow.serve(.refresh, LoginBench.request("/oauth2/refresh", browser.sent(at: one.now), method: .post)).refreshing else {
                    Issue.record("no refresh at \(second)")
                    return
                }
                let outcome = one.flow.refreshed(pending, .success(one.tokens(nonce: nil)), route: AuthorizationCodeFlow.ownPaths)
                browser.take(outcome.grant?.update?.lines(at: one.now) ?? [], at: one.now)
                #expect(other.decide(browser).grant != nil, "at \(second) s")
            }
        }
        #expect(late.authenticator.cacheMisses > 0)
    }
}
