internal import GatewayTerms

/// The way to the provider: who may be led there, with what, and when it has become a loop.
extension AuthorizationCodeFlow {
    /// The answer to a request without a login (D1): a person is led to the provider, a program is told.
    ///
    /// It takes no cookie away: a request that was sent with an old session may be answered after another tab has logged in anew, and
    /// would take the new one. A login replaces what is there.
    /// - Parameter ended: of `RefreshOutcome.ended`, which alone has cookies to clear.
    package func challenge(_ request: LoginRequest, _ absence: LoginAbsence, ended: CookieUpdate? = nil) -> LoginAnswer {
        let cookies = ended?.lines(at: now) ?? []
        guard absence != .tooManyCookies else {
            return request.requestClass == .navigation
                ? tooManyCookies(request)
                : problem(request, 431, code: absence.code, "The request carries more than \(LoginCookies.countMax) cookies, so that no login can be found among them.")
        }
        guard request.requestClass == .navigation else { return isForm(request) ? formRefusal(request, cookies) : loginRequired(request, cookies) }
        return begin(request, target: ReturnTarget(bytes: request.target), absence, cookies)
    }

    /// A form that a person sent, by the word of a browser that says so: its answer fills the window.
    private func isForm(_ request: LoginRequest) -> Bool { request.wantsPage && request.fetchSite != nil }

    /// What a form without a login gets instead of the JSON for programs. One of another site would come again without the cookie, which
    /// browsers keep back from it (SameSite=Lax), however often its sender logged in.
    private func formRefusal(_ request: LoginRequest, _ cookies: [String]) -> LoginAnswer {
        CrossSiteRule.isSameOrigin(fetchSite: request.fetchSite, origin: request.origin, publicURL: rules.publicURL)
            ? pages(request).formWithoutLogin(cookies: cookies)
            : pages(request).crossSite()
    }

    /// 403 for a request that another site's page may have made (D13).
    package func crossSiteRefusal(_ request: LoginRequest) -> LoginAnswer {
        if request.wantsPage { return pages(request).crossSite() }
        return problem(request, 403, code: "origin_refused", "The request comes from a page of another origin, which may not use your login here.")
    }

    /// 403 for a caller who is logged in, and whom the route's policy does not let pass; it says which rule (C10).
    package func refusal(_ request: LoginRequest, _ refusal: BearerRefusal, _ grant: LoginGrant, newCookies: CookieUpdate? = nil) -> LoginAnswer {
        let cookies = newCookies?.lines(at: now) ?? []
        if request.wantsPage { return pages(request).forbidden(refusal, grant, cookies: cookies) }
        return problem(request, 403, code: refusal.code, LoginPages.sentence(refusal, rules), cookies: cookies)
    }

    /// 503 while the provider cannot be asked and the session is over: never a redirect, which would only meet the same provider.
    package func providerUnavailable(_ request: LoginRequest) -> LoginAnswer {
        let fields = [LoginAnswer.Field("retry-after", "5")]
        if request.wantsPage { return pages(request).providerUnavailable(fields) }
        return problem(
            request, 503, code: "provider_unavailable", fields: fields,
            "Your login has to be renewed, and the identity provider of \(rules.stage) does not answer at the moment. You are still logged in; try again shortly.")
    }

    /// Where a person begins a login that leads to `target`, or to `/` where that is no place on this host.
    package static func startAddress(backTo target: String) -> String {
        "\(LoginPath.start.rawValue)?rd=\(PercentText.encode(ReturnTarget(target).text))"
    }

    func start(_ request: LoginRequest) -> LoginAnswer {
        guard request.method == .get || request.method == .head else { return wrongMethod(request, "GET, HEAD") }
        guard request.requestClass == .navigation else { return loginRequired(request, []) }
        let target: ReturnTarget = switch QueryParameters(request.query)["rd"] {
        case .one(let text): ReturnTarget(bytes: text)
        case .absent, .many: .root
        }
        switch decide(request.cookies, route: Self.anyone) {
        case .allowed, .refused: return .redirect(to: target.text, cookies: [], code: "login_present")
        case .refreshFirst: return begin(request, target: target, .ended(.expired), [])
        case .providerUnavailable: return providerUnavailable(request)
        case .none(let absence): return begin(request, target: target, absence, [])
        }
    }

    /// No demand beyond a login.
    static let anyone = RoutePolicy(name: "login")

    private func begin(_ request: LoginRequest, target: ReturnTarget, _ absence: LoginAbsence, _ clearing: [String]) -> LoginAnswer {
        if absence == .tooManyCookies { return tooManyCookies(request) }
        guard let endpoints = rules.endpoints(surroundings) else {
            return pages(request).providerUnavailable([LoginAnswer.Field("retry-after", "5")])
        }
        var cookies = clearing
        if var recent = recentLogins(request) {
            recent.starts += 1
            if recent.starts > RecentLogins.startsMax { return pages(request).loop(recent, absence, cookies: loopClearing(request)) }
            cookies += recentLine(recent)
        }
        let transaction = LoginTransaction.begin(target: target, at: now, random: random)
        guard let value = authenticator.seal(transaction.record, as: transaction.cookieName, rules, surroundings, random: random) else {
            return pages(request).internalMistake()
        }
        cookies += removals(making: transaction.cookieName.utf8.count + value.count, request)
        cookies.append(SetCookie.line(transaction.cookieName, value, maxAge: LoginTransaction.lifetimeSeconds))
        return .redirect(to: authorizationURL(endpoints, transaction), cookies: cookies, code: "login_started")
    }

    private func authorizationURL(_ endpoints: ProviderEndpoints, _ transaction: LoginTransaction) -> String {
        let challenge = Base64URL.encode(LoginDigest.sha256(transaction.verifier.span).span)
        return Self.url(endpoints.authorizationURL, [
            ("response_type", "code"), ("client_id", rules.clientID), ("redirect_uri", rules.redirectURI), ("scope", rules.scopes.joined(separator: " ")),
            ("state", transaction.state), ("nonce", String(decoding: transaction.nonce, as: UTF8.self)),
            ("code_challenge", String(decoding: challenge, as: UTF8.self)), ("code_challenge_method", "S256"),
        ])
    }

    static func url(_ base: String, _ parameters: [(String, String)]) -> String {
        base + (base.contains("?") ? "&" : "?") + parameters.map { "\($0.0)=\(PercentText.encode($0.1))" }.joined(separator: "&")
    }

    /// Room for one more transaction: what cannot be read or is too old goes, then the oldest, until number and bytes are in their limits.
    private func removals(making bytes: Int, _ request: LoginRequest) -> [String] {
        var removed: [String] = []
        var kept: [(name: String, bytes: Int, startedAt: WallTime, position: Int)] = []
        for cookie in request.cookies.transactions where !removed.contains(cookie.name) {
            guard let transaction = transaction(cookie), !transaction.isExpired(at: now), !kept.contains(where: { $0.name == cookie.name }) else {
                removed.append(cookie.name)
                continue
            }
            kept.append((cookie.name, cookie.name.utf8.count + cookie.value.count, transaction.startedAt, kept.count))
        }
        // Tabs that open together begin in the same second; of those, browsers send the older cookie first (RFC 6265 §5.4).
        kept.sort { ($0.startedAt, $0.position) > ($1.startedAt, $1.position) }
        var total = bytes
        for (position, cookie) in kept.enumerated() {
            total += cookie.bytes
            if position + 2 > LoginTransaction.countMax || total > LoginTransaction.bytesMax { removed.append(cookie.name) }
        }
        return removed.map { SetCookie.removal($0) }
    }

    func transaction(_ cookie: LoginCookies.Transaction) -> LoginTransaction? {
        guard let record = authenticator.open(cookie.value, as: cookie.name, rules, surroundings), let transaction = LoginTransaction(record: record),
              transaction.cookieName.hasSameBytes(as: cookie.name) else { return nil }
        return transaction
    }

    // MARK: - Loop guard (D15)

    func recentLogins(_ request: LoginRequest) -> RecentLogins? {
        guard let value = request.cookies.recent, let record = authenticator.open(value, as: LoginCookieName.recent, rules, surroundings),
              let recent = RecentLogins(record: record), now < recent.since.advanced(by: RecentLogins.windowSeconds) else { return nil }
        return recent
    }

    func recentLine(_ recent: RecentLogins) -> [String] {
        let left = recent.since.advanced(by: RecentLogins.windowSeconds).seconds - now.seconds
        guard let value = authenticator.seal(recent.record, as: LoginCookieName.recent, rules, surroundings, random: random) else { return [] }
        return [SetCookie.line(LoginCookieName.recent, value, maxAge: left)]
    }

    /// A fresh beginning after the loop page: nothing of ours is left.
    private func loopClearing(_ request: LoginRequest) -> [String] {
        clearingEverything(request) + [SetCookie.removal(LoginCookieName.recent)]
    }

    // MARK: - Answers that several paths give

    func clearingEverything(_ request: LoginRequest) -> [String] {
        (0..<LoginCookieName.sessionPartsMax).map { SetCookie.removal(LoginCookieName.sessionPart($0)) } + clearingTransactions(request)
    }

    func clearingTransactions(_ request: LoginRequest) -> [String] { request.cookies.transactionNames.map { SetCookie.removal($0) } }

    /// Many tabs that start at once, each before the others' cookies are there, can be the cause: that much is cleared here.
    func tooManyCookies(_ request: LoginRequest) -> LoginAnswer { pages(request).tooManyCookies(cookies: clearingTransactions(request)) }

    /// The login's address leads to the start page: where a program was is no place for a person.
    func loginRequired(_ request: LoginRequest, _ cookies: [String]) -> LoginAnswer {
        let body = JSONText.object { object in
            object.member("message", "This needs a login. Open login_url in the browser, then try again.")
            object.member("code", "login_required")
            object.member("login_url", "\(LoginPath.start.rawValue)?rd=%2F")
            object.member("request_id", request.requestID)
        }
        return .json(401, body, fields: [LoginAnswer.Field("www-authenticate", "Session")], cookies: cookies, code: "login_required")
    }

    func wrongMethod(_ request: LoginRequest, _ allowed: String) -> LoginAnswer {
        problem(request, 405, code: "method_not_allowed", fields: [LoginAnswer.Field("allow", allowed)], "This path answers \(allowed) only.")
    }

    func problem(
        _ request: LoginRequest, _ status: Int, code: String, fields: [LoginAnswer.Field] = [], _ message: String, cookies: [String] = []
    ) -> LoginAnswer {
        let body = JSONText.object { object in
            object.member("message", message)
            object.member("code", code)
            object.member("request_id", request.requestID)
        }
        return .json(status, body, fields: fields, cookies: cookies, code: code)
    }

    func pages(_ request: LoginRequest) -> LoginPages { LoginPages(rules: rules, requestID: request.requestID, now: now) }
}
