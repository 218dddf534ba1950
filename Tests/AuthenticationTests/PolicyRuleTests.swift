@testable import Authentication
import GatewayTerms
import Testing

@Suite("Rules of a policy")
struct PolicyRuleTests {
    static func caller(
        groups: [String] = ["science"], scopes: [String] = ["openid"], claims: [String: [String]] = ["employment": ["staff"], "teams": ["a", "b"], "absent": []]
    ) -> Identity {
        Identity(
            subject: "s", username: "ada", email: nil, groups: groups, client: "client-1", clientName: "command-line", issuer: "https://issuer", scopes: scopes,
            tokenUse: .access, expiresAt: WallTime(seconds: 1), begunAt: nil, keyID: "k", tokenID: nil, originTokenID: nil, claims: claims, forwardedGroups: nil)
    }

    static let office = AddressRange("203.0.113.0/24")!
    static let yes = Condition.group("science"), no = Condition.group("nobody"), unknown = Condition.claim("never-asked", oneOf: ["x"])

    static let answers: [(Condition, Bool?)] = [
        (Condition.group("science"), true), (.group("Science"), false), (.scope("openid"), true), (.scope("email"), false), (.client("command-line"), true),
        (.client("client-1"), true), (.client("nightly"), false), (.claim("employment", oneOf: ["staff"]), true), (.claim("employment", oneOf: ["contractor", "guest"]), false),
        (.claim("teams", oneOf: ["b"]), true), (.claim("teams", oneOf: ["a,b"]), false), (.claim("absent", oneOf: [""]), false), (.claim("never-asked", oneOf: ["x"]), nil),
        (.address(office), true), (.address(AddressRange("10.0.0.0/8")!), false),
    ]

    @Test("Each question is answered by the caller's facts", arguments: answers)
    func questions(condition: Condition, expected: Bool?) {
        #expect(condition.holds(for: Self.caller(), from: IPAddress("203.0.113.7")) == expected)
        #expect(Condition.not(condition).holds(for: Self.caller(), from: IPAddress("203.0.113.7")) == expected.map { !$0 })
    }

    static let joins: [(Condition, Bool?)] = [
        (Condition.any([yes, no]), true), (.any([no, no]), false), (.any([no, unknown]), nil), (.any([unknown, yes]), true), (.any([]), false),
        (.all([yes, yes]), true), (.all([yes, no]), false), (.all([yes, unknown]), nil), (.all([unknown, no]), false), (.all([]), true),
        (.not(.any([no, unknown])), nil), (.all([.not(no), .any([yes, unknown])]), true),
    ]

    @Test("Joined questions need what they say, and stay open only where no other part decides", arguments: joins)
    func joined(condition: Condition, expected: Bool?) {
        #expect(condition.holds(for: Self.caller(), from: nil) == expected)
    }

    static let deny = PolicyRule(name: "stay-out", decision: .deny, condition: .claim("employment", oneOf: ["contractor"]))
    static let allow = PolicyRule(name: "staff", decision: .allow, condition: .claim("employment", oneOf: ["staff"]))
    static let here = PolicyRule(name: "here", decision: .allow, condition: .address(office))

    static let orders: [([PolicyRule], [String: [String]], BearerRefusal?)] = [
        ([deny, allow], ["employment": ["staff"]], nil), ([deny, allow], ["employment": ["contractor"]], .ruleDenied(rule: "stay-out", policy: "p")),
        ([allow, deny], ["employment": ["staff", "contractor"]], nil), ([deny, allow], ["employment": ["staff", "contractor"]], .ruleDenied(rule: "stay-out", policy: "p")),
        ([allow], ["employment": []], .ruleDenied(rule: nil, policy: "p")), ([deny, allow], [:], .ruleDenied(rule: "stay-out", policy: "p")), ([allow], [:], .ruleDenied(rule: nil, policy: "p")),
        ([deny], ["employment": ["staff"]], .ruleDenied(rule: nil, policy: "p")), ([here], [:], .ruleDenied(rule: nil, policy: "p")), ([], [:], nil),
    ]

    @Test("The first rule that fits decides; whom none fits is refused; what cannot be known counts against the caller", arguments: orders)
    func order(rules: [PolicyRule], claims: [String: [String]], expected: BearerRefusal?) {
        #expect(RoutePolicy(name: "p", rules: rules).refusal(of: Self.caller(claims: claims), from: nil) == expected)
    }

    @Test("Groups and scopes are asked first, and rules beside them")
    func beside() {
        let policy = RoutePolicy(name: "p", groups: ["admins"], rules: [Self.allow])
        #expect(policy.refusal(of: Self.caller(), from: nil) == .groupMissing(["admins"], policy: "p"))
        #expect(policy.refusal(of: Self.caller(groups: ["admins"], claims: ["employment": ["guest"]]), from: nil) == .ruleDenied(rule: nil, policy: "p"))
        #expect(policy.refusal(of: Self.caller(groups: ["admins"]), from: nil) == nil)
        #expect(RoutePolicy(name: "p", rules: [Self.here]).asksForAddress && !policy.asksForAddress)
    }

    @Test("A refusal is a 403 that names the rule, to people, programs and in the log", arguments: [("stay-out" as String?, "rule stay-out"), (nil, "no rule")])
    func named(rule: String?, word: String) {
        let refusal = BearerRefusal.ruleDenied(rule: rule, policy: "alpha /api")
        #expect(refusal.status == 403 && refusal.code == "rule_denied" && refusal.retryAfterSeconds == nil)
        #expect(refusal.logReason == "rule_denied: \(word) of alpha /api")
        #expect(refusal.message(on: Fixture.alpha).contains(rule ?? "None of the rules") && refusal.message(on: Fixture.alpha).contains("alpha /api"))
        #expect(refusal.challenge(on: Fixture.alpha)?.contains("insufficient_scope") == true)
    }

    static let claimTexts: [(String, [String]?)] = [
        (#""staff""#, ["staff"]), ("7", ["7"]), ("true", ["true"]), (#"["a",2,false]"#, ["a", "2", "false"]), ("[]", []), ("null", []), ("1.5", nil), (#"{"a":1}"#, nil),
        (#"["a",null]"#, nil), ("\"" + String(repeating: "x", count: 1025) + "\"", nil), ("\"" + String(repeating: "x", count: 1024) + "\"", [String(repeating: "x", count: 1024)]),
    ]

    @Test("A claim is read as texts; what is no text, number, truth or list of them, or too long, is not known", arguments: claimTexts)
    func claimValues(json: String, expected: [String]?) throws {
        let text = #"{"iss":"i","sub":"s","exp":4000000000,"c":"# + json + "}"
        let claims = try TokenClaims(try #require(try StrictJSON.read(Array(text.utf8).span, limits: StrictJSON.Limits(bytesMax: 65_536, valuesMax: 1000)).object))
        #expect(claims.values(of: ["c", "other"])["c"] == expected)
        #expect(claims.values(of: ["c", "other"])["other"] == [])
    }

    @Test("A login session keeps what policies ask for, and one without it keeps the form that older gateways read")
    func sealed() {
        func session(_ claims: [String: [String]]) -> LoginSession {
            let moment = WallTime(seconds: 1000)
            return LoginSession(
                id: Array(repeating: 7, count: 16), subject: "s", username: nil, email: nil, groups: [], scopes: [], claims: claims, originTokenID: nil,
                authenticatedAt: nil, createdAt: moment, refreshedAt: moment, usedAt: moment, expiresAt: moment, refreshToken: Secret("r"))
        }
        let claims = ["employment": ["staff"], "teams": ["a", "b"], "absent": []]
        #expect(LoginSession(record: session(claims).record) == session(claims))
        #expect(session([:]).record.first == 0x51 && LoginSession(record: session([:]).record) == session([:]))
        for length in 0..<session(claims).record.count { #expect(LoginSession(record: Array(session(claims).record.prefix(length))) == nil) }
    }
}
