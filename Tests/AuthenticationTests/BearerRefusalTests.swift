import Authentication
import Testing

@Suite struct BearerRefusalTests {
    static let all: [BearerRefusal] = [
        .missing, .wrongScheme(isBasic: true), .wrongScheme(isBasic: false), .duplicated, .tooLarge(bytesMax: 8192), .malformed(.notThreeParts),
        .malformed(.claim(name: "exp")), .malformed(.forbiddenHeader(member: "jku")), .malformed(.header(member: "alg")), .malformed(.notBase64URL(part: .claims)),
        .malformed(.notJSON(part: .header, .duplicateName)), .malformed(.readersDisagree), .wrongAlgorithm, .issuerUnknown, .issuerOfAnotherStage(stage: "alpha"),
        .unknownKey(keyID: "k"), .badSignature, .expired(secondsAgo: 200), .notYetValid(secondsAhead: 5), .issuedInTheFuture(secondsAhead: 420), .wrongTokenUse(.id),
        .wrongTokenUse(.access), .clientNotAllowed(client: "c"), .audienceNotAllowed, .revoked(.subject), .scopeMissing(["a", "b"], policy: "p"),
        .groupMissing(["g"], policy: "p"), .groupMissing(["g", "h"], policy: "p"), .undecidable(.noKeySet), .undecidable(.refetchThrottled), .undecidable(.refetchFailed),
        .undecidable(.digestFailed), .ruleDenied(rule: "r", policy: "p"), .ruleDenied(rule: nil, policy: "p"),
    ]
    static let prod = Fixture.stage("prod")

    @Test("Every refusal has a code for programs, a sentence for people, a reason for the log", arguments: all)
    func complete(refusal: BearerRefusal) {
        #expect(refusal.code.utf8.allSatisfy { ($0 >= 97 && $0 <= 122) || $0 == 95 })
        #expect([401, 403, 503].contains(refusal.status))
        let message = refusal.message(on: Self.prod)
        #expect(message.hasSuffix(".") && message.utf8.count > 40 && message.utf8.count < 400)
        #expect(!message.contains("\n"))
        #expect(refusal.logReason.hasPrefix(refusal.code))
    }

    @Test("401 and 403 carry a challenge by RFC 6750, 503 none", arguments: all)
    func challenges(refusal: BearerRefusal) {
        guard let challenge = refusal.challenge(on: Self.prod) else {
            #expect(refusal.status == 503)
            #expect(refusal.retryAfterSeconds != nil)
            return
        }
        #expect(refusal.status != 503)
        #expect(refusal.retryAfterSeconds == nil)
        #expect(challenge.hasPrefix("Bearer realm=\"prod.example.com\""))
        #expect(challenge.utf8.filter { $0 == UInt8(ascii: "\"") }.count % 2 == 0)
        #expect(challenge.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7f })
        if refusal.status == 403 { #expect(challenge.contains("error=\"insufficient_scope\"")) }
    }

    @Test("The challenge is, to the letter", arguments: [
        (BearerRefusal.missing, "Bearer realm=\"prod.example.com\""), (.wrongScheme(isBasic: true), "Bearer realm=\"prod.example.com\""),
        (.expired(secondsAgo: 200), "Bearer realm=\"prod.example.com\", error=\"invalid_token\", error_description=\"token expired 3 minutes ago\""),
        (.scopeMissing(["a", "b/c"], policy: "p"), "Bearer realm=\"prod.example.com\", error=\"insufficient_scope\", scope=\"a b/c\""),
        (.duplicated, "Bearer realm=\"prod.example.com\", error=\"invalid_request\", error_description=\"more than one Authorization header\""),
        (.scopeMissing(["a\"\r\nSet-Cookie: x"], policy: "p"), "Bearer realm=\"prod.example.com\", error=\"insufficient_scope\", scope=\"a???Set-Cookie: x\""),
        (.issuerOfAnotherStage(stage: "é\""), "Bearer realm=\"prod.example.com\", error=\"invalid_token\", error_description=\"token of stage ???\""),
    ])
    func challengeText(refusal: BearerRefusal, challenge: String) {
        #expect(refusal.challenge(on: Self.prod) == challenge)
    }

    @Test("The sentence is the remedy", arguments: [
        (BearerRefusal.expired(secondsAgo: 200), "Your login expired 3 minutes ago: run `metaflow-gateway-login https://prod.example.com`."),
        (.missing, "This address wants a login: run `metaflow-gateway-login https://prod.example.com`."),
        (.issuerOfAnotherStage(stage: "alpha"), "This is an alpha login; you are calling prod. To work on prod, run `metaflow-gateway-login https://prod.example.com`; to work on alpha, set METAFLOW_SERVICE_URL to the address of alpha."),
        (.wrongScheme(isBasic: true), "This request carried a password instead of a login token. A ~/.netrc entry for prod.example.com replaces the token by a password: remove that entry, then run `metaflow-gateway-login https://prod.example.com`."),
        (.issuedInTheFuture(secondsAhead: 420), "Your login says that it was made 7 minutes from now, so the clock of prod.example.com or of its identity provider is wrong by that much. Tell the operators of prod."),
        (.groupMissing(["science"], policy: "policy base"), "You are not in the group science, which policy base of prod asks for. Ask the operators of prod to add you, then run `metaflow-gateway-login https://prod.example.com`."),
    ])
    func sentences(refusal: BearerRefusal, sentence: String) {
        #expect(refusal.message(on: Self.prod) == sentence)
    }

    @Test("The article before a stage's name is right", arguments: [("alpha", "an alpha"), ("sandbox", "a sandbox"), ("prod", "a prod"), ("Edge", "an Edge")])
    func article(stage: String, phrase: String) {
        #expect(BearerRefusal.issuerOfAnotherStage(stage: stage).message(on: Self.prod).hasPrefix("This is \(phrase) login;"))
    }

    @Test("A span of time is in its largest unit", arguments: [
        (Int64.min, "0 seconds"), (-1, "0 seconds"), (0, "0 seconds"), (1, "1 second"), (59, "59 seconds"), (60, "1 minute"), (119, "1 minute"), (120, "2 minutes"), (3599, "59 minutes"),
        (3600, "1 hour"), (7200, "2 hours"), (86_399, "23 hours"), (86_400, "1 day"), (172_800, "2 days"), (Int64.max, "\(Int64.max / 86_400) days"),
    ] as [(Int64, String)])
    func spans(seconds: Int64, text: String) {
        #expect(BearerRefusal.expired(secondsAgo: seconds).message(on: Self.prod).hasPrefix("Your login expired \(text) ago:"))
    }

    @Test("Nothing of an unverified token is repeated to the caller", arguments: [
        "{\"alg\":\"RS256\",\"kid\":\"canary\"}", "{\"alg\":\"canary\",\"kid\":\"canary\"}", "{\"alg\":\"RS256\",\"kid\":\"key-1\",\"typ\":\"canary\"}",
        "{\"alg\":\"RS256\",\"kid\":\"key-1\",\"jku\":\"canary\"}", "{\"alg\":\"RS256\",\"kid\":\"key-1\"}", "canary",
    ], ["https://canary.example", Fixture.issuer])
    func unverifiedIsNotRepeated(header: String, issuer: String) throws {
        let bench = try Bench()
        let claims = Fixture.claims([("iss", "\"\(issuer)\""), ("sub", "\"canary\""), ("client_id", "\"canary\""), ("scope", "\"canary\""), ("cognito:groups", "[\"canary\"]")])
        let refusal = try #require(bench.decide(Fixture.token(header: header, claims: claims, key: Fixture.foreign), refetch: .done).refusal)
        #expect(!refusal.message(on: bench.stage).contains("canary"))
        #expect(refusal.challenge(on: bench.stage)?.contains("canary") == false)
    }
}
