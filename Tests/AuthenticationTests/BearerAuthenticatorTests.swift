import Authentication
import GatewayTerms
import Testing

@Suite struct BearerAuthenticatorTests {
    static let unknownKid = Fixture.token(header: #"{"alg":"RS256","kid":"key-9"}"#)

    // MARK: Waiting for keys

    @Test("Without a key set the caller is asked to fetch one, and what became of it decides", arguments: [
        (RefetchState.done, BearerRefusal.UndecidableReason.noKeySet), (.throttled, .noKeySet), (.failed, .noKeySet),
    ])
    func noKeySet(refetch: RefetchState, reason: BearerRefusal.UndecidableReason) throws {
        let bench = try Bench(keySets: KeySets())
        #expect(bench.decide(Fixture.token()).keysNeeded == [Fixture.issuer, nil])
        let refusal = bench.decide(Fixture.token(), refetch: refetch).refusal
        #expect(refusal == .undecidable(reason))
        #expect(refusal?.status == 503)
    }

    @Test("An unknown kid: a refetch that ran and did not bring it is a 401, one that did not run is a 503", arguments: [
        (RefetchState.done, BearerRefusal.unknownKey(keyID: "key-9")), (.throttled, .undecidable(.refetchThrottled)), (.failed, .undecidable(.refetchFailed)),
    ])
    func unknownKey(refetch: RefetchState, refusal: BearerRefusal) throws {
        let bench = try Bench()
        #expect(bench.decide(Self.unknownKid).keysNeeded == [Fixture.issuer, "key-9"])
        #expect(bench.decide(Self.unknownKid, refetch: refetch).refusal == refusal)
    }

    @Test("A refetch that brought the key lets the token in")
    func refetched() throws {
        let bench = try Bench(keySets: KeySets([try Fixture.keySet(Fixture.issuer, [Fixture.second])]))
        #expect(bench.decide(Fixture.token()).keysNeeded == [Fixture.issuer, "key-1"])
        bench.keySets = KeySets([try Fixture.keySet(generation: 2)])
        #expect(bench.decide(Fixture.token(), refetch: .done).identity != nil)
        #expect(bench.decide(Fixture.token(), refetch: .throttled).identity != nil)
    }

    @Test("A kid that a refetch did not bring is not asked for again for ten seconds")
    func negativeCache() throws {
        let bench = try Bench()
        _ = bench.decide(Self.unknownKid, refetch: .done)
        #expect(bench.decide(Self.unknownKid).refusal == .unknownKey(keyID: "key-9"))
        bench.now = bench.now.advanced(by: 9)
        #expect(bench.decide(Self.unknownKid).refusal == .unknownKey(keyID: "key-9"))
        bench.now = bench.now.advanced(by: 1)
        #expect(bench.decide(Self.unknownKid).keysNeeded == [Fixture.issuer, "key-9"])
    }

    @Test("A throttled or failed refetch is not remembered as an answer", arguments: [RefetchState.throttled, .failed])
    func notRemembered(refetch: RefetchState) throws {
        let bench = try Bench()
        _ = bench.decide(Self.unknownKid, refetch: refetch)
        #expect(bench.decide(Self.unknownKid).keysNeeded == [Fixture.issuer, "key-9"])
    }

    @Test("A remembered kid is used at once when a set brings it")
    func rememberedThenPublished() throws {
        let bench = try Bench(keySets: KeySets([try Fixture.keySet(Fixture.issuer, [Fixture.second])]))
        #expect(bench.decide(Fixture.token(), refetch: .done).refusal == .unknownKey(keyID: "key-1"))
        bench.keySets = KeySets([try Fixture.keySet(generation: 2)])
        #expect(bench.decide(Fixture.token()).identity != nil)
    }

    @Test("Nothing is asked of the provider for a token of a foreign issuer or another algorithm")
    func noQuestionForForeigners() throws {
        let bench = try Bench(keySets: KeySets())
        #expect(bench.decide(Fixture.token(claims: Fixture.claims([("iss", "\"https://x\"")]))).refusal == .issuerUnknown)
        #expect(bench.decide(Fixture.token(header: #"{"alg":"HS256","kid":"key-9"}"#)).refusal == .wrongAlgorithm)
    }

    // MARK: The cache of verified tokens

    @Test("A second request with a token verifies nothing")
    func hit() throws {
        let bench = try Bench()
        let token = Fixture.token()
        let first = bench.decide(token).identity
        let second = bench.decide(token).identity
        #expect(first != nil && first === second)
        #expect(bench.authenticator.cacheHits == 1)
        #expect(bench.authenticator.cacheMisses == 1)
        #expect(bench.authenticator.verifiedTokenCount == 1)
    }

    @Test("Time is asked on every hit")
    func expiresInCache() throws {
        let bench = try Bench()
        let token = Fixture.token()
        #expect(bench.decide(token).identity != nil)
        bench.now = Fixture.now.advanced(by: 3629)
        #expect(bench.decide(token).identity != nil)
        bench.now = Fixture.now.advanced(by: 3630)
        #expect(bench.refusal(token) == .expired(secondsAgo: 30))
        bench.now = Fixture.now.advanced(by: -1000)
        #expect(bench.refusal(token) == .issuedInTheFuture(secondsAhead: 940))
        #expect(bench.authenticator.cacheMisses == 1)
    }

    @Test("The route's policy is asked on every hit")
    func policyOnHit() throws {
        let bench = try Bench()
        let token = Fixture.token()
        #expect(bench.decide(token).identity != nil)
        bench.route = RoutePolicy(name: "admins", groups: ["admins"])
        #expect(bench.refusal(token) == .groupMissing(["admins"], policy: "admins"))
        bench.route = RoutePolicy(name: "writers", scopes: ["metaflow/write"])
        #expect(bench.refusal(token) == .scopeMissing(["metaflow/write"], policy: "writers"))
        bench.route = Fixture.open
        #expect(bench.decide(token).identity != nil)
        #expect(bench.authenticator.cacheMisses == 1)
    }

    @Test("Revocation is asked on every hit")
    func revocationOnHit() throws {
        let bench = try Bench()
        let token = Fixture.token()
        #expect(bench.decide(token).identity != nil)
        bench.revocation = Revocation([.init(kind: .tokenID, value: "token-1", until: Fixture.now.advanced(by: 100))])
        #expect(bench.refusal(token) == .revoked(.tokenID))
        bench.revocation = .none
        #expect(bench.decide(token).identity != nil)
        #expect(bench.authenticator.cacheMisses == 1)
    }

    @Test("A token that one stage let in is refused on another from the cache, and the other way round")
    func stagesDoNotShare() throws {
        let prod = Fixture.stage("prod", issuers: [Fixture.rules(Fixture.prodIssuer)], otherStages: [.init(issuer: Fixture.issuer, stage: "alpha")])
        let bench = try Bench()
        let token = Fixture.token()
        for _ in 0..<3 {
            bench.stage = Fixture.alpha
            #expect(bench.decide(token).identity != nil)
            bench.stage = prod
            #expect(bench.refusal(token) == .issuerOfAnotherStage(stage: "alpha"))
        }
        #expect(bench.authenticator.cacheMisses == 1)
    }

    @Test("A program's token passes a policy of groups by its client's scopes, and only where its client demands some")
    func programs() throws {
        let program = Fixture.token(claims: Fixture.claims([("username", nil), ("cognito:groups", nil), ("scope", "\"metaflow/write\"")]))
        let person = Fixture.token(claims: Fixture.claims([("cognito:groups", nil), ("scope", "\"metaflow/write\"")]))
        let bench = try Bench()
        bench.route = RoutePolicy(name: "science", groups: ["science"])
        bench.stage = Fixture.stage("scoped", issuers: [Fixture.rules(clients: [ClientRule(id: "client-cli", name: "nightly", scopes: ["metaflow/write"])])])
        #expect(bench.decide(program).identity?.isProgram == true)
        #expect(bench.refusal(person) == .groupMissing(["science"], policy: "science"))
        bench.stage = Fixture.stage("unscoped", issuers: [Fixture.rules(clients: [ClientRule(id: "client-cli", name: "nightly")])])
        #expect(bench.refusal(program) == .groupMissing(["science"], policy: "science"))
    }

    @Test("Two stages of one issuer ask their own clients, groups and audiences of a cached token")
    func stagesOfOneIssuer() throws {
        let strict = Fixture.stage("sandbox", issuers: [Fixture.rules(clients: [ClientRule(id: "client-cli", name: "sandbox-cli", groups: ["sandbox"])])])
        let other = Fixture.stage("third", issuers: [Fixture.rules(clients: [ClientRule(id: "third", name: "third")])])
        let renamed = Fixture.stage("fourth", issuers: [Fixture.rules(clients: [ClientRule(id: "client-cli", name: "fourth-cli")], groupsClaim: "roles")])
        let bench = try Bench()
        let token = Fixture.token()
        #expect(bench.decide(token).identity?.clientName == "command-line")
        bench.stage = strict
        #expect(bench.refusal(token) == .groupMissing(["sandbox"], policy: "client sandbox-cli"))
        bench.stage = other
        #expect(bench.refusal(token) == .clientNotAllowed(client: "client-cli"))
        bench.stage = renamed
        #expect(bench.decide(token).identity?.clientName == "fourth-cli")
        #expect(bench.decide(token).identity?.groups == [])
        bench.stage = Fixture.alpha
        #expect(bench.decide(token).identity?.groups == ["science", "ml admins"])
        #expect(bench.authenticator.cacheMisses == 1)
    }

    @Test("A new configuration's rules count at once for a cached token")
    func reloaded() throws {
        let bench = try Bench()
        let token = Fixture.token()
        #expect(bench.decide(token).identity != nil)
        bench.stage = Fixture.stage(issuers: [Fixture.rules(clients: [])])
        #expect(bench.refusal(token) == .clientNotAllowed(client: "client-cli"))
    }

    @Test("A cached token is verified anew when its issuer's key set is another, and refused when its key is gone")
    func generations() throws {
        let bench = try Bench()
        let token = Fixture.token()
        #expect(bench.decide(token).identity != nil)
        bench.keySets = KeySets([try Fixture.keySet(generation: 2)])
        #expect(bench.decide(token).identity != nil)
        #expect(bench.authenticator.cacheMisses == 2)
        bench.keySets = KeySets([try Fixture.keySet(Fixture.issuer, [Fixture.second], generation: 3)])
        #expect(bench.decide(token).keysNeeded == [Fixture.issuer, "key-1"])
        #expect(bench.decide(token, refetch: .done).refusal == .unknownKey(keyID: "key-1"))
        bench.keySets = KeySets([try Fixture.keySet(Fixture.issuer, [Fixture.foreign], generation: 4)])
        #expect(bench.refusal(token) == .badSignature)
        #expect(bench.authenticator.verifiedTokenCount == 0)
    }

    @Test("A cached token is not let in when its issuer's key set was withdrawn")
    func withdrawn() throws {
        let bench = try Bench()
        let token = Fixture.token()
        #expect(bench.decide(token).identity != nil)
        bench.keySets = KeySets([try Fixture.keySet(Fixture.prodIssuer)])
        #expect(bench.decide(token).keysNeeded == [Fixture.issuer, nil])
    }

    @Test("Another issuer's new keys leave cached tokens alone")
    func otherIssuerRotates() throws {
        let bench = try Bench()
        let token = Fixture.token()
        _ = bench.decide(token)
        bench.keySets = bench.keySets.replacing(with: try Fixture.keySet(Fixture.prodIssuer, [Fixture.second], generation: 5))
        #expect(bench.decide(token).identity != nil)
        #expect(bench.authenticator.cacheMisses == 1)
    }

    @Test("Refused tokens are not kept: forged ones evict nothing")
    func forgedTokens() throws {
        let bench = try Bench()
        let good = Fixture.token()
        #expect(bench.decide(good).identity != nil)
        let parts = good.split(separator: ".")
        for index in 0..<20_000 {
            // Well-formed, with a signature of the right length that is wrong.
            let signature = base64URL([UInt8](repeating: UInt8(truncatingIfNeeded: index), count: 8) + Array(String(index).utf8))
            _ = bench.decide("\(parts[0]).\(parts[1]).\(signature)")
        }
        #expect(bench.authenticator.verifiedTokenCount == 1)
        #expect(bench.decide(good).identity != nil)
        #expect(bench.authenticator.cacheHits == 1)
    }

    static func tokens(_ count: Int) -> [String] {
        (0..<count).map { Fixture.token(claims: Fixture.claims([("sub", "\"user-\($0)\"")])) }
    }

    @Test("The cache never holds more tokens than allowed, and answers right beyond it")
    func cacheLimit() throws {
        let bench = try Bench(authenticator: BearerAuthenticator(tokensMax: 10))
        for _ in 0..<2 {
            for (index, token) in Self.tokens(25).enumerated() {
                #expect(bench.decide(token).identity?.subject == "user-\(index)")
                #expect(bench.authenticator.verifiedTokenCount <= 10)
            }
        }
    }

    @Test("The cache never holds more bytes than allowed")
    func cacheBytes() throws {
        let tokens = Self.tokens(20)
        let bench = try Bench(authenticator: BearerAuthenticator(tokenBytesMax: tokens[0].utf8.count * 6 + 300))
        for token in tokens {
            #expect(bench.decide(token).identity != nil)
            #expect(bench.authenticator.verifiedTokenCount <= 6)
        }
        let none = try Bench(authenticator: BearerAuthenticator(tokenBytesMax: 0))
        for token in tokens.prefix(3) { #expect(none.decide(token).identity != nil) }
        #expect(none.authenticator.verifiedTokenCount <= 2)
    }

    @Test("A token in steady use stays while a hundred others pass by")
    func steadyUse() throws {
        let bench = try Bench(authenticator: BearerAuthenticator(tokensMax: 20))
        let steady = Fixture.token()
        _ = bench.decide(steady)
        for token in Self.tokens(100) {
            _ = bench.decide(token)
            #expect(bench.decide(steady).identity?.subject == "a1b2c3")
        }
        #expect(bench.authenticator.cacheHits == 100)
        #expect(bench.authenticator.cacheMisses == 101)
    }

    @Test("Each event loop's authenticator answers alike for shared keys and rules, at the same time")
    func manyLoops() async throws {
        let keySets = try Fixture.keySets()
        let tokens = (0..<20).map { Fixture.token(claims: Fixture.claims([("sub", "\"user-\($0)\"")])) }
        let forged = Fixture.token(key: Fixture.foreign)
        try await withThrowingTaskGroup(of: Bool.self) { group in
            for _ in 0..<4 {
                group.addTask {
                    let bench = try Bench(keySets: keySets)
                    for _ in 0..<10 {
                        for (index, token) in tokens.enumerated() {
                            guard bench.decide(token).identity?.subject == "user-\(index)", bench.refusal(forged) == .badSignature else { return false }
                        }
                    }
                    return true
                }
            }
            for try await isRight in group { #expect(isRight) }
        }
    }
}
