import Authentication
import GatewayTerms
import Testing

@Suite("The browser's login")
struct LoginFlowTests {
    // MARK: - The way to the provider

    @Test("A person without a login is led to the provider with PKCE, state, nonce and the configured address, and one cookie")
    func challenge() throws {
        let bench = try LoginBench()
        let answer = bench.challenge(Browser(), "/flows/MyFlow?tab=1")
        #expect(answer.status == 302 && answer.code == "login_started")
        let parameters = LoginBench.parameters(answer)
        #expect(answer.location?.hasPrefix("https://login.example/oauth2/authorize?") == true)
        #expect(parameters["response_type"] == "code" && parameters["client_id"] == LoginBench.clientID && parameters["code_challenge_method"] == "S256")
        #expect(parameters["redirect_uri"] == "https://alpha.example.com/oauth2/callback" && parameters["scope"] == "openid email profile")
        #expect(parameters["state"]?.utf8.count == 22 && parameters["nonce"]?.utf8.count == 22 && parameters["code_challenge"]?.utf8.count == 43)
        let cookie = try #require(answer.cookies.first)
        #expect(answer.cookies.count == 1 && cookie.hasPrefix("__Host-gwtx-") && cookie.hasSuffix("; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=600"))
        #expect(answer.values("referrer-policy") == ["no-referrer"])
    }

    @Test("The verifier that is redeemed is the one whose challenge was sent, and the code goes with the configured address")
    func pkce() throws {
        let bench = try LoginBench()
        var browser = Browser()
        let begun = bench.challenge(browser)
        browser.take(begun, at: bench.now)
        let parameters = LoginBench.parameters(begun)
        let pending = try #require(bench.serve(.callback, browser, query: "code=abc%2B%2F&state=\(parameters["state"]!)").redeeming)
        let challenge = pending.redemption.verifier.withBytes { base64URL(LoginDigest.sha256($0)) }
        #expect(challenge == parameters["code_challenge"])
        #expect(pending.redemption.code == Secret("abc+/") && pending.redemption.redirectURI == "https://alpha.example.com/oauth2/callback")
        #expect(pending.redemption.client.tokenURL == "https://login.example/oauth2/token" && pending.redemption.client.clientSecret == Secret("secret of the browser client"))
    }

    @Test("Anything but a navigation gets 401 in JSON and no cookie", arguments: [RequestClass.program, .upgrade])
    func programs(requestClass: RequestClass) throws {
        let bench = try LoginBench()
        let answer = bench.flow.challenge(LoginBench.request("/api/x", as: requestClass), .noCookie)
        #expect(answer.status == 401 && answer.contentType == "application/json" && answer.values("www-authenticate") == ["Session"])
        #expect(answer.text.contains("\"code\":\"login_required\"") && answer.text.contains("\"login_url\":\"/oauth2/start?rd=%2F\""))
        #expect(answer.cookies.isEmpty && answer.location == nil)
        #expect(bench.serve(.start, as: requestClass).answer?.status == 401)
    }

    @Test("A form that a person sent without a login is answered by a page, and one of another site is not told to come again", arguments: [
        ("same-origin", nil, 401, "You are not logged in"), ("none", nil, 401, "You are not logged in"), ("cross-site", nil, 403, "This came from another site"),
        ("same-site", "https://evil.example", 403, "This came from another site"), (nil, "https://alpha.example.com", 401, nil),
    ] as [(String?, String?, Int, String?)])
    func forms(fetchSite: String?, origin: String?, status: Int, title: String?) throws {
        let bench = try LoginBench()
        let form = LoginBench.request("/x", method: .post, as: .program, wantsPage: true, fetchSite: fetchSite, origin: origin)
        let answer = bench.flow.challenge(form, .noCookie)
        #expect(answer.status == status && answer.cookies.isEmpty && answer.location == nil)
        #expect(answer.values("www-authenticate") == (status == 401 ? ["Session"] : []))
        // Without a browser's own word for it, whatever accepts text/html may be a program.
        #expect(answer.contentType == (title == nil ? "application/json" : "text/html; charset=utf-8"))
        if let title { #expect(answer.text.contains("<h1>\(title)</h1>")) }
    }

    @Test("start keeps the place that it was given, when that is on this host", arguments: [
        ("rd=%2Fflows%3Fx%3D1", "/flows?x=1"), ("rd=https%3A%2F%2Fevil.com", "/"), ("rd=%2F%2Fevil.com", "/"), ("", "/"), ("rd=%2Fa&rd=%2Fb", "/"), ("rd=%2Foauth2%2Fsign_out", "/"),
    ])
    func start(query: String, place: String) throws {
        let bench = try LoginBench()
        var browser = Browser()
        let begun = try #require(bench.serve(.start, browser, query: query).answer)
        browser.take(begun, at: bench.now)
        #expect(bench.comeBack(&browser, LoginBench.parameters(begun)).location == place)
        // Who is logged in already goes there at once.
        #expect(bench.serve(.start, browser, query: query).answer?.location == place)
    }

    @Test("While a provider's endpoints are not known, nobody is led anywhere")
    func undiscovered() throws {
        let bench = try LoginBench(LoginBench.rules(isCognito: false, endpoints: nil))
        #expect(bench.challenge(Browser()).status == 503)
        bench.discovered = [.init(issuer: Fixture.issuer, endpoints: LoginBench.endpoints)]
        #expect(bench.challenge(Browser()).status == 302)
    }

    // MARK: - The way back

    @Test("A login leads back to where the person wanted to go, with a session and without the transaction")
    func login() throws {
        let bench = try LoginBench()
        var browser = Browser()
        let answer = bench.login(&browser, target: "/flows/MyFlow/1?tab=timeline")
        #expect(answer.status == 302 && answer.location == "/flows/MyFlow/1?tab=timeline" && answer.code == "login_completed")
        #expect(browser.count(prefix: "__Host-gwtx-") == 0 && browser.count(prefix: "__Host-gws") == 1)
        #expect(answer.cookies.allSatisfy { $0.contains("; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=") })
        let grant = try #require(bench.decide(browser).grant)
        #expect(grant.identity.subject == "a1b2c3" && grant.identity.username == "ada" && grant.identity.email == "ada@example.com")
        #expect(grant.identity.groups == ["science", "ml admins"] && grant.identity.scopes == ["openid", "email", "profile"])
        let fields = String(decoding: grant.identity.forwardedFields, as: UTF8.self)
        #expect(fields.contains("x-auth-subject: a1b2c3\r\n") && fields.contains("x-auth-groups: science,ml%20admins\r\n") && fields.contains("x-auth-client: client-browser\r\n"))
        #expect(grant.endsAt == bench.now.advanced(by: 86_400) && grant.update == nil && grant.refreshAhead == nil)
        _ = bench.decide(browser)
        #expect(bench.authenticator.cacheHits >= 1)
    }

    @Test("Every login has a session id of its own")
    func sessionID() throws {
        let bench = try LoginBench()
        var first = Browser(), second = Browser()
        bench.login(&first)
        bench.login(&second)
        #expect(bench.decide(first).grant?.session.id != bench.decide(second).grant?.session.id)
    }

    @Test("A callback that is not the provider's is a page, never a trap or a redirect", arguments: [
        "", "state", "state=", "code=x", "state=x&code=y", "state=STATE", "state=STATE&code=", "state=STATE&state=STATE&code=x", "state=STATE&code=x&code=y",
        "state=STATE&code=%00", "state=STATE&code=%0d%0a", "state=STATE&error=a&error=b", "state=STATE&code=x&iss=https://evil.example", "state=STATE&code=x&iss=a&iss=b",
        "state=STATEx&code=x", "&&&=&=", "%", "state=%FF%FE&code=x", "state=AAAAAAAAAAAAAAAAAAAAAA&code=x", "HUGE", "MANY",
    ])
    func badCallback(query: String) throws {
        let bench = try LoginBench()
        var browser = Browser()
        let begun = bench.challenge(browser)
        browser.take(begun, at: bench.now)
        var text = query.replacing("STATE", with: LoginBench.parameters(begun)["state"]!)
        if query == "HUGE" { text = "state=\(LoginBench.parameters(begun)["state"]!)&code=" + String(repeating: "x", count: 5000) }
        if query == "MANY" { text = (0..<100).map { "a\($0)=b" }.joined(separator: "&") }
        let answer = try #require(bench.serve(.callback, browser, query: text).answer)
        #expect(answer.status == 400 && answer.contentType.hasPrefix("text/html") && answer.location == nil)
    }

    @Test("A callback without its cookie says so, and with a login leads to the start")
    func withoutTransaction() throws {
        let bench = try LoginBench()
        var browser = Browser()
        let begun = bench.challenge(browser)
        let query = "code=x&state=\(LoginBench.parameters(begun)["state"]!)"
        #expect(bench.serve(.callback, Browser(), query: query).answer?.code == "login_interrupted")
        bench.login(&browser)
        let second = try #require(bench.serve(.callback, browser, query: query).answer)
        #expect(second.status == 302 && second.location == "/" && second.cookies.isEmpty)
    }

    @Test("A transaction is good for ten minutes")
    func transactionExpires() throws {
        let bench = try LoginBench()
        var browser = Browser()
        let begun = bench.challenge(browser)
        let line = begun.cookies[0].split(separator: ";")[0].split(separator: "=", maxSplits: 1)
        browser.plant(String(line[0]), String(line[1]))
        let query = "code=x&state=\(LoginBench.parameters(begun)["state"]!)"
        bench.now = Fixture.now.advanced(by: 599)
        #expect(bench.serve(.callback, browser, query: query).redeeming != nil)
        bench.now = Fixture.now.advanced(by: 600)
        #expect(bench.serve(.callback, browser, query: query).answer?.code == "login_interrupted")
    }

    @Test("A provider's error is told by our words, never by its own", arguments: [
        ("access_denied", 403), ("temporarily_unavailable", 503), ("server_error", 503), ("invalid_scope", 502), ("%3Cscript%3Ealert(1)%3C/script%3E", 502), ("constructor", 502),
    ])
    func providerError(word: String, status: Int) throws {
        let bench = try LoginBench()
        var browser = Browser()
        let begun = bench.challenge(browser)
        browser.take(begun, at: bench.now)
        let query = "error=\(word)&error_description=%3Cb%3Ehello-reflection&state=\(LoginBench.parameters(begun)["state"]!)"
        let answer = try #require(bench.serve(.callback, browser, query: query).answer)
        #expect(answer.status == status && !answer.text.contains("hello-reflection") && !answer.text.contains("<script"))
        browser.take(answer, at: bench.now)
        #expect(browser.count(prefix: "__Host-gwtx-") == 0)
    }

    struct BadTokens: Sendable {
        let name: String
        let code: String
        let change: @Sendable (inout LoginBench.Tokens) -> Void
    }

    @Test("Tokens that do not fit together are no login", arguments: [
        BadTokens(name: "another nonce", code: "nonce_mismatch") { $0.idChanges = [("nonce", "\"other\"")] },
        BadTokens(name: "no nonce", code: "nonce_mismatch") { $0.idChanges = [("nonce", nil)] },
        BadTokens(name: "another at_hash", code: "at_hash_mismatch") { $0.breaksHash = true },
        BadTokens(name: "no at_hash", code: "at_hash_mismatch") { $0.idChanges = [("at_hash", nil)] },
        BadTokens(name: "another client", code: "client_not_allowed") { $0.idChanges = [("aud", "\"client-cli\"")] },
        BadTokens(name: "two audiences", code: "token_malformed") { $0.idChanges = [("aud", "[\"client-browser\",\"other\"]")] },
        BadTokens(name: "an access token as ID token", code: "id_token_of_another_use") {
            $0.idChanges = [("token_use", "\"access\""), ("client_id", "\"client-browser\""), ("aud", nil)]
        },
        BadTokens(name: "an ID token as access token", code: "token_use_not_allowed") { $0.accessChanges = [("token_use", "\"id\""), ("aud", "\"client-browser\"")] },
        BadTokens(name: "another person's access token", code: "subject_mismatch") { $0.accessChanges = [("sub", "\"mallory\"")] },
        BadTokens(name: "another client's access token", code: "client_not_allowed") { $0.accessChanges = [("client_id", "\"client-cli\"")] },
        BadTokens(name: "a forged signature", code: "signature_invalid") { $0.key = Fixture.foreign },
        BadTokens(name: "expired", code: "token_expired") { $0.lifetime = -100 },
        BadTokens(name: "another issuer", code: "issuer_not_allowed") { $0.issuer = Fixture.prodIssuer },
    ])
    func badTokens(row: BadTokens) throws {
        let bench = try LoginBench()
        var browser = Browser()
        var tokens = LoginBench.Tokens()
        row.change(&tokens)
        let answer = bench.login(&browser, tokens)
        #expect(answer.status == 502 && answer.code == row.code, "\(row.name)")
        #expect(browser.count(prefix: "__Host-gws") == 0)
    }

    @Test("A revoked person is not logged in")
    func revokedAtLogin() throws {
        let bench = try LoginBench()
        var browser = Browser()
        bench.revocation = Revocation([.init(kind: .subject, value: "a1b2c3", until: bench.now.advanced(by: 100))])
        #expect(bench.login(&browser).code == "token_revoked")
    }

    @Test("A token endpoint's failure is a page with a way on", arguments: [
        (TokenEndpointFault.grantRefused, 400), (.requestRefused(code: "invalid_client"), 502), (.unavailable(reason: "x"), 503), (.malformed(reason: "x"), 502),
    ])
    func redeemFails(fault: TokenEndpointFault, status: Int) throws {
        let bench = try LoginBench()
        var browser = Browser()
        let begun = bench.challenge(browser, "/deep")
        browser.take(begun, at: bench.now)
        let request = LoginBench.request("/oauth2/callback?code=x&state=\(LoginBench.parameters(begun)["state"]!)", browser.sent(at: bench.now))
        let pending = try #require(bench.flow.serve(.callback, request).redeeming)
        guard case .answer(let answer) = bench.flow.redeemed(pending, .failure(fault), request) else { Issue.record("no answer"); return }
        #expect(answer.status == status && answer.text.contains(status == 503 ? "href=\"/deep\"" : "/oauth2/start?rd=%2Fdeep"))
    }

    @Test("A key that is not at hand is fetched once, and then decided about", arguments: [RefetchState.done, .failed, .throttled])
    func unknownKey(refetch: RefetchState) throws {
        let bench = try LoginBench()
        var browser = Browser()
        let begun = bench.challenge(browser)
        browser.take(begun, at: bench.now)
        let parameters = LoginBench.parameters(begun)
        let request = LoginBench.request("/oauth2/callback?code=x&state=\(parameters["state"]!)", browser.sent(at: bench.now))
        let pending = try #require(bench.flow.serve(.callback, request).redeeming)
        let answer = bench.tokens(nonce: parameters["nonce"])
        let known = bench.keySets
        bench.keySets = KeySets()
        guard case .needsKeys(Fixture.issuer, nil) = bench.flow.redeemed(pending, .success(answer), request) else { Issue.record("no refetch"); return }
        if refetch == .done { bench.keySets = known }
        guard case .answer(let final) = bench.flow.redeemed(pending, .success(answer), request, refetch: refetch) else { Issue.record("asked twice"); return }
        #expect(final.status == (refetch == .done ? 302 : 502))
    }

    @Test("Another provider's login needs neither at_hash nor an access token that we can read")
    func otherProvider() throws {
        let bench = try LoginBench(LoginBench.rules(isCognito: false))
        var browser = Browser()
        let begun = bench.challenge(browser)
        browser.take(begun, at: bench.now)
        let parameters = LoginBench.parameters(begun)
        let request = LoginBench.request("/oauth2/callback?code=x&state=\(parameters["state"]!)", browser.sent(at: bench.now))
        let pending = try #require(bench.flow.serve(.callback, request).redeeming)
        var tokens = LoginBench.Tokens()
        tokens.idChanges = [("at_hash", nil), ("token_use", nil)]
        let signed = bench.tokens(nonce: parameters["nonce"], tokens)
        let answer = TokenAnswer(accessToken: Secret("opaque"), idToken: signed.idToken, refreshToken: nil, expiresIn: 300, scope: "openid email")
        guard case .answer(let done) = bench.flow.redeemed(pending, .success(answer), request) else { Issue.record("no answer"); return }
        browser.take(done, at: bench.now)
        #expect(bench.decide(browser).grant?.identity.scopes == ["openid", "email"])
        // And with at_hash, it must be the hash of that token.
        let wrong = TokenAnswer(accessToken: Secret("opaque"), idToken: bench.tokens(nonce: parameters["nonce"]).idToken, refreshToken: nil, expiresIn: 300, scope: nil)
        guard case .answer(let refused) = bench.flow.redeemed(pending, .success(wrong), request) else { Issue.record("no answer"); return }
        #expect(refused.code == "at_hash_mismatch")
    }

    // MARK: - Isolation

    @Test("One stage's cookie is worthless on another, even with the same keys")
    func stages() throws {
        let alpha = try LoginBench(), prod = try LoginBench(LoginBench.rules("prod"))
        var browser = Browser()
        alpha.login(&browser)
        #expect(alpha.decide(browser).grant != nil)
        #expect(prod.decide(browser).absence == .unreadable(.notAuthentic))
        // Nor does a transaction lead anywhere there.
        let begun = alpha.challenge(Browser())
        var other = Browser()
        other.take(begun, at: alpha.now)
        #expect(prod.serve(.callback, other, query: "code=x&state=\(LoginBench.parameters(begun)["state"]!)").answer?.code == "login_interrupted")
    }

    @Test("A new ring or new rules are not answered from what was opened before")
    func cacheIsBound() throws {
        let bench = try LoginBench()
        var browser = Browser()
        bench.login(&browser)
        #expect(bench.decide(browser).grant != nil)
        bench.ring = KeyRing.fresh(at: bench.now) { SeededBytes(50).bytes($0) }
        #expect(bench.decide(browser).absence == .unreadable(.unknownKey))
        bench.ring = LoginBench.ring
        bench.rules = LoginBench.rules("prod")
        #expect(bench.decide(browser).absence == .unreadable(.notAuthentic))
    }

    // MARK: - Policy

    @Test("A policy's demand on groups and scopes holds for logins, and the answer says which rule")
    func policy() throws {
        let bench = try LoginBench()
        var browser = Browser()
        bench.login(&browser)
        guard case .refused(let refusal, let grant) = bench.decide(browser, route: RoutePolicy(name: "alpha /admin", groups: ["operators"])) else {
            Issue.record("let pass")
            return
        }
        let page = bench.flow.refusal(LoginBench.request("/admin", browser.sent(at: bench.now)), refusal, grant)
        #expect(page.status == 403 && page.text.contains("operators") && page.text.contains("alpha /admin") && page.text.contains("ada") && page.text.contains("0193-request"))
        let json = bench.flow.refusal(LoginBench.request("/admin", as: .program), refusal, grant)
        #expect(json.status == 403 && json.text.contains("\"code\":\"group_missing\"") && json.text.contains("alpha /admin"))
        #expect(bench.decide(browser, route: RoutePolicy(name: "x", groups: ["science"], scopes: ["email"])).grant != nil)
        guard case .refused(.scopeMissing, _) = bench.decide(browser, route: RoutePolicy(name: "x", scopes: ["metaflow/write"])) else { Issue.record("let pass"); return }
    }

    // MARK: - Sizes

    @Test("Two hundred groups with long names neither loop nor break anything", arguments: [nil, ["science"]] as [[String]?])
    func manyGroups(named: [String]?) throws {
        let bench = try LoginBench(LoginBench.rules(forwardedGroups: named))
        var browser = Browser()
        var tokens = LoginBench.Tokens()
        tokens.groups = ["science"] + (0..<200).map { String(repeating: "g", count: 890) + "\($0)" }
        let answer = bench.login(&browser, tokens)
        #expect(answer.code == "login_completed_session_truncated" && answer.location == "/")
        #expect(browser.longestSetCookie <= 3900 && browser.count(prefix: "__Host-gws") <= 3)
        let grant = try #require(bench.decide(browser).grant)
        let fields = String(decoding: grant.identity.forwardedFields, as: UTF8.self)
        #expect(grant.session.refreshToken != nil)
        if named == nil {
            #expect(fields.contains("x-auth-groups-truncated: true") && grant.session.groupsAreTruncated)
        } else {
            #expect(fields.contains("x-auth-groups: science\r\n") && !fields.contains("truncated"))
        }
    }

    @Test("What decides about access is kept longest: groups first, then the refresh token, then the profile", arguments: [
        (100, 100, "none"), (9000, 100, "groups"), (9000, 9000, "refresh_token"),
    ])
    func truncation(groupBytes: Int, refreshBytes: Int, what: String) throws {
        let bench = try LoginBench(LoginBench.rules(forwardedGroups: ["science"]))
        var browser = Browser()
        var tokens = LoginBench.Tokens()
        tokens.groups = ["science"] + (0..<(groupBytes / 100)).map { String(repeating: "g", count: 97) + "\($0)" }
        tokens.refreshToken = String(repeating: "r", count: refreshBytes)
        bench.login(&browser, tokens)
        let session = try #require(bench.decide(browser).grant?.session)
        #expect(session.groups.contains("science") && session.username == "ada")
        #expect((session.groups.count > 1) == (what == "none"))
        #expect((session.refreshToken != nil) == (what != "refresh_token"))
        #expect(browser.longestSetCookie <= 3900)
        if what == "refresh_token" {
            // Then the login ends with the provider's word.
            #expect(bench.decide(browser).grant?.endsAt == bench.now.advanced(by: 3600))
            bench.now = bench.now.advanced(by: 3600)
            #expect(bench.decide(browser).absence == .noCookie)
        }
    }

    @Test("A login that does not fit at all is a page, not a loop")
    func impossible() throws {
        let names = (0..<30).map { String(repeating: "n", count: 890) + "\($0)" }
        let bench = try LoginBench(LoginBench.rules(forwardedGroups: names))
        var browser = Browser()
        var tokens = LoginBench.Tokens()
        tokens.groups = names
        #expect(bench.login(&browser, tokens).code == "session_too_large")
    }

    @Test("A session in three parts and five logins under way with the longest targets pass in one Cookie field")
    func cookieField() throws {
        let bench = try LoginBench()
        var browser = Browser()
        var tokens = LoginBench.Tokens()
        tokens.groups = (0..<80).map { String(repeating: "g", count: 88) + "\($0)" }
        bench.login(&browser, tokens)
        #expect(browser.count(prefix: "__Host-gws") == 3)
        bench.now = bench.now.advanced(by: 120)
        var lone = browser
        // A browser whose session has just ended still sends it along.
        for index in 0..<8 {
            bench.now = bench.now.advanced(by: 1)
            let answer = bench.flow.challenge(LoginBench.request("/\(index)" + String(repeating: "a", count: 2000), lone.sent(at: bench.now)), .ended(.idle))
            lone.take(answer, at: bench.now)
            #expect(lone.count(prefix: "__Host-gwtx-") <= 5)
        }
        #expect(lone.count(prefix: "__Host-gwtx-") >= 3)
        #expect(lone.field(at: bench.now).utf8.count <= 24 * 1024)
        for index in 0..<8 {
            bench.now = bench.now.advanced(by: 1)
            let answer = bench.flow.challenge(LoginBench.request("/flows/\(index)", browser.sent(at: bench.now)), .ended(.idle))
            browser.take(answer, at: bench.now)
        }
        #expect(browser.count(prefix: "__Host-gwtx-") == 5)
        #expect(browser.field(at: bench.now).utf8.count <= 24 * 1024)
    }

    @Test("A part that is missing, exchanged or left over from another login makes no login")
    func parts() throws {
        let bench = try LoginBench()
        var browser = Browser()
        var tokens = LoginBench.Tokens()
        tokens.groups = (0..<80).map { String(repeating: "g", count: 88) + "\($0)" }
        bench.login(&browser, tokens)
        var missing = browser
        missing.remove("__Host-gws.1")
        #expect(bench.decide(missing).absence == .incomplete)
        var mixed = browser
        var other = Browser()
        bench.login(&other, tokens)
        mixed.remove("__Host-gws.2")
        mixed.plant("__Host-gws.2", other.cookies.first { $0.name == "__Host-gws.2" }!.value)
        #expect(bench.decide(mixed).absence == .unreadable(.notAuthentic))
        // A smaller login afterwards takes the parts away that it does not need.
        let begun = bench.serve(.start, mixed).answer!
        mixed.take(begun, at: bench.now)
        _ = bench.comeBack(&mixed, LoginBench.parameters(begun))
        #expect(mixed.count(prefix: "__Host-gws") == 1 && bench.decide(mixed).grant != nil)
        // And a part that is left over does not disturb one that needs none.
        mixed.plant("__Host-gws.1", "garbage")
        #expect(bench.decide(mixed).grant != nil)
    }

    @Test("More than sixty-four cookies are an answer that says so, not a loop")
    func tooManyCookies() throws {
        let bench = try LoginBench()
        let cookies = LoginCookies((0..<65).map { "c\($0)=v" }.joined(separator: "; "))
        let decision = bench.flow.decide(cookies, route: Fixture.open)
        #expect(decision.absence == .tooManyCookies)
        #expect(bench.flow.challenge(LoginBench.request("/", cookies), .tooManyCookies).status == 431)
        #expect(bench.flow.challenge(LoginBench.request("/", cookies, as: .program), .tooManyCookies).status == 431)
        #expect(bench.flow.serve(.start, LoginBench.request("/oauth2/start", cookies)).answer?.status == 431)
    }
}
