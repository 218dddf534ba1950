import Authentication
import GatewayTerms
import Testing

@Suite struct ForwardedFieldsTests {
    static func lines(_ changes: [(String, String?)] = [], forwardedGroups: [String]? = nil) throws -> [String] {
        let bench = try Bench(stage: Fixture.stage(forwardedGroups: forwardedGroups))
        let identity = try #require(bench.decide(Fixture.token(claims: Fixture.claims(changes))).identity)
        return try lines(identity)
    }
    static func lines(_ identity: Identity) throws -> [String] {
        let text = String(decoding: identity.forwardedFields, as: UTF8.self)
        #expect(text.hasSuffix("\r\n"))
        return text.split(separator: "\r\n").map(String.init)
    }

    @Test("An access token's fields, in order")
    func accessToken() throws {
        #expect(try Self.lines() == [
            "x-auth-subject: a1b2c3", "x-auth-username: ada", "x-auth-groups: science,ml%20admins", "x-auth-client: client-cli",
            "x-auth-issuer: \(Fixture.issuer)", "x-auth-scopes: openid metaflow/read", "x-auth-token-use: access",
        ])
    }

    @Test("An ID token's fields have the e-mail and no scopes")
    func idToken() throws {
        let identity = try #require(try Bench().decide(Fixture.token(claims: Fixture.idClaims())).identity)
        #expect(try Self.lines(identity) == [
            "x-auth-subject: a1b2c3", "x-auth-username: ada", "x-auth-email: ada@example.com", "x-auth-groups: science,ml%20admins", "x-auth-client: client-id",
            "x-auth-issuer: \(Fixture.issuer)", "x-auth-token-use: id",
        ])
    }

    @Test("A value cannot end its line, start another, or be read twice", arguments: [
        ("a\\r\\nx-auth-groups: admin", "a%0D%0Ax-auth-groups:%20admin"), ("a\\nb", "a%0Ab"), ("é", "%C3%A9"), ("😀", "%F0%9F%98%80"), ("100%", "100%25"), ("%0d%0a", "%250d%250a"),
        ("a b", "a%20b"), ("\u{7f}", "%7F"), ("a,b;c=d", "a,b;c=d"), ("", ""), ("\\t", "%09"), ("\\u0085", "%C2%85"), ("a\\u2028b", "a%E2%80%A8b"), ("~!@#$^&*()_+", "~!@#$^&*()_+"),
    ])
    func injection(value: String, written: String) throws {
        let lines = try Self.lines([("username", "\"\(value)\"")])
        #expect(lines.count == 7)
        #expect(lines[1] == "x-auth-username: \(written)")
    }

    @Test("A group's comma is not a separator")
    func commaInGroup() throws {
        #expect(try Self.lines([("cognito:groups", "[\"a,b\",\"c\",\"d%2Ce\"]")])[2] == "x-auth-groups: a%2Cb,c,d%252Ce")
    }

    @Test("Without groups there is no field for them")
    func noGroups() throws {
        for value in ["[]", nil] as [String?] {
            #expect(!(try Self.lines([("cognito:groups", value)])).contains { $0.hasPrefix("x-auth-groups") })
        }
    }

    @Test("Only the groups that policies name are forwarded, where a stage names them", arguments: [
        (["science"], "x-auth-groups: science"), (["ml admins", "science"], "x-auth-groups: science,ml%20admins"), (["other"], nil), ([], nil),
    ] as [([String], String?)])
    func namedGroups(named: [String], line: String?) throws {
        #expect(try Self.lines(forwardedGroups: named).first { $0.hasPrefix("x-auth-groups") } == line)
    }

    @Test("Groups fill 4 KiB at most; more are left out whole, and a field says so")
    func truncated() throws {
        func lines(lastGroup: Int) throws -> [String] {
            let groups = (0..<40).map { _ in "\"\(String(repeating: "g", count: 99))\"" } + ["\"\(String(repeating: "h", count: lastGroup))\""]
            return try Self.lines([("cognito:groups", "[\(groups.joined(separator: ","))]")])
        }
        // 40 × 99 letters and 40 commas are 4,000 bytes.
        let fits = try lines(lastGroup: 96)
        #expect(fits.contains { $0.hasPrefix("x-auth-groups: ") && $0.utf8.count == 15 + 4096 })
        #expect(!fits.contains { $0.hasPrefix("x-auth-groups-truncated") })
        let over = try lines(lastGroup: 97)
        #expect(over.contains("x-auth-groups-truncated: true"))
        #expect(!over.contains { $0.hasPrefix("x-auth-groups:") })
        #expect(over.count == 7)
    }

    @Test("No field is longer than an upstream of 8 KiB takes", arguments: ["username", "email", "sub"])
    func longest(claim: String) throws {
        for line in try Self.lines([(claim, "\"\(String(repeating: "é", count: 512))\"")]) { #expect(line.utf8.count < 8192) }
    }
}
