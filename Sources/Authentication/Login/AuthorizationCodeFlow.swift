package import GatewayTerms

/// The browser's login, OpenID Connect's authorization-code flow (RFC 6749 §4.1, RFC 7636), as decisions: what a request says and what is
/// current goes in, what to do comes out. A value per request; it holds no bytes of the request and never waits.
///
///     challenge ─302─► provider ─302─► callback ──redeem──► redeemed ─302─► where the person wanted to go
///     decide ──► allowed | refreshFirst ──refresh──► refreshed ──► allowed | ended ──► challenge
package struct AuthorizationCodeFlow {
    let authenticator: LoginAuthenticator
    let rules: LoginRules
    let surroundings: LoginSurroundings
    /// The client's, for policies that ask for it; where it is not known they refuse.
    let address: IPAddress?
    let random: RandomBytes

    /// - Parameter random: bytes that nobody can guess.
    package init(
        authenticator: LoginAuthenticator, rules: LoginRules, surroundings: LoginSurroundings, from address: IPAddress? = nil, random: @escaping RandomBytes
    ) {
        self.authenticator = authenticator
        self.rules = rules
        self.surroundings = surroundings
        self.address = address
        self.random = random
    }

    var now: WallTime { surroundings.now }

    // MARK: - Requests to routes

    /// Whether these cookies let a request to a route pass. Ask `CrossSiteRule` first where the method is not safe or the request switches
    /// protocols.
    /// - Parameter route: the policy of the matched route.
    package func decide(_ cookies: LoginCookies, route: RoutePolicy) -> LoginDecision {
        switch authenticator.open(cookies, rules, surroundings) {
        case .absent(let absence): return .none(absence)
        case .opened(let session, let identity): return decide(session, identity, cookies, route)
        }
    }

    private func decide(_ session: LoginSession, _ identity: Identity, _ cookies: LoginCookies, _ route: RoutePolicy) -> LoginDecision {
        if surroundings.revocation.revokes(identity, now: now) != nil { return .none(.ended(.revoked)) }
        var pending: PendingRefresh?
        var update: CookieUpdate?
        switch RefreshDecision(session, lifetimes: rules.lifetimes, now: now) {
        case .ended(let end):
            return .none(.ended(end))
        case .blocking:
            return pendingRefresh(session, cookies).map { .refreshFirst($0) } ?? .providerUnavailable
        case .ahead:
            pending = pendingRefresh(session, cookies)
        case .none:
            if rules.lifetimes.wantsTouch(session, at: now) { update = touch(session, cookies) }
        }
        let grant = LoginGrant(identity: identity, session: session, endsAt: rules.lifetimes.end(of: session), update: update, refreshAhead: pending)
        if let refusal = route.refusal(of: identity, from: address) { return .refused(refusal, grant) }
        return .allowed(grant)
    }

    /// The same session with a later last request.
    private func touch(_ session: LoginSession, _ cookies: LoginCookies) -> CookieUpdate? {
        var touched = session
        touched.usedAt = WallTime(seconds: now.seconds)
        guard let sealed = seal(&touched, clearing: cookies.sessionPartsSent) else { return nil }
        return CookieUpdate(lines: sealed.lines, validUntil: now.advanced(by: LoginLifetimes.touchValidSeconds))
    }

    // MARK: - Refresh

    func pendingRefresh(_ session: LoginSession, _ cookies: LoginCookies) -> PendingRefresh? {
        guard let token = session.refreshToken, let client = tokenClient else { return nil }
        return PendingRefresh(grant: RefreshGrant(client: client, token: token), session: session, sentParts: cookies.sessionPartsSent)
    }

    var tokenClient: TokenClient? {
        rules.endpoints(surroundings).map { endpoints in
            TokenClient(
                tokenURL: endpoints.tokenURL, revocationURL: endpoints.revocationURL, clientID: rules.clientID, clientSecret: rules.clientSecret,
                caFile: rules.caFile)
        }
    }

    /// What the provider's answer makes of the session (D9).
    /// - Parameters:
    ///   - route: the policy of the matched route.
    ///   - refetch: `.notTried` at first; after `.needsKeys`, what became of it.
    package func refreshed(
        _ pending: PendingRefresh, _ result: Result<TokenAnswer, TokenEndpointFault>, route: RoutePolicy, refetch: RefetchState = .notTried
    ) -> RefreshOutcome {
        let answer: TokenAnswer
        switch result {
        case .success(let tokens): answer = tokens
        case .failure(.grantRefused): return .ended(clearing(pending.sentParts))
        case .failure(.requestRefused), .failure(.unavailable), .failure(.malformed): return .unavailable
        }
        var session = pending.session
        switch facts(of: answer, expecting: .refresh(session), refetch: refetch) {
        case .needsKeys(let issuer, let keyID): return .needsKeys(issuer: issuer, keyID: keyID)
        case .refused(.otherSubject), .refused(.revoked): return .ended(clearing(pending.sentParts))
        case .refused: return .unavailable
        case .facts(let facts): facts.apply(to: &session, refreshToken: answer.refreshToken, now: now)
        }
        guard let sealed = seal(&session, clearing: pending.sentParts) else { return .unavailable }
        let identity = rules.identity(of: session)
        // Signed out in the meantime.
        if surroundings.revocation.revokes(identity, now: now) != nil { return .ended(clearing(pending.sentParts)) }
        let grant = LoginGrant(
            identity: identity, session: session, endsAt: rules.lifetimes.end(of: session),
            update: CookieUpdate(lines: sealed.lines, validUntil: now.advanced(by: LoginLifetimes.refreshValidSeconds)), refreshAhead: nil)
        if let refusal = route.refusal(of: identity, from: address) { return .refused(refusal, grant) }
        return .renewed(grant)
    }

    private func clearing(_ parts: [Int]) -> CookieUpdate {
        CookieUpdate(lines: parts.map { SetCookie.removal(LoginCookieName.sessionPart($0)) }, validUntil: now.advanced(by: LoginLifetimes.refreshValidSeconds))
    }

    // MARK: - Sealing

    struct SealedSession {
        let lines: [String]
        let bytes: Int
        let truncation: LoginSession.Truncation
    }

    /// The session's cookies, within their budget; the session is shortened where it must be. Nil where it does not fit at all, or where
    /// there is nothing to seal with.
    func seal(_ session: inout LoginSession, clearing parts: [Int]) -> SealedSession? {
        guard let key = surroundings.keyRing.sealingKey(at: now) else { return nil }
        let bytesMax = SetCookie.sessionValueBytesMax * LoginCookieName.sessionPartsMax
        let recordBytesMax = (bytesMax - CookieSealer.valueBytes(recordBytes: 0, keyID: key.id)) * 3 / 4 - 3
        let truncation = session.truncate(recordBytesMax: recordBytesMax, named: rules.forwardedGroups)
        guard truncation != .impossible else { return nil }
        let record = session.record
        let count = SetCookie.partsNeeded(CookieSealer.valueBytes(recordBytes: record.count, keyID: key.id))
        guard let value = authenticator.seal(record, as: LoginCookieName.session, rules, surroundings, random: random, count: count) else { return nil }
        let maxAge = rules.lifetimes.end(of: session).seconds - now.seconds
        return SealedSession(
            lines: SetCookie.sessionLines(value, maxAge: maxAge, clearing: parts), bytes: value.count, truncation: truncation)
    }
}
