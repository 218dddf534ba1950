internal import GatewayTerms

/// What to do for a request to one of the login's own paths.
package enum LoginAction: Sendable {
    case answer(LoginAnswer)
    /// Redeem the code, then `redeemed`; at most five seconds.
    case redeem(PendingLogin)
    /// Refresh the session, then `refreshed` with `AuthorizationCodeFlow.ownPaths`, then `renewed`; at most three seconds.
    case refresh(PendingRefresh)
    /// Answer; and tell the port to revoke and of the logins that ended, without waiting.
    case signOut(LoginAnswer, revoking: RefreshGrant?, ended: [Revocation.Entry])
}

/// The login's own paths (D2).
extension AuthorizationCodeFlow {
    /// The policy of the login's own paths: anybody who is logged in.
    package static let ownPaths = anyone

    package func serve(_ path: LoginPath, _ request: LoginRequest) -> LoginAction {
        switch path {
        case .start: .answer(start(request))
        case .callback: callback(request)
        case .session: session(request)
        case .refresh: refresh(request)
        case .signOut: signOut(request)
        case .signedOut: .answer(signedOut(request))
        }
    }

    /// Nothing of ours stands under this path of `/oauth2`.
    package func unknownPath(_ request: LoginRequest) -> LoginAnswer {
        if request.wantsPage { return pages(request).unknownPath() }
        return problem(request, 404, code: "no_route", "Nothing is served under this path.")
    }

    // MARK: - session and refresh

    private func session(_ request: LoginRequest) -> LoginAction {
        guard request.method == .get || request.method == .head else { return .answer(wrongMethod(request, "GET, HEAD")) }
        return switch decide(request.cookies, route: Self.ownPaths) {
        case .allowed(let grant), .refused(_, let grant): .answer(describe(grant))
        case .refreshFirst(let pending): .refresh(pending)
        case .providerUnavailable: .answer(providerUnavailable(request))
        case .none: .answer(loginRequired(request, []))
        }
    }

    private func refresh(_ request: LoginRequest) -> LoginAction {
        guard request.method == .post else { return .answer(wrongMethod(request, "POST")) }
        guard CrossSiteRule.allows(method: .post, hasUpgrade: false, fetchSite: request.fetchSite, origin: request.origin, publicURL: rules.publicURL) else {
            return .answer(crossSiteRefusal(request))
        }
        switch decide(request.cookies, route: Self.ownPaths) {
        case .allowed(let grant), .refused(_, let grant):
            guard let pending = pendingRefresh(grant.session, request.cookies) else {
                return .answer(problem(request, 409, code: "not_renewable", "This login cannot be renewed before its end. Log in again then."))
            }
            return .refresh(pending)
        case .refreshFirst(let pending): return .refresh(pending)
        case .providerUnavailable: return .answer(providerUnavailable(request))
        case .none: return .answer(loginRequired(request, []))
        }
    }

    /// The answer to `session` or `refresh` after the provider was asked; nil for `.needsKeys`, which the caller follows first.
    package func renewed(_ outcome: RefreshOutcome, _ request: LoginRequest) -> LoginAnswer? {
        switch outcome {
        case .renewed(let grant), .refused(_, let grant): describe(grant)
        case .ended(let update): loginRequired(request, update.lines(at: now))
        case .unavailable: providerUnavailable(request)
        case .needsKeys: nil
        }
    }

    /// Who is logged in and until when; never a token (D2).
    private func describe(_ grant: LoginGrant) -> LoginAnswer {
        let session = grant.session
        let body = JSONText.object { object in
            object.member("subject", session.subject)
            if let username = session.username { object.member("username", username) }
            if let email = session.email { object.member("email", email) }
            object.member("groups", session.groups)
            object.member("groups_truncated", json: "\(session.groupsAreTruncated)")
            object.member("expires_at", session.expiresAt.seconds)
            object.member("login_ends_at", grant.endsAt.seconds)
            object.member("renewable", json: "\(session.refreshToken != nil)")
            object.member("stage", rules.stage)
            object.member("sign_out_url", LoginPath.signOut.rawValue)
        }
        return .json(200, body, cookies: grant.update?.lines(at: now) ?? [], code: "session")
    }

    // MARK: - sign_out and signed_out (D11)

    private func signOut(_ request: LoginRequest) -> LoginAction {
        guard request.method == .get || request.method == .post else { return .answer(wrongMethod(request, "GET, POST")) }
        guard CrossSiteRule.isSameOrigin(fetchSite: request.fetchSite, origin: request.origin, publicURL: rules.publicURL) else {
            // A link from elsewhere, or a browser that does not say: the person is asked, and the button is a POST of our own page.
            guard request.method == .get, request.requestClass == .navigation else { return .answer(crossSiteRefusal(request)) }
            return .answer(pages(request).confirmSignOut(providerOrigin: signOutOrigin, everywhere: isEverywhere(request)))
        }
        var cookies = clearingEverything(request) + [SetCookie.removal(LoginCookieName.recent)]
        var grant: RefreshGrant?
        var ended: [Revocation.Entry] = []
        if case .opened(let session, _) = authenticator.open(request.cookies, rules, surroundings) {
            if let token = session.refreshToken, let client = tokenClient { grant = RefreshGrant(client: client, token: token) }
            ended = endings(of: session, everywhere: isEverywhere(request))
            if isEverywhere(request) {
                // Another instance that is not told goes on renewing what it knows, until that login's end.
                cookies.append(SetCookie.line(LoginCookieName.signedOut, Array(String(rules.lifetimes.lifetimeSeconds).utf8), maxAge: 300))
            }
        }
        return .signOut(.redirect(to: signOutURL, cookies: cookies, code: "signed_out"), revoking: grant, ended: ended)
    }

    private func isEverywhere(_ request: LoginRequest) -> Bool { QueryParameters(request.query)["everywhere"] == .one([UInt8(ascii: "1")]) }

    /// This login by its id; and for `everywhere`, all that the person began before now, here and at programs.
    private func endings(of session: LoginSession, everywhere: Bool) -> [Revocation.Entry] {
        let end = session.createdAt.advanced(by: rules.lifetimes.lifetimeSeconds)
        var entries = [Revocation.Entry(kind: .tokenID, value: session.idText, issuer: rules.issuer, until: end)]
        if everywhere {
            // As long as what was given before can be refreshed.
            let until = now.advanced(by: max(rules.lifetimes.lifetimeSeconds, Revocation.refreshableSeconds))
            entries.append(Revocation.Entry(
                kind: .subjectNotBefore, value: session.subject, issuer: rules.issuer, until: until, notBefore: WallTime(seconds: now.seconds)))
        }
        return entries
    }

    private var signedOutURL: String { rules.publicURL + LoginPath.signedOut.rawValue }

    private var signOutURL: String {
        switch rules.endpoints(surroundings)?.signOut {
        case .cognito(let url)?: Self.url(url, [("client_id", rules.clientID), ("logout_uri", signedOutURL)])
        case .relyingPartyInitiated(let url)?: Self.url(url, [("client_id", rules.clientID), ("post_logout_redirect_uri", signedOutURL)])
        case ProviderEndpoints.SignOut.none?, nil: LoginPath.signedOut.rawValue
        }
    }

    /// `https://host[:port]` of the provider's sign-out: a form's target also means where its answer redirects to.
    private var signOutOrigin: String? {
        let url = signOutURL
        guard let scheme = ["https://", "http://"].first(where: { url.hasPrefix($0) }) else { return nil }
        return scheme + url.dropFirst(scheme.count).prefix { $0 != "/" && $0 != "?" }
    }

    private func signedOut(_ request: LoginRequest) -> LoginAnswer {
        guard request.method == .get || request.method == .head else { return wrongMethod(request, "GET, HEAD") }
        var delay: Int64?
        if let value = request.cookies.signedOut, value.count <= 6, value.allSatisfy({ (48...57).contains($0) }) {
            delay = Int64(String(decoding: value, as: UTF8.self))
        }
        let cookies = request.cookies.signedOut == nil ? [] : [SetCookie.removal(LoginCookieName.signedOut)]
        return pages(request).signedOut(elsewhereWithin: delay, cookies: cookies)
    }
}
