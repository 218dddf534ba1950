import Authentication
import ControlPlane
import GatewayTerms
import Synchronization
import TestSupport
import Testing

private let tokens = #"{"access_token":"access","id_token":"id","refresh_token":"next","expires_in":3600,"token_type":"Bearer","scope":"openid"}"#

/// What is needed to ask a provider, and what it was asked.
private final class Desk: Sendable {
    let client: IdentityProviderClient
    let provider: LoginProvider
    let faults = Mutex<[String]>([])
    let ended = Mutex<[Revocation.Entry]>([])

    init() throws {
        client = try IdentityProviderClient(userAgent: "metaflow-gateway/test")
        let holder = Holder()
        provider = LoginProvider(
            client: client, ended: { entries in holder.desk?.ended.withLock { $0 += entries } }, renewed: { _, _ in },
            observe: { what, fault in holder.desk?.faults.withLock { $0.append("\(what): \(fault)") } })
        holder.set(self)
    }

    private final class Holder: Sendable {
        private let value = Mutex<Weak>(Weak())
        struct Weak: Sendable { weak var desk: Desk? }
        var desk: Desk? { value.withLock { $0.desk } }
        func set(_ desk: Desk) { value.withLock { $0.desk = desk } }
    }

    static func tokenClient(_ url: String, id: String = "client", secret: String = "secret") -> TokenClient {
        TokenClient(tokenURL: url + "/token", revocationURL: url + "/revoke", clientID: id, clientSecret: Secret(secret), caFile: nil)
    }

    func refresh(_ client: TokenClient, _ token: String = "rt") async -> Result<TokenAnswer, TokenEndpointFault> {
        await withCheckedContinuation { continuation in
            provider.refresh(RefreshGrant(client: client, token: Secret(token))) { continuation.resume(returning: $0) }
        }
    }

    func redeem(_ client: TokenClient) async -> Result<TokenAnswer, TokenEndpointFault> {
        await withCheckedContinuation { continuation in
            let redemption = CodeRedemption(client: client, code: Secret("a code+/"), verifier: Secret("the-verifier"), redirectURI: "https://alpha.example.com/oauth2/callback")
            provider.redeem(redemption) { continuation.resume(returning: $0) }
        }
    }
}

@Suite("Asking a provider's token endpoint", .timeLimit(.minutes(2)))
struct LoginProviderTests {
    @Test("A code is redeemed with Basic, the verifier and the configured address, all form-encoded")
    func redeem() async throws {
        let server = try ScriptedServer { _ in [ScriptedServer.answer(fields: ["Content-Type: application/json"], tokens)] }
        let desk = try Desk()
        let answer = try await desk.redeem(Desk.tokenClient(server.url, id: "id:1", secret: "p w/ü")).get()
        #expect(answer == TokenAnswer(accessToken: Secret("access"), idToken: Secret("id"), refreshToken: Secret("next"), expiresIn: 3600, scope: "openid"))
        let request = try #require(server.requests.first)
        #expect(request.method == "POST" && request.target == "/token")
        #expect(request.body == "grant_type=authorization_code&code=a%20code%2B%2F&redirect_uri=https%3A%2F%2Falpha.example.com%2Foauth2%2Fcallback&code_verifier=the-verifier")
        // id%3A1:p%20w%2F%C3%BC
        #expect(request.fields.contains("Authorization: Basic aWQlM0ExOnAlMjB3JTJGJUMzJUJD"), "\(request.fields)")
        #expect(request.fields.contains("Content-Type: application/x-www-form-urlencoded") && request.fields.contains("Accept: application/json"))
        server.stop()
    }

    @Test("An answer is tokens, a refusal, a fault of ours or something that may pass", arguments: [
        ("400 Bad Request", #"{"error":"invalid_grant","error_description":"secret-ish"}"#, TokenEndpointFault.grantRefused),
        ("401 Unauthorized", #"{"error":"invalid_client"}"#, .requestRefused(code: "invalid_client")),
        ("400 Bad Request", #"{"error":"<b>whatever"}"#, .requestRefused(code: "an unknown error")), ("400 Bad Request", "", .malformed(reason: "it is 400 without an error code")),
        ("400 Bad Request", #"{"error":"slow_down"}"#, .unavailable(reason: "It answers 400 with slow_down.")), ("429 Too Many", "", .unavailable(reason: "It answers 429.")),
        ("500 Oops", "", .unavailable(reason: "It answers 500.")), ("503 Away", #"{"error":"invalid_grant"}"#, .unavailable(reason: "It answers 503.")),
        ("404 Not Found", "", .malformed(reason: "its status is 404")), ("200 OK", "[]", .malformed(reason: "its JSON is no object")),
        ("200 OK", "{}", .malformed(reason: "it has no access_token")), ("200 OK", #"{"access_token":""}"#, .malformed(reason: "it has no access_token")),
        ("200 OK", #"{"access_token":"a","token_type":"mac"}"#, .malformed(reason: "its token_type is not Bearer")),
        ("200 OK", #"{"access_token":"a","access_token":"b"}"#, .malformed(reason: "its JSON is a name stands twice in one object, at byte 34")),
        ("302 Found", "", .malformed(reason: "its status is 302")),
    ])
    func answers(status: String, body: String, fault: TokenEndpointFault) async throws {
        let server = try ScriptedServer { _ in [ScriptedServer.answer(status, fields: [], body)] }
        let desk = try Desk()
        let result = await desk.redeem(Desk.tokenClient(server.url))
        guard case .failure(let found) = result else { Issue.record("\(result)"); return }
        if case .malformed(let reason) = found, case .malformed = fault, reason.contains("byte") { } else { #expect(found == fault) }
        let told = desk.faults.withLock { $0 }
        #expect(told.count == 1 && !told[0].contains("secret-ish"))
        server.stop()
    }

    @Test("Tokens of half a megabyte are read, larger ones are not", arguments: [(500, true), (520, false)])
    func large(kibibytes: Int, isRead: Bool) async throws {
        let body = #"{"token_type":"bearer","access_token":"\#(String(repeating: "x", count: kibibytes * 1024))"}"#
        let server = try ScriptedServer { _ in [ScriptedServer.answer(body)] }
        let result = await (try Desk()).redeem(Desk.tokenClient(server.url))
        switch result {
        case .success(let answer): #expect(isRead && answer.accessToken.count == kibibytes * 1024 && answer.expiresIn == nil)
        case .failure(let fault): #expect(!isRead && fault == .malformed(reason: "it is longer than 524288 bytes"))
        }
        server.stop()
    }

    @Test("Fifty requests with one refresh token are one question, and those after it get its answer")
    func singleFlight() async throws {
        let gate = ScriptedServer.Gate()
        let server = try ScriptedServer { _ in [.await(gate), ScriptedServer.answer(tokens)] }
        let desk = try Desk()
        let client = Desk.tokenClient(server.url)
        await withTaskGroup(of: Bool.self) { group in
            for _ in 0..<50 { group.addTask { (try? await desk.refresh(client).get().refreshToken) == Secret("next") } }
            group.addTask {
                let all = await eventually { desk.provider.counts.refreshesShared == 49 }
                gate.open()
                return all
            }
            for await succeeded in group { #expect(succeeded) }
        }
        #expect(try await desk.refresh(client).get().refreshToken == Secret("next"))
        #expect(server.requests.count == 1 && server.requests[0].body == "grant_type=refresh_token&refresh_token=rt")
        #expect(desk.provider.counts.refreshes == 1 && desk.provider.counts.refreshesShared == 50)
        _ = await desk.refresh(client, "another")
        #expect(server.requests.count == 2)
        server.stop()
    }

    @Test("A question that found no connection is put once more; one that may have been seen is not")
    func retries() async throws {
        let requests = Mutex<[FetchRequest]>([])
        for (error, expected) in [
            (FetchError.unreachable(host: "h", reason: "refused"), 2), (.interrupted(host: "h", reason: "reset"), 1), (.timedOut(host: "h", after: .seconds(5)), 1), (.unresolved(host: "h"), 1),
        ] {
            requests.withLock { $0 = [] }
            let provider = LoginProvider(
                fetch: { request, completion in
                    requests.withLock { $0.append(request) }
                    completion(.failure(error))
                }, now: { ContinuousClock.now }, random: { 0 }, ended: { _ in }, observe: { _, _ in })
            let result: Result<TokenAnswer, TokenEndpointFault> = await withCheckedContinuation { continuation in
                provider.refresh(RefreshGrant(client: Desk.tokenClient("https://h"), token: Secret("rt"))) { continuation.resume(returning: $0) }
            }
            #expect(result == .failure(.unavailable(reason: error.description)))
            #expect(requests.withLock(\.count) == expected)
        }
    }

    @Test("A provider that does not answer holds a refresh for three seconds at most, and other questions not at all")
    func slow() async throws {
        let slow = try ScriptedServer { _ in [.hold] }
        let fast = try ScriptedServer { _ in [ScriptedServer.answer(tokens)] }
        let desk = try Desk()
        let clock = ContinuousClock()
        defer {
            slow.stop()
            fast.stop()
        }
        // A machine that stands still for longer than that gets another attempt; a provider that is waited for would hold up each.
        for attempt in 1...5 {
            async let held = clock.measure { _ = await desk.refresh(Desk.tokenClient(slow.url), "slow-\(attempt)") }
            #expect(await eventually { slow.requests.count == attempt })
            let quick = await clock.measure { for index in 0..<5 { _ = await desk.refresh(Desk.tokenClient(fast.url), "fast-\(attempt)-\(index)") } }
            let duration = await held
            #expect(duration >= .milliseconds(2900))
            if duration < .seconds(4), quick < .seconds(2) { return }
        }
        Issue.record("five times longer than three seconds, or the others as long as that")
    }

    @Test("A revocation sends the token with the client's secret, and nobody waits for it")
    func revoke() async throws {
        let server = try ScriptedServer { _ in [ScriptedServer.answer("")] }
        let desk = try Desk()
        desk.provider.revoke(RefreshGrant(client: Desk.tokenClient(server.url), token: Secret("r&t")))
        #expect(await eventually { server.requests.count == 1 })
        let request = server.requests[0]
        #expect(request.target == "/revoke" && request.body == "token=r%26t&token_type_hint=refresh_token" && request.fields.contains { $0.hasPrefix("Authorization: Basic ") })
        server.stop()
    }

    @Test("A provider without revocation is not asked")
    func noRevocation() throws {
        let desk = try Desk()
        let client = TokenClient(tokenURL: "http://127.0.0.1:9/t", revocationURL: nil, clientID: "c", clientSecret: Secret("s"), caFile: nil)
        desk.provider.revoke(RefreshGrant(client: client, token: Secret("t")))
        #expect(desk.provider.counts.revocations == 0)
    }

    @Test("Logins that ended are given on")
    func ended() throws {
        let desk = try Desk()
        let entry = Revocation.Entry(kind: .tokenID, value: "x", until: WallTime(seconds: 5))
        desk.provider.signedOut([entry])
        desk.provider.signedOut([])
        #expect(desk.ended.withLock { $0 } == [entry])
    }
}

@Suite("Where a provider's endpoints are")
struct LoginEndpointTests {
    @Test("Cognito's follow from the domain", arguments: ["https://x.auth.us-west-2.amazoncognito.com", "https://x.auth.us-west-2.amazoncognito.com/"])
    func cognito(domain: String) {
        let endpoints = IdentityProviderEndpoints.cognito(domain: domain)
        let base = "https://x.auth.us-west-2.amazoncognito.com"
        #expect(endpoints == ProviderEndpoints(
            authorizationURL: base + "/oauth2/authorize", tokenURL: base + "/oauth2/token", revocationURL: base + "/oauth2/revoke", signOut: .cognito(url: base + "/logout")))
    }

    private func document(_ changes: [String: String]) throws -> DiscoveryDocument {
        var members = [
            "issuer": "https://op", "jwks_uri": "https://op/k", "authorization_endpoint": "https://op/a", "token_endpoint": "https://op/t",
            "revocation_endpoint": "https://op/r", "end_session_endpoint": "https://op/e",
        ]
        for (name, value) in changes { members[name] = value.isEmpty ? nil : value }
        let text = "{" + members.map { "\"\($0.key)\":\"\($0.value)\"" }.joined(separator: ",") + "}"
        return try DiscoveryDocument(Array(text.utf8), issuer: "https://op")
    }

    @Test("Others' are discovered, and what is not safe to use is not used")
    func discovered() throws {
        #expect(IdentityProviderEndpoints.discovered(try document([:])) == ProviderEndpoints(
            authorizationURL: "https://op/a", tokenURL: "https://op/t", revocationURL: "https://op/r", signOut: .relyingPartyInitiated(url: "https://op/e")))
        #expect(IdentityProviderEndpoints.discovered(try document(["end_session_endpoint": "", "revocation_endpoint": "http://op/r"])) == ProviderEndpoints(
            authorizationURL: "https://op/a", tokenURL: "https://op/t", revocationURL: nil, signOut: .none))
        for bad in ["", "http://op/a", "javascript:alert(1)", "https://user@op/a", "https://op/a#x"] {
            #expect(IdentityProviderEndpoints.discovered(try document(["authorization_endpoint": bad])) == nil, "\(bad)")
            #expect(IdentityProviderEndpoints.discovered(try document(["token_endpoint": bad])) == nil, "\(bad)")
        }
    }

    /// Fetches and timers that the test runs by hand.
    private final class World: Sendable {
        let fetches = Mutex<[(FetchRequest, FetchCompletion)]>([])
        let timers = Mutex<[(Duration, @Sendable () -> Void)]>([])
        let published = Mutex<[[String]]>([])
        let reasons = Mutex<[String]>([])

        var ports: KeySetPorts {
            KeySetPorts(
                now: { ContinuousClock.now }, wallNow: { WallTime(seconds: 0) }, random: { 0.5 }, after: { [self] delay, body in timers.withLock { $0.append((delay, body)) } },
                fetch: { [self] request, completion in fetches.withLock { $0.append((request, completion)) } })
        }

        func answer(_ result: Result<FetchResponse, FetchError>) { fetches.withLock { $0.removeFirst() }.1(result) }
        func fire() { timers.withLock { $0.removeFirst() }.1() }
    }

    @Test("Discovery tries again until it knows, with longer and longer waits, and keeps what it knows")
    func discovery() throws {
        let world = World()
        let discovery = EndpointDiscovery(
            ports: world.ports, publish: { found in world.published.withLock { $0.append(found.map(\.issuer)) } }, failed: { _, reason in world.reasons.withLock { $0.append(reason) } })
        discovery.follow([.init(issuer: "https://op", url: "https://op/.well-known/openid-configuration", caFile: nil)])
        for _ in 0..<8 {
            world.answer(.failure(.unresolved(host: "op")))
            world.fire()
        }
        #expect(world.reasons.withLock(\.count) == 8)
        let body = #"{"issuer":"https://op","jwks_uri":"https://op/k","authorization_endpoint":"https://op/a","token_endpoint":"https://op/t"}"#
        world.answer(.success(FetchResponse(status: 200, body: Array(body.utf8))))
        #expect(world.published.withLock { $0 } == [[], ["https://op"]])
        #expect(world.timers.withLock { $0.map(\.0) } == [EndpointDiscovery.refreshAfter])
        world.fire()
        world.answer(.success(FetchResponse(status: 500, body: [])))
        #expect(world.published.withLock { $0.last } == ["https://op"])
        // After a new configuration, the old questions are nobody's.
        discovery.follow([])
        world.fire()
        #expect(world.fetches.withLock(\.isEmpty) && world.published.withLock { $0.last } == [])
    }
}

@Suite("Logins that ended here")
struct LoginEndedTests {
    @Test("They are refused beside those of the file, until their time is over, and their number is bounded")
    func ended() {
        let now = WallTime(seconds: 1000)
        var logins = EndedLogins()
        logins.follow(Revocation([.init(kind: .subject, value: "file", until: WallTime(seconds: 5000))]), now: now)
        logins.end([.init(kind: .tokenID, value: "own", until: WallTime(seconds: 2000))], now: now)
        #expect(logins.revocation.entries.map(\.value) == ["file", "own"])
        logins.follow(.none, now: now)
        #expect(logins.revocation.entries.map(\.value) == ["own"])
        logins.end([], now: WallTime(seconds: 2000))
        #expect(logins.revocation.isEmpty)
        logins.end((0..<(EndedLogins.entriesMax + 5)).map { .init(kind: .tokenID, value: "n\($0)", until: WallTime(seconds: 9000)) }, now: now)
        #expect(logins.revocation.entries.count == EndedLogins.entriesMax)
        #expect(logins.revocation.entries.last?.value == "n\(EndedLogins.entriesMax + 4)")
    }
}
