import Authentication
import GatewayTerms
import Testing

@Suite struct TokenPolicyTests {
    static func decide(_ changes: [(String, String?)], stage: StageRules = Fixture.alpha, route: RoutePolicy = Fixture.open, id: Bool = false) throws -> BearerDecision {
        let bench = try Bench(stage: stage)
        bench.route = route
        return bench.decide(Fixture.token(claims: id ? Fixture.idClaims(changes) : Fixture.claims(changes)))
    }

    // MARK: Times

    @Test("A token is good until its exp plus the skew, to the second", arguments: [
        (3600, 30, nil), (1, 30, nil), (0, 30, nil), (-29, 30, nil), (-30, 30, 30), (-31, 30, 31), (-3600, 30, 3600),
        (0, 0, 0), (1, 0, nil), (-1, 0, 1), (-299, 300, nil), (-300, 300, 300), (-300, 100_000, 300),
    ] as [(Int64, Int64, Int64?)])
    func expiry(offset: Int64, skew: Int64, secondsAgo: Int64?) throws {
        let decision = try Self.decide([("exp", "\(Fixture.now.seconds + offset)")], stage: Fixture.stage(issuers: [Fixture.rules(skew: skew)]))
        #expect(decision.refusal == secondsAgo.map { .expired(secondsAgo: $0) })
        #expect((decision.identity != nil) == (secondsAgo == nil))
    }

    @Test("A token with a fraction of a second in exp is good until that very millisecond")
    func fractionalExpiry() throws {
        let bench = try Bench(stage: Fixture.stage(issuers: [Fixture.rules(skew: 0)]))
        let token = Fixture.token(claims: Fixture.claims([("exp", "\(Fixture.now.seconds).5")]))
        bench.now = WallTime(milliseconds: Fixture.now.milliseconds + 499)
        #expect(bench.decide(token).identity != nil)
        bench.now = WallTime(milliseconds: Fixture.now.milliseconds + 500)
        #expect(bench.refusal(token) == .expired(secondsAgo: 0))
    }

    @Test("nbf and iat may lie ahead by the skew, no further", arguments: [(0, 30, true), (30, 30, true), (31, 30, false), (420, 30, false), (1, 0, false), (0, 0, true), (-9999, 0, true)] as [(Int64, Int64, Bool)])
    func notBefore(offset: Int64, skew: Int64, isAllowed: Bool) throws {
        let stage = Fixture.stage(issuers: [Fixture.rules(skew: skew)])
        let time = "\(Fixture.now.seconds + offset)"
        #expect(try Self.decide([("nbf", time)], stage: stage).refusal == (isAllowed ? nil : .notYetValid(secondsAhead: offset)))
        #expect(try Self.decide([("iat", time)], stage: stage).refusal == (isAllowed ? nil : .issuedInTheFuture(secondsAhead: offset)))
    }

    @Test("A token without iat and nbf is allowed")
    func noTimes() throws {
        #expect(try Self.decide([("iat", nil), ("auth_time", nil)]).identity != nil)
    }

    @Test("Extreme times neither trap nor pass", arguments: [WallTime(seconds: 0), WallTime(seconds: 253_402_300_799), WallTime(milliseconds: 1 << 53), WallTime(milliseconds: -1)])
    func extremeClock(now: WallTime) throws {
        let bench = try Bench()
        bench.now = now
        #expect(bench.refusal(Fixture.token())?.status == 401)
    }

    // MARK: Use, client, audience

    @Test("An access token is for the clients that list access", arguments: [
        ("client-cli", nil), ("client-both", nil), ("client-id", BearerRefusal.wrongTokenUse(.access)), ("client-none", .clientNotAllowed(client: "client-none")),
        ("CLIENT-CLI", .clientNotAllowed(client: "CLIENT-CLI")), ("client-cli ", .clientNotAllowed(client: "client-cli ")), ("", .clientNotAllowed(client: "")),
        ("client", .clientNotAllowed(client: "client")),
    ] as [(String, BearerRefusal?)])
    func accessClient(client: String, refusal: BearerRefusal?) throws {
        #expect(try Self.decide([("client_id", "\"\(client)\"")]).refusal == refusal)
    }

    @Test("An ID token is for the clients that list id, and its audience is the client", arguments: [
        ("\"client-id\"", nil), ("[\"client-id\"]", nil), ("\"client-both\"", nil), ("\"client-cli\"", BearerRefusal.wrongTokenUse(.id)),
        ("\"client-none\"", .clientNotAllowed(client: "client-none")), ("[\"client-id\",\"client-both\"]", .malformed(.claim(name: "aud"))),
        ("[\"client-id\",\"client-id\"]", .malformed(.claim(name: "aud"))),
    ] as [(String, BearerRefusal?)])
    func idClient(audience: String, refusal: BearerRefusal?) throws {
        let decision = try Self.decide([("aud", audience)], id: true)
        #expect(decision.refusal == refusal)
        if refusal == nil {
            #expect(decision.identity?.tokenUse == .id)
            #expect(decision.identity?.username == "ada")
            #expect(decision.identity?.email == "ada@example.com")
        }
    }

    @Test("An ID token without an audience, or of another party, is refused")
    func idParty() throws {
        #expect(try Self.decide([("aud", nil)], id: true).refusal == .malformed(.claim(name: "aud")))
        #expect(try Self.decide([("azp", "\"client-id\"")], id: true).identity != nil)
        #expect(try Self.decide([("azp", "\"client-cli\"")], id: true).refusal == .clientNotAllowed(client: "client-cli"))
    }

    @Test("An ID token cannot pass as an access token by a client_id, nor an access token as an ID token by an aud")
    func crossDressed() throws {
        #expect(try Self.decide([("client_id", "\"client-cli\""), ("aud", "\"client-cli\"")], id: true).refusal == .wrongTokenUse(.id))
        #expect(try Self.decide([("client_id", "\"client-id\""), ("aud", "\"client-id\"")]).refusal == .wrongTokenUse(.access))
    }

    @Test("Where an access token has an audience, one of it must be listed", arguments: [
        ("\"https://api.example\"", true), ("[\"https://api.example\"]", true), ("[\"https://other.example\",\"https://api.example\"]", true),
        ("\"https://other.example\"", false), ("\"https://api.example/\"", false), ("\"HTTPS://API.EXAMPLE\"", false), ("\"\"", false), ("\"client-cli\"", false),
    ])
    func accessAudience(audience: String, isAllowed: Bool) throws {
        #expect(try Self.decide([("aud", audience)]).refusal == (isAllowed ? nil : .audienceNotAllowed))
    }

    @Test("With no audiences listed, an access token with an audience is refused")
    func noAudiences() throws {
        let stage = Fixture.stage(issuers: [Fixture.rules(audiences: [])])
        #expect(try Self.decide([("aud", "\"https://api.example\"")], stage: stage).refusal == .audienceNotAllowed)
        #expect(try Self.decide([], stage: stage).identity != nil)
    }

    @Test("A token typed at+jwt is no ID token")
    func typedAccessToken() throws {
        let header = #"{"alg":"RS256","kid":"key-1","typ":"at+jwt"}"#
        #expect(try Bench().refusal(Fixture.token(header: header, claims: Fixture.idClaims())) == .malformed(.claim(name: "token_use")))
        #expect(try Bench().decide(Fixture.token(header: header)).identity?.tokenUse == .access)
    }

    @Test("Other providers' tokens are told apart without token_use", arguments: [
        ("at+jwt", [("client_id", "\"client-cli\""), ("aud", "\"https://api.example\"")], TokenUse.access),
        ("JWT", [("client_id", nil), ("azp", "\"client-cli\""), ("typ", "\"Bearer\"")], .access),
        ("JWT", [("client_id", nil), ("aud", "\"client-id\"")], .id),
        ("JWT", [("client_id", nil), ("aud", "\"client-id\""), ("typ", "\"ID\"")], .id),
        ("JWT", [("client_id", "\"client-cli\""), ("aud", "\"client-cli\"")], nil),
        ("at+jwt", [("client_id", nil)], nil),
    ] as [(String, [(String, String?)], TokenUse?)])
    func genericProvider(type: String, changes: [(String, String?)], use: TokenUse?) throws {
        let bench = try Bench(stage: Fixture.stage(issuers: [Fixture.rules(isCognito: false, groupsClaim: "groups")]))
        let header = "{\"alg\":\"RS256\",\"kid\":\"key-1\",\"typ\":\"\(type)\"}"
        let token = Fixture.token(header: header, claims: Fixture.claims([("token_use", nil), ("groups", "[\"science\"]")] + changes))
        #expect(bench.decide(token).identity?.tokenUse == use)
        if use != nil { #expect(bench.decide(token).identity?.groups == ["science"]) }
    }

    // MARK: Scopes and groups

    @Test("A client's scopes are all needed", arguments: [
        ("metaflow/write metaflow/read", nil), ("metaflow/read metaflow/write openid", nil), ("metaflow/write", ["metaflow/read"]), ("metaflow/read", ["metaflow/write"]),
        ("", ["metaflow/write", "metaflow/read"]), ("metaflow/writes metaflow/read", ["metaflow/write"]), ("METAFLOW/WRITE metaflow/read", ["metaflow/write"]),
    ] as [(String, [String]?)])
    func clientScopes(scope: String, missing: [String]?) throws {
        let refusal = try Self.decide([("client_id", "\"client-jobs\""), ("scope", "\"\(scope)\"")]).refusal
        #expect(refusal == missing.map { .scopeMissing($0, policy: "client nightly-jobs") })
        #expect(refusal == nil || refusal?.status == 403)
    }

    @Test("One of a client's groups is needed", arguments: [
        ("[\"staff\"]", true), ("[\"operators\",\"x\"]", true), ("[]", false), ("[\"Staff\"]", false), ("[\"staffs\"]", false), ("[\"staff,operators\"]", false), ("\"staff\"", true),
    ])
    func clientGroups(groups: String, isAllowed: Bool) throws {
        let refusal = try Self.decide([("client_id", "\"client-staff\""), ("cognito:groups", groups)]).refusal
        #expect(refusal == (isAllowed ? nil : .groupMissing(["staff", "operators"], policy: "client staff-only")))
    }

    @Test("A route's groups: one of them; its scopes: all of them", arguments: [
        ([], [], nil), (["science"], [], nil), (["x", "ml admins"], [], nil), (["x"], [], BearerRefusal.groupMissing(["x"], policy: "route")),
        ([], ["openid"], nil), ([], ["openid", "metaflow/read"], nil), ([], ["openid", "admin", "root"], .scopeMissing(["admin", "root"], policy: "route")),
        (["x"], ["admin"], .scopeMissing(["admin"], policy: "route")), (["science"], ["openid"], nil), ([""], [], .groupMissing([""], policy: "route")),
        (["ml"], [], .groupMissing(["ml"], policy: "route")), (["SCIENCE"], [], .groupMissing(["SCIENCE"], policy: "route")),
    ] as [([String], [String], BearerRefusal?)])
    func routePolicy(groups: [String], scopes: [String], refusal: BearerRefusal?) throws {
        #expect(try Self.decide([], route: RoutePolicy(name: "route", groups: groups, scopes: scopes)).refusal == refusal)
    }

    // MARK: Order and stages

    @Test("The first thing that is wrong is the one that is said")
    func order() throws {
        let expired = ("exp", "\(Fixture.now.seconds - 100)" as String?)
        let route = RoutePolicy(name: "route", groups: ["nobody"])
        #expect(try Self.decide([("iss", "\"https://x\""), expired], route: route).refusal == .issuerUnknown)
        #expect(try Self.decide([expired, ("client_id", "\"none\"")], route: route).refusal == .expired(secondsAgo: 100))
        #expect(try Self.decide([("client_id", "\"none\"")], route: route).refusal == .clientNotAllowed(client: "none"))
        #expect(try Self.decide([], route: route).refusal == .groupMissing(["nobody"], policy: "route"))
    }

    @Test("Another stage's token is refused by that stage's name, before its signature is looked at")
    func otherStage() throws {
        let prod = Fixture.token(claims: Fixture.claims([("iss", "\"\(Fixture.prodIssuer)\"")]))
        #expect(try Bench().refusal(prod) == .issuerOfAnotherStage(stage: "prod"))
        #expect(try Bench(keySets: KeySets()).refusal(prod) == .issuerOfAnotherStage(stage: "prod"))
        let forged = Fixture.token(claims: Fixture.claims([("iss", "\"\(Fixture.prodIssuer)\"")]), key: Fixture.foreign)
        #expect(try Bench().refusal(forged) == .issuerOfAnotherStage(stage: "prod"))
    }

    @Test("A stage with two issuers takes each one's tokens by that one's rules")
    func twoIssuers() throws {
        let stage = Fixture.stage(issuers: [Fixture.rules(), Fixture.rules(Fixture.prodIssuer, clients: [ClientRule(id: "other", name: "other")])], otherStages: [])
        #expect(try Self.decide([], stage: stage).identity?.clientName == "command-line")
        #expect(try Self.decide([("iss", "\"\(Fixture.prodIssuer)\"")], stage: stage).refusal == .clientNotAllowed(client: "client-cli"))
        #expect(try Self.decide([("iss", "\"\(Fixture.prodIssuer)\""), ("client_id", "\"other\"")], stage: stage).identity?.issuer == Fixture.prodIssuer)
    }

    @Test("A key of one issuer does not sign for another")
    func keysOfTheIssuer() throws {
        let stage = Fixture.stage(issuers: [Fixture.rules(), Fixture.rules(Fixture.prodIssuer)], otherStages: [])
        let bench = try Bench(stage: stage, keySets: KeySets([try Fixture.keySet(Fixture.issuer, [Fixture.first]), try Fixture.keySet(Fixture.prodIssuer, [Fixture.second])]))
        let token = Fixture.token(claims: Fixture.claims([("iss", "\"\(Fixture.prodIssuer)\"")]), key: Fixture.first)
        #expect(bench.decide(token).keysNeeded == [Fixture.prodIssuer, "key-1"])
        let renamed = Fixture.token(header: #"{"alg":"RS256","kid":"key-2"}"#, claims: Fixture.claims([("iss", "\"\(Fixture.prodIssuer)\"")]), key: Fixture.first)
        #expect(bench.refusal(renamed) == .badSignature)
    }

    @Test("A stage without issuers lets nobody in")
    func noIssuers() throws {
        #expect(try Bench(stage: Fixture.stage(issuers: [], otherStages: [])).refusal(Fixture.token())?.status == 401)
    }
}
