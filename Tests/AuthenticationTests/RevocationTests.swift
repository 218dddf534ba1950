import Authentication
import GatewayTerms
import Testing

@Suite struct RevocationTests {
    static let soon = Fixture.now.advanced(by: 1000)

    static func read(_ text: String) -> Result<Revocation, AuthenticationError> {
        do { return .success(try Revocation(document: Array(text.utf8).span)) } catch { return .failure(error) }
    }
    static func read(entries: String...) -> Result<Revocation, AuthenticationError> {
        read("{\"version\":1,\"entries\":[\(entries.joined(separator: ","))]}")
    }

    static func refusal(_ entry: Revocation.Entry, now: WallTime = Fixture.now) throws -> BearerRefusal? {
        let bench = try Bench()
        bench.now = now
        bench.revocation = Revocation([entry])
        return bench.refusal(Fixture.token())
    }

    @Test("Each kind of entry refuses the token that it names, and no other", arguments: [
        (RevocationKind.tokenID, "token-1", true), (.tokenID, "token-2", false), (.tokenID, "origin-1", false), (.tokenID, "TOKEN-1", false),
        (.originTokenID, "origin-1", true), (.originTokenID, "token-1", false), (.subject, "a1b2c3", true), (.subject, "ada", false), (.subject, "a1b2c", false),
        (.client, "client-cli", true), (.client, "client-id", false), (.client, "command-line", false),
    ])
    func kinds(kind: RevocationKind, value: String, isRevoked: Bool) throws {
        #expect(try Self.refusal(.init(kind: kind, value: value, until: Self.soon)) == (isRevoked ? .revoked(kind) : nil))
    }

    @Test("An entry means nothing from its `until` on", arguments: [(1, true), (0, false), (-1, false)] as [(Int64, Bool)])
    func expires(offset: Int64, isRevoked: Bool) throws {
        let refusal = try Self.refusal(.init(kind: .subject, value: "a1b2c3", until: Fixture.now.advanced(by: offset)))
        #expect((refusal != nil) == isRevoked)
    }

    @Test("An entry with an issuer concerns that issuer alone", arguments: [(Fixture.issuer, true), (Fixture.prodIssuer, false), (Fixture.issuer + "/", false)])
    func issuer(issuer: String, isRevoked: Bool) throws {
        #expect((try Self.refusal(.init(kind: .subject, value: "a1b2c3", issuer: issuer, until: Self.soon)) != nil) == isRevoked)
    }

    @Test("not_before refuses what began before it: a new login works at once", arguments: [(-61, false), (-60, false), (-59, true), (0, true)] as [(Int64, Bool)])
    func notBefore(offset: Int64, isRevoked: Bool) throws {
        let entry = Revocation.Entry(kind: .subjectNotBefore, value: "a1b2c3", until: Self.soon, notBefore: Fixture.now.advanced(by: offset))
        #expect(try Self.refusal(entry) == (isRevoked ? .revoked(.subjectNotBefore) : nil))
    }

    @Test("not_before refuses a token that does not say when its login began")
    func notBeforeWithoutIssuedAt() throws {
        let bench = try Bench()
        bench.revocation = Revocation([.init(kind: .subjectNotBefore, value: "a1b2c3", until: Self.soon, notBefore: WallTime(seconds: 1))])
        #expect(bench.refusal(Fixture.token(claims: Fixture.claims([("iat", nil), ("auth_time", nil)]))) == .revoked(.subjectNotBefore))
        #expect(bench.decide(Fixture.token()).identity != nil)
    }

    @Test("not_before counts from the login, not from its last refresh", arguments: [(-3600, true), (-90, true), (-60, false), (-10, false)] as [(Int64, Bool)])
    func notBeforeOfARefreshedToken(loggedIn: Int64, isRevoked: Bool) throws {
        let bench = try Bench()
        bench.revocation = Revocation([.init(kind: .subjectNotBefore, value: "a1b2c3", until: Self.soon, notBefore: Fixture.now.advanced(by: -60))])
        let refreshed = Fixture.claims([("auth_time", "\(Fixture.now.advanced(by: loggedIn).seconds)"), ("iat", "\(Fixture.now.advanced(by: -5).seconds)")])
        #expect(bench.refusal(Fixture.token(claims: refreshed)) == (isRevoked ? .revoked(.subjectNotBefore) : nil))
    }

    @Test("Of several entries for one value, any that applies refuses")
    func several() throws {
        let bench = try Bench()
        bench.revocation = Revocation([
            .init(kind: .subject, value: "a1b2c3", issuer: Fixture.prodIssuer, until: Self.soon),
            .init(kind: .subject, value: "a1b2c3", until: Fixture.now.advanced(by: -5)),
            .init(kind: .subjectNotBefore, value: "a1b2c3", until: Self.soon, notBefore: Fixture.now),
        ])
        #expect(bench.refusal(Fixture.token()) == .revoked(.subjectNotBefore))
    }

    @Test("The file's entries are read", arguments: [
        (#"{"jti":"a","until":2000}"#, Revocation.Entry(kind: .tokenID, value: "a", until: WallTime(seconds: 2000))),
        (#"{"until":2000,"origin_jti":"a"}"#, .init(kind: .originTokenID, value: "a", until: WallTime(seconds: 2000))),
        (#"{"sub":"é","until":0,"reason":"laptop lost"}"#, .init(kind: .subject, value: "é", until: WallTime(seconds: 0))),
        (#"{"client_id":"a","issuer":"https://i","until":2000}"#, .init(kind: .client, value: "a", issuer: "https://i", until: WallTime(seconds: 2000))),
        (#"{"sub":"a","not_before":1000,"until":2000}"#, .init(kind: .subjectNotBefore, value: "a", until: WallTime(seconds: 2000), notBefore: WallTime(seconds: 1000))),
    ])
    func readsEntries(text: String, entry: Revocation.Entry) throws {
        #expect(try Self.read(entries: text).get().entries == [entry])
    }

    @Test("An empty file of entries revokes nothing")
    func empty() throws {
        #expect(try Self.read(entries: "").get().isEmpty)
        #expect(Revocation.none.isEmpty)
    }

    @Test("A fault in the file is refused with its place", arguments: [
        ("", "byte 0"), ("{", "byte 1"), ("[]", "the top"), ("{}", "version"), (#"{"version":1}"#, "entries"), (#"{"version":2,"entries":[]}"#, "version"),
        (#"{"version":"1","entries":[]}"#, "version"), (#"{"version":1,"entries":{}}"#, "entries"), (#"{"version":1,"entries":[],"entires":[]}"#, "the top"),
        (#"{"version":1,"entries":[],"entries":[]}"#, "byte"), (#"{"version":1,"entries":[7]}"#, "entries[0]"), (#"{"version":1,"entries":[{}]}"#, "entries[0]"),
        (#"{"version":1,"entries":[{"jti":"a","until":1},{"until":1}]}"#, "entries[1]"),
        (#"{"version":1,"entries":[{"jti":"a"}]}"#, "entries[0]"), (#"{"version":1,"entries":[{"jti":"a","until":"1"}]}"#, "entries[0]"),
        (#"{"version":1,"entries":[{"jti":"a","until":-1}]}"#, "entries[0]"), (#"{"version":1,"entries":[{"jti":"a","until":1.5}]}"#, "entries[0]"),
        (#"{"version":1,"entries":[{"jti":"a","until":99999999999999}]}"#, "entries[0]"), (#"{"version":1,"entries":[{"jti":"a","sub":"b","until":1}]}"#, "entries[0]"),
        (#"{"version":1,"entries":[{"jti":"","until":1}]}"#, "entries[0]"), (#"{"version":1,"entries":[{"jti":7,"until":1}]}"#, "entries[0]"),
        (#"{"version":1,"entries":[{"jit":"a","until":1}]}"#, "entries[0]"), (#"{"version":1,"entries":[{"jti":"a","until":1,"unitl":2}]}"#, "entries[0]"),
        (#"{"version":1,"entries":[{"jti":"a","not_before":1,"until":1}]}"#, "entries[0]"), (#"{"version":1,"entries":[{"sub":"a","not_before":"1","until":1}]}"#, "entries[0]"),
        (#"{"version":1,"entries":[{"sub":"a","reason":1,"until":1}]}"#, "entries[0]"), (#"{"version":1,"entries":[{"sub":"a","reason":[[[1]]],"until":1}]}"#, "byte"),
        (#"{"version":1,"entries":[{"sub":"a","issuer":"","until":1}]}"#, "entries[0]"), (#"{"version":1,"entries":[{"sub":"a","issuer":1,"until":1}]}"#, "entries[0]"),
        ("{\"version\":1,\"entries\":[{\"sub\":\"\(String(repeating: "s", count: 1025))\",\"until\":1}]}", "entries[0]"),
    ])
    func faults(text: String, place: String) {
        guard case .failure(.revocationRefused(let found, let reason)) = Self.read(text) else {
            Issue.record("accepted")
            return
        }
        #expect(found.hasPrefix(place))
        #expect(!reason.isEmpty)
    }

    @Test("50,000 entries are read and one more is refused")
    func limit() throws {
        let entry = #"{"sub":"a","not_before":1,"until":2,"issuer":"i","reason":"r"}"#
        let entries = Array(repeating: entry, count: Revocation.entriesMax).joined(separator: ",")
        #expect(try Self.read(entries: entries).get().entries.count == Revocation.entriesMax)
        guard case .failure = Self.read(entries: entries, entry) else {
            Issue.record("accepted")
            return
        }
    }

    @Test("What is written is read back, without what has passed")
    func roundTrip() throws {
        let revocation = Revocation([
            .init(kind: .tokenID, value: "quote \" backslash \\ line \n é😀", until: Self.soon), .init(kind: .subject, value: "gone", until: Fixture.now),
            .init(kind: .client, value: "c", issuer: "https://i", until: Self.soon),
            .init(kind: .subjectNotBefore, value: "s", until: Self.soon, notBefore: Fixture.now), .init(kind: .originTokenID, value: "o", until: Self.soon),
        ])
        let again = try Self.read(revocation.document(at: Fixture.now)).get()
        #expect(again.entries == revocation.entries.filter { $0.value != "gone" })
        #expect(try Self.read(Revocation.none.document(at: Fixture.now)).get().isEmpty)
    }

    @Test("A login session is asked by the same entries, without a token")
    func loginSession() {
        let revocation = Revocation([.init(kind: .subjectNotBefore, value: "s", until: Self.soon, notBefore: Fixture.now)])
        func kind(subject: String, begunAt: WallTime?) -> RevocationKind? {
            revocation.revokes(issuer: "i", subject: subject, client: "c", tokenID: nil, originTokenID: nil, begunAt: begunAt, now: Fixture.now)
        }
        #expect(kind(subject: "s", begunAt: Fixture.now.advanced(by: -1)) == .subjectNotBefore)
        #expect(kind(subject: "s", begunAt: Fixture.now) == nil)
        #expect(kind(subject: "t", begunAt: nil) == nil)
    }
}
