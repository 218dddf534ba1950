import Authentication
import GatewayTerms
import Testing

@Suite struct TokenClaimsTests {
    static func refusal(_ changes: [(String, String?)], stage: StageRules = Fixture.alpha) throws -> BearerRefusal? {
        try Bench(stage: stage).refusal(Fixture.token(claims: Fixture.claims(changes)))
    }

    @Test("An access token's claims become the identity")
    func accessToken() throws {
        let identity = try #require(try Bench().decide(Fixture.token()).identity)
        #expect(identity.subject == "a1b2c3")
        #expect(identity.username == "ada")
        #expect(identity.email == nil)
        #expect(identity.groups == ["science", "ml admins"])
        #expect(identity.client == "client-cli")
        #expect(identity.clientName == "command-line")
        #expect(identity.issuer == Fixture.issuer)
        #expect(identity.scopes == ["openid", "metaflow/read"])
        #expect(identity.tokenUse == .access)
        #expect(identity.expiresAt == Fixture.now.advanced(by: 3600))
        #expect(identity.begunAt == Fixture.now.advanced(by: -60))
        #expect(identity.tokenID == "token-1")
        #expect(identity.originTokenID == "origin-1")
        #expect(identity.keyID == "key-1")
    }

    @Test("A client-credentials token, without user name and groups, is an identity")
    func clientCredentials() throws {
        let token = Fixture.token(claims: Fixture.claims([("username", nil), ("cognito:groups", nil), ("origin_jti", nil), ("sub", "\"client-cli\"")]))
        let identity = try #require(try Bench().decide(token).identity)
        #expect(identity.username == nil)
        #expect(identity.groups.isEmpty)
    }

    @Test("A claim that must be there is missed by name", arguments: ["iss", "sub", "exp", "token_use", "client_id"])
    func absent(claim: String) throws {
        #expect(try Self.refusal([(claim, nil)]) == .malformed(.claim(name: claim)))
    }

    @Test("A claim of the wrong type or size is refused, not ignored", arguments: [
        ("iss", "null"), ("iss", "1"), ("iss", "\"\""), ("iss", "[\"\(Fixture.issuer)\"]"), ("sub", "null"), ("sub", "1"), ("sub", "\"\""), ("sub", "[]"),
        ("sub", "\"\(String(repeating: "s", count: 1025))\""),
        ("exp", "null"), ("exp", "\"1795525200\""), ("exp", "-1"), ("exp", "true"), ("exp", "[]"), ("exp", "1e300"), ("exp", "9223372036854775807"), ("exp", "99999999999999999999"),
        ("exp", "253402300800"), ("exp", "-1e300"),
        ("nbf", "\"0\""), ("nbf", "null"), ("nbf", "-1"), ("iat", "\"0\""), ("iat", "null"), ("iat", "1e19"), ("auth_time", "\"x\""), ("auth_time", "false"),
        ("token_use", "1"), ("token_use", "null"), ("token_use", "[\"access\"]"), ("token_use", "\"Access\""), ("token_use", "\"access \""), ("token_use", "\"refresh\""), ("token_use", "\"\""),
        ("client_id", "1"), ("client_id", "null"), ("client_id", "[\"client-cli\"]"),
        ("username", "1"), ("username", "null"), ("email", "[\"a@b\"]"), ("email", "true"), ("jti", "1"), ("origin_jti", "{}"), ("azp", "1"), ("nonce", "1"), ("at_hash", "1"), ("typ", "1"),
        ("aud", "null"), ("aud", "1"), ("aud", "[]"), ("aud", "[1]"), ("aud", "[\"a\",null]"), ("aud", "{}"),
        ("scope", "[\"openid\"]"), ("scope", "1"), ("scope", "null"), ("scope", "\" \""), ("scope", "\"a  b\""), ("scope", "\"a \""), ("scope", "\" a\""),
        ("scope", "\"a\\tb\""), ("scope", "\"a\\nb\""), ("scope", "\"a\\\"b\""), ("scope", "\"a\\\\b\""), ("scope", "\"é\""), ("scope", "\"\(String(repeating: "s", count: 4097))\""),
        ("cognito:groups", "1"), ("cognito:groups", "{}"), ("cognito:groups", "[1]"), ("cognito:groups", "[\"science\",null]"), ("cognito:groups", "[[\"science\"]]"),
        ("cognito:groups", "true"),
    ])
    func wrongType(claim: String, value: String) throws {
        guard case .malformed(.claim(let name))? = try Self.refusal([(claim, value)]) else {
            Issue.record("\(String(describing: try Self.refusal([(claim, value)])))")
            return
        }
        #expect(name == claim)
    }

    @Test("A claim may be written in these ways", arguments: [
        ("exp", "1795525200.5"), ("exp", "1.7955252e9"), ("iat", "1795521500.25"), ("nbf", "0"), ("scope", "\"\""), ("scope", "\"a\""), ("scope", "\"a b:c/d.e\""),
        ("cognito:groups", "[]"), ("cognito:groups", "null"), ("cognito:groups", "\"science\""), ("username", "\"\""), ("email", "\"a@b@c\""), ("extra", "{\"a\":[1,2,{\"b\":null}]}"),
        ("sub", "\"\(String(repeating: "s", count: 1024))\""), ("sub", "\"é😀\""), ("jti", "\"\\u0061\""),
    ])
    func allowedForms(claim: String, value: String) throws {
        #expect(try Self.refusal([(claim, value)]) == nil)
    }

    @Test("Claims that are not one strict JSON object are refused", arguments: [
        "null", "[]", "{", "{}x", "{\"sub\":\"a\",\"sub\":\"b\"}", "\u{feff}{}", "{\"iss\":\"\(Fixture.issuer)\",\"\\u0069ss\":\"x\"}",
        "{\"iss\":\"a\\u0000b\"}", "{\"iss\":\"\\ud800\"}", "{\"iss\":\"\(Fixture.issuer)\",\"a\":\(String(repeating: "[", count: 33))\(String(repeating: "]", count: 33))}",
        "{\"iss\":'x'}", "{\"exp\":0x10}", "{\"exp\":01}", "{\"exp\":NaN}", "{\"exp\":Infinity}",
    ])
    func notStrict(claims: String) throws {
        guard case .malformed(.notJSON(part: .claims, _))? = try Bench().refusal(Fixture.token(claims: claims)) else {
            Issue.record("\(String(describing: try Bench().refusal(Fixture.token(claims: claims))))")
            return
        }
    }

    @Test("A duplicate of a claim that matters is refused before the signature is asked for", arguments: ["iss", "exp", "client_id", "token_use", "sub", "cognito:groups", "scope"])
    func duplicateClaim(claim: String) throws {
        let claims = Fixture.claims().dropLast() + ",\"\(claim)\":\"x\"}"
        #expect(try Bench().refusal(Fixture.token(claims: String(claims))) == .malformed(.notJSON(part: .claims, .duplicateName)))
    }

    @Test("What a second reader does not understand as we do is refused, though its signature is good", arguments: [
        ("extra", "99999999999999999999"), ("extra", "-99999999999999999999"), ("extra", "[1,{\"a\":18446744073709551616}]"),
    ])
    func readersDisagree(claim: String, value: String) throws {
        #expect(try Self.refusal([(claim, value)]) == .malformed(.readersDisagree))
    }

    @Test("An issuer is compared byte by byte", arguments: [
        Fixture.issuer + "/", Fixture.issuer.uppercased(), Fixture.issuer + " ", " " + Fixture.issuer, Fixture.issuer + "x", String(Fixture.issuer.dropLast()),
        "https:\\/\\/evil.example", "http" + Fixture.issuer.dropFirst(5), Fixture.issuer + "/.well-known", Fixture.issuer + "?", Fixture.issuer + "#", "cognito-idp",
    ])
    func foreignIssuer(issuer: String) throws {
        #expect(try Self.refusal([("iss", "\"\(issuer)\"")]) == .issuerUnknown)
    }

    @Test("A Kelvin sign is not a K: canonically equal texts are different issuers, clients and groups")
    func lookAlikes() throws {
        let stage = Fixture.stage(issuers: [Fixture.rules("https://K.example", clients: [ClientRule(id: "clientK", name: "k")])])
        let keySets = KeySets([try Fixture.keySet("https://K.example")])
        let bench = try Bench(stage: stage, keySets: keySets)
        func token(_ issuer: String, _ client: String, group: String = "gK") -> String {
            Fixture.token(claims: Fixture.claims([("iss", "\"\(issuer)\""), ("client_id", "\"\(client)\""), ("cognito:groups", "[\"\(group)\"]")]))
        }
        #expect("K" == "\u{212a}")
        #expect(bench.decide(token("https://K.example", "clientK")).identity != nil)
        #expect(bench.refusal(token("https://\u{212a}.example", "clientK")) == .issuerUnknown)
        #expect(bench.refusal(token("https://K.example", "client\u{212a}")) == .clientNotAllowed(client: "client\u{212a}"))
        bench.route = RoutePolicy(name: "p", groups: ["gK"])
        #expect(bench.decide(token("https://K.example", "clientK")).identity != nil)
        #expect(bench.refusal(token("https://K.example", "clientK", group: "g\u{212a}")) == .groupMissing(["gK"], policy: "p"))
    }
}
