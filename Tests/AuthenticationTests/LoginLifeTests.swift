import Authentication
import GatewayTerms
import Testing

@Suite("A login's life")
struct LoginLifeTests {
    private func session(_ bench: LoginBench, _ browser: inout Browser, lifetime: Int64 = 3600, refresh: String? = "refresh-1") throws -> LoginSession {
        var tokens = LoginBench.Tokens()
        tokens.lifetime = lifetime
        tokens.refreshToken = refresh
        bench.login(&browser, tokens)
        return try #require(bench.decide(browser).grant?.session)
    }

    struct Row: Sendable {
        var life: Int64 = 3600
        var refresh = true
        var idle: Int64 = 28_800
        let at: Int64
        let expected: RefreshDecision
    }

    @Test("A session is renewed a minute before its end, before the request when it is over, and ends by age, idleness or want of a token", arguments: [
        Row(at: 0, expected: .none), Row(at: 3539, expected: .none), Row(at: 3540, expected: .ahead), Row(at: 3599, expected: .ahead), Row(at: 3600, expected: .blocking),
        Row(at: 28_799, expected: .blocking), Row(at: 28_800, expected: .ended(.idle)), Row(at: 86_400, expected: .ended(.lifetime)),
        Row(refresh: false, at: 3599, expected: .none), Row(refresh: false, at: 3600, expected: .ended(.expired)),
        Row(life: 100, at: 79, expected: .none), Row(life: 100, at: 80, expected: .ahead), Row(life: 100, at: 100, expected: .blocking),
        Row(idle: 600, at: 599, expected: .none), Row(idle: 600, at: 600, expected: .ended(.idle)),
    ])
    func decisions(row: Row) throws {
        let lifetimes = LoginLifetimes(idleSeconds: row.idle)
        let bench = try LoginBench(LoginBench.rules(lifetimes: lifetimes))
        var browser = Browser()
        let session = try session(bench, &browser, lifetime: row.life, refresh: row.refresh ? "r" : nil)
        #expect(RefreshDecision(session, lifetimes: lifetimes, now: Fixture.now.advanced(by: row.at)) == row.expected)
    }

    @Test("A request ahead of the end goes on, and its answer carries the new cookie")
    func ahead() throws {
        let bench = try LoginBench()
        var browser = Browser()
        let before = try session(bench, &browser)
        bench.now = Fixture.now.advanced(by: 3550)
        let pending = try #require(bench.decide(browser).grant?.refreshAhead)
        #expect(pending.grant.token == Secret("refresh-1"))
        var tokens = LoginBench.Tokens()
        tokens.refreshToken = "refresh-2"
        let renewed = try #require(bench.flow.refreshed(pending, .success(bench.tokens(nonce: nil, tokens)), route: Fixture.open).grant)
        #expect(renewed.update?.lines(at: bench.now.advanced(by: 31)) == [])
        browser.take(renewed.update?.lines(at: bench.now) ?? [], at: bench.now)
        let after = try #require(bench.decide(browser).grant)
        #expect(after.session.refreshToken == Secret("refresh-2") && after.session.id == before.id && after.session.createdAt == before.createdAt)
        #expect(after.session.expiresAt == bench.now.advanced(by: 3600) && after.refreshAhead == nil)
    }

    @Test("A provider that does not rotate leaves the refresh token as it is")
    func noRotation() throws {
        let bench = try LoginBench()
        var browser = Browser()
        _ = try session(bench, &browser)
        bench.now = Fixture.now.advanced(by: 3700)
        let pending = try #require(bench.decide(browser).first)
        var tokens = LoginBench.Tokens()
        tokens.refreshToken = nil
        #expect(bench.flow.refreshed(pending, .success(bench.tokens(nonce: nil, tokens)), route: Fixture.open).grant?.session.refreshToken == Secret("refresh-1"))
    }

    @Test("A provider's outage never ends a login; its refusal does", arguments: [
        (TokenEndpointFault.unavailable(reason: ""), false), (.malformed(reason: ""), false), (.requestRefused(code: "invalid_client"), false), (.grantRefused, true),
    ])
    func failures(fault: TokenEndpointFault, ends: Bool) throws {
        let bench = try LoginBench()
        var browser = Browser()
        _ = try session(bench, &browser)
        bench.now = Fixture.now.advanced(by: 4000)
        let pending = try #require(bench.decide(browser).first)
        switch bench.flow.refreshed(pending, .failure(fault), route: Fixture.open) {
        case .ended(let update):
            #expect(ends)
            #expect(update.lines(at: bench.now) == ["__Host-gws=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0"])
            let answer = bench.flow.challenge(LoginBench.request("/", browser.sent(at: bench.now)), .ended(.refused), ended: update)
            browser.take(answer, at: bench.now)
            #expect(answer.status == 302 && browser.count(prefix: "__Host-gws") == 0)
        case .unavailable:
            #expect(!ends)
            let answer = bench.flow.providerUnavailable(LoginBench.request("/"))
            #expect(answer.status == 503 && answer.values("retry-after") == ["5"] && answer.location == nil && answer.cookies.isEmpty)
        default: Issue.record("neither")
        }
    }

    @Test("A refresh that speaks of another person ends the login; one that cannot be verified does not", arguments: [true, false])
    func refreshedSubject(other: Bool) throws {
        let bench = try LoginBench()
        var browser = Browser()
        _ = try session(bench, &browser)
        bench.now = Fixture.now.advanced(by: 4000)
        let pending = try #require(bench.decide(browser).first)
        var tokens = LoginBench.Tokens()
        if other { tokens.subject = "mallory" } else { tokens.key = Fixture.foreign }
        switch bench.flow.refreshed(pending, .success(bench.tokens(nonce: nil, tokens)), route: Fixture.open) {
        case .ended: #expect(other)
        case .unavailable: #expect(!other)
        default: Issue.record("renewed")
        }
    }

    @Test("A renewed login meets the route's policy anew")
    func renewedPolicy() throws {
        let bench = try LoginBench()
        var browser = Browser()
        _ = try session(bench, &browser)
        bench.now = Fixture.now.advanced(by: 4000)
        let route = RoutePolicy(name: "x", groups: ["science"])
        let pending = try #require(bench.decide(browser, route: route).first)
        var tokens = LoginBench.Tokens()
        tokens.groups = ["others"]
        guard case .refused(.groupMissing, let grant) = bench.flow.refreshed(pending, .success(bench.tokens(nonce: nil, tokens)), route: route) else {
            Issue.record("let pass")
            return
        }
        #expect(grant.update != nil)
    }

    @Test("Where the provider is not discovered yet, an expired login is not lost")
    func undiscovered() throws {
        let bench = try LoginBench(LoginBench.rules(isCognito: false, endpoints: nil))
        bench.discovered = [.init(issuer: Fixture.issuer, endpoints: LoginBench.endpoints)]
        var browser = Browser()
        _ = try session(bench, &browser)
        bench.now = Fixture.now.advanced(by: 4000)
        bench.discovered = []
        guard case .providerUnavailable = bench.decide(browser) else { Issue.record("lost"); return }
    }

    @Test("The last request is noted now and then, so that who works is never idle")
    func touch() throws {
        let bench = try LoginBench(LoginBench.rules(lifetimes: LoginLifetimes(idleSeconds: 1200)))
        var browser = Browser()
        _ = try session(bench, &browser)
        var updates = 0
        for minute in 0..<55 {
            bench.now = Fixture.now.advanced(by: Int64(minute) * 60)
            let grant = try #require(bench.decide(browser).grant, "minute \(minute)")
            if let update = grant.update {
                updates += 1
                #expect(update.lines(at: bench.now.advanced(by: 6)).isEmpty)
                browser.take(update.lines(at: bench.now), at: bench.now)
            }
        }
        #expect(updates > 10 && updates < 25)
        bench.now = bench.now.advanced(by: 1200)
        #expect(bench.decide(browser).absence == .ended(.idle))
    }

    @Test("No cookie is set in the minute before a refresh that could be overtaken by it")
    func quiet() throws {
        let bench = try LoginBench(LoginBench.rules(lifetimes: LoginLifetimes(idleSeconds: 3600)))
        var browser = Browser()
        _ = try session(bench, &browser)
        bench.now = Fixture.now.advanced(by: 3479)
        #expect(bench.decide(browser).grant?.update != nil)
        bench.now = Fixture.now.advanced(by: 3480)
        #expect(bench.decide(browser).grant?.update == nil)
    }

    @Test("A login is revoked by its id, its origin, its person, or when all before a moment are", arguments: [
        RevocationKind.tokenID, .originTokenID, .subject, .client, .subjectNotBefore,
    ])
    func revoked(kind: RevocationKind) throws {
        let bench = try LoginBench()
        var browser = Browser()
        let session = try session(bench, &browser)
        let value = switch kind {
        case .tokenID: session.idText
        case .originTokenID: "origin-1"
        case .subject, .subjectNotBefore: "a1b2c3"
        case .client: LoginBench.clientID
        }
        let until = bench.now.advanced(by: 100_000)
        bench.revocation = Revocation([.init(kind: kind, value: value, until: until, notBefore: kind == .subjectNotBefore ? bench.now.advanced(by: 1) : nil)])
        #expect(bench.decide(browser).absence == .ended(.revoked))
        bench.revocation = .none
        #expect(bench.decide(browser).grant != nil)
    }

    // MARK: - The loop guard

    @Test("A login that is lost again and again is stopped by a page that says what was found", arguments: [
        ("lost", "did not come back"), ("cut", "only some parts"), ("changed", "another stage"), ("skew", "behind the clock"),
    ])
    func loop(manner: String, finding: String) throws {
        let bench = try LoginBench()
        var browser = Browser()
        var last = LoginAnswer.unexpected
        var passes = 0
        while passes < 12 {
            bench.now = bench.now.advanced(by: 2)
            let begun = bench.challenge(browser)
            browser.take(begun, at: bench.now)
            last = begun
            guard begun.status == 302 else { break }
            passes += 1
            var tokens = LoginBench.Tokens()
            if manner == "skew" { tokens.idChanges = [("iat", "\(bench.now.seconds - 3500)")] }
            if manner == "cut" { tokens.groups = (0..<80).map { String(repeating: "g", count: 88) + "\($0)" } }
            #expect(bench.comeBack(&browser, LoginBench.parameters(begun), tokens).status == 302)
            switch manner {
            case "cut": browser.remove("__Host-gws.2")
            case "changed":
                browser.remove("__Host-gws")
                let other = try LoginBench(LoginBench.rules("prod"))
                var foreign = Browser()
                other.login(&foreign)
                browser.plant("__Host-gws", foreign.cookies.first { $0.name == "__Host-gws" }!.value)
            default: browser.remove("__Host-gws")
            }
        }
        #expect(passes == 5 && last.status == 400 && last.code == "login_loop")
        #expect(last.text.contains(finding), "\(last.text)")
        // The page's own way out works.
        #expect(browser.count(prefix: "__Host-gw") == 0)
        #expect(bench.challenge(browser).status == 302)
    }

    @Test("Signing in five times within an hour is no loop")
    func noLoop() throws {
        let bench = try LoginBench()
        var browser = Browser()
        for _ in 0..<5 {
            bench.now = bench.now.advanced(by: 61)
            #expect(bench.login(&browser).status == 302)
            browser.remove("__Host-gws")
        }
    }

    @Test("Fifty tabs and five hundred fetches at the end of a login neither pile up nor loop")
    func fiftyTabs() throws {
        let bench = try LoginBench()
        var browser = Browser()
        bench.login(&browser)
        bench.now = bench.now.advanced(by: 90_000)
        let random = SeededBytes(21)
        var fieldMax = 0, cookiesMax = 0
        // Sent with the same cookies; the answers come in any order between others.
        var started: [[String: String]] = []
        for index in 0..<550 {
            let cookies = browser.sent(at: bench.now)
            let absence = try #require(bench.decide(browser).absence)
            let isTab = index % 11 == 0
            let answer = bench.flow.challenge(LoginBench.request("/tab/\(index)", cookies, as: isTab ? .navigation : .program), absence)
            #expect(answer.status == (isTab ? 302 : 401))
            if isTab { started.append(LoginBench.parameters(answer)) } else { #expect(answer.cookies.isEmpty) }
            browser.take(answer, at: bench.now)
            fieldMax = max(fieldMax, browser.field(at: bench.now).utf8.count)
            cookiesMax = max(cookiesMax, browser.count(prefix: "__Host-gwtx-"))
        }
        #expect(started.count == 50 && cookiesMax == 5 && fieldMax < 24 * 1024)
        // The provider knows the person: all tabs come back, in any order.
        for index in started.indices.reversed() { started.swapAt(index, random.below(index + 1)) }
        var loggedIn = 0, toStart = 0, interrupted = 0
        for parameters in started {
            let answer = bench.comeBack(&browser, parameters)
            switch answer.code {
            case "login_completed": loggedIn += 1
            case "login_present": toStart += 1
            case "login_interrupted": interrupted += 1
            default: Issue.record("\(answer.code)")
            }
        }
        #expect(loggedIn == 1 && loggedIn + toStart + interrupted == 50)
        #expect(bench.decide(browser).grant != nil && browser.count(prefix: "__Host-gwtx-") == 0)
    }

    // MARK: - The login's own paths

    @Test("session tells who is logged in, and no token")
    func sessionPath() throws {
        let bench = try LoginBench()
        var browser = Browser()
        _ = try session(bench, &browser)
        let answer = try #require(bench.serve(.session, browser, as: .program).answer)
        #expect(answer.status == 200 && answer.text.contains("\"username\":\"ada\"") && answer.text.contains("\"groups\":[\"science\",\"ml admins\"]"))
        #expect(!answer.text.contains("refresh-1") && !answer.text.contains("eyJ"))
        #expect(bench.serve(.session, Browser(), as: .program).answer?.status == 401)
        bench.now = bench.now.advanced(by: 4000)
        let pending = try #require(bench.serve(.session, browser, as: .program).refreshing)
        let outcome = bench.flow.refreshed(pending, .success(bench.tokens(nonce: nil)), route: AuthorizationCodeFlow.ownPaths)
        #expect(bench.flow.renewed(outcome, LoginBench.request())?.cookies.count == 1)
        #expect(bench.flow.renewed(.unavailable, LoginBench.request(as: .program))?.status == 503)
    }

    @Test("refresh wants a POST of our own page")
    func refreshPath() throws {
        let bench = try LoginBench()
        var browser = Browser()
        _ = try session(bench, &browser)
        #expect(bench.serve(.refresh, browser, method: .get).answer?.status == 405)
        #expect(bench.serve(.refresh, browser, method: .post, as: .program, fetchSite: "cross-site").answer?.status == 403)
        #expect(bench.serve(.refresh, browser, method: .post, as: .program).refreshing != nil)
        #expect(bench.serve(.refresh, Browser(), method: .post, as: .program).answer?.status == 401)
    }

    @Test("A path below /oauth2 that is not ours is never a route's")
    func paths() throws {
        for (text, match) in [
            ("/oauth2/start", LoginPath.Match.path(.start)), ("/oauth2/sign_out", .path(.signOut)), ("/oauth2", .unknown), ("/oauth2/x", .unknown),
            ("/oauth2/start/", .unknown), ("/oauth2x", .elsewhere), ("/", .elsewhere), ("/api", .elsewhere),
        ] {
            #expect(LoginPath.match(try CanonicalPath(text)) == match, "\(text)")
        }
        #expect(try LoginBench().flow.unknownPath(LoginBench.request("/oauth2/x")).status == 404)
    }

    @Test("Signing out clears every cookie with the attributes that it was set with, revokes the token and goes to the provider", arguments: [
        (Method.post, "same-origin"), (.get, "same-origin"), (.get, "none"),
    ])
    func signOut(method: Method, site: String) throws {
        let bench = try LoginBench()
        var browser = Browser()
        let session = try session(bench, &browser)
        browser.take(bench.flow.challenge(LoginBench.request("/x", browser.sent(at: bench.now)), .noCookie), at: bench.now)
        guard case .signOut(let answer, let revoking, let ended) = bench.serve(.signOut, browser, method: method, fetchSite: site) else { Issue.record("no"); return }
        #expect(answer.location == "https://login.example/logout?client_id=client-browser&logout_uri=https%3A%2F%2Falpha.example.com%2Foauth2%2Fsigned_out")
        #expect(revoking?.token == Secret("refresh-1") && revoking?.client.revocationURL == "https://login.example/oauth2/revoke")
        #expect(ended == [.init(kind: .tokenID, value: session.idText, issuer: Fixture.issuer, until: Fixture.now.advanced(by: 86_400))])
        #expect(answer.cookies.allSatisfy { $0.hasSuffix("=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0") })
        let kept = browser
        browser.take(answer, at: bench.now)
        #expect(browser.count(prefix: "__Host-gw") == 0)
        // The old cookie is worthless at once, here.
        bench.revocation = Revocation(ended)
        #expect(bench.decide(kept).absence == .ended(.revoked))
    }

    @Test("A link from another site asks before it signs out, and a form of another site is refused")
    func signOutCrossSite() throws {
        let bench = try LoginBench()
        var browser = Browser()
        _ = try session(bench, &browser)
        let asked = try #require(bench.serve(.signOut, browser, query: "everywhere=1", fetchSite: "cross-site").answer)
        #expect(asked.status == 200 && asked.cookies.isEmpty && asked.text.contains("action=\"/oauth2/sign_out?everywhere=1\""))
        #expect(asked.values("content-security-policy")[0].contains("form-action 'self' https://login.example"))
        #expect(bench.serve(.signOut, browser, fetchSite: nil).answer?.code == "sign_out_asked")
        #expect(bench.serve(.signOut, browser, method: .post, fetchSite: "cross-site").answer?.status == 403)
        #expect(bench.serve(.signOut, browser, method: .post, fetchSite: nil, origin: "https://alpha.example.com").answer?.status == 302)
    }

    @Test("Signing out everywhere ends all that was begun before, and the page says by when")
    func everywhere() throws {
        let bench = try LoginBench()
        var browser = Browser(), other = Browser()
        _ = try session(bench, &browser)
        _ = try session(bench, &other)
        bench.now = bench.now.advanced(by: 10)
        guard case .signOut(let answer, _, let ended) = bench.serve(.signOut, browser, query: "everywhere=1", method: .post) else { Issue.record("no"); return }
        browser.take(answer, at: bench.now)
        bench.revocation = Revocation(ended)
        #expect(bench.decide(other).absence == .ended(.revoked))
        let page = try #require(bench.serve(.signedOut, browser).answer)
        #expect(page.status == 200 && page.text.contains("within 1 day of their beginning"))
        browser.take(page, at: bench.now)
        #expect(browser.count(prefix: "__Host-gw") == 0)
        // A new login, and the programs' new tokens, are good.
        bench.now = bench.now.advanced(by: 5)
        bench.login(&browser)
        #expect(bench.decide(browser).grant != nil)
    }

    @Test("Other providers are signed out of by RP-initiated logout, or not at all", arguments: [
        (ProviderEndpoints.SignOut.relyingPartyInitiated(url: "https://op.example/end?x=1"),
         "https://op.example/end?x=1&client_id=client-browser&post_logout_redirect_uri=https%3A%2F%2Falpha.example.com%2Foauth2%2Fsigned_out"),
        (.none, "/oauth2/signed_out"),
    ])
    func otherSignOut(kind: ProviderEndpoints.SignOut, location: String) throws {
        let endpoints = ProviderEndpoints(authorizationURL: "https://op.example/a", tokenURL: "https://op.example/t", revocationURL: nil, signOut: kind)
        let bench = try LoginBench(LoginBench.rules(isCognito: false, endpoints: endpoints))
        #expect(bench.serve(.signOut, method: .post).answer?.location == location)
    }

    @Test("Every page is whole HTML with a strict policy, escapes what it shows, and names the request")
    func pages() throws {
        let bench = try LoginBench()
        var browser = Browser()
        var tokens = LoginBench.Tokens()
        tokens.idChanges = [("cognito:username", "\"<img src=x onerror=alert(1)>\"")]
        tokens.accessChanges = [("username", "\"<img src=x onerror=alert(1)>\"")]
        bench.login(&browser, tokens)
        guard case .refused(let refusal, let grant) = bench.decide(browser, route: RoutePolicy(name: "<b>", groups: ["<i>"])) else { Issue.record("no"); return }
        let request = LoginBench.request("/x", browser.sent(at: bench.now))
        let pages = [
            bench.flow.refusal(request, refusal, grant), bench.flow.crossSiteRefusal(request), bench.flow.providerUnavailable(request), bench.flow.unknownPath(request),
            bench.flow.challenge(request, .tooManyCookies), bench.serve(.signedOut).answer!, bench.serve(.signOut, fetchSite: nil).answer!, bench.serve(.callback).answer!,
        ]
        for page in pages {
            #expect(page.text.hasPrefix("<!doctype html>") && page.text.contains("</html>") && page.text.contains("0193-request") && page.text.contains("lang=\"en\""))
            #expect(!page.text.contains("<img") && !page.text.contains("<b>") && !page.text.contains("<i>") && !page.text.contains("<script"))
            #expect(page.values("content-security-policy").first?.hasPrefix("default-src 'none'") == true && page.values("x-content-type-options") == ["nosniff"])
        }
    }
}
