internal import GatewayTerms

/// A login that waits for the provider to redeem its code.
package struct PendingLogin: Sendable {
    package let redemption: CodeRedemption
    let transaction: LoginTransaction
}

/// The way back from the provider (D4).
extension AuthorizationCodeFlow {
    package enum RedeemedAction: Sendable {
        case answer(LoginAnswer)
        /// The ID token is signed by a key that is not at hand: refetch, then call again with what became of it.
        case needsKeys(issuer: String, keyID: String?)
    }

    static let codeBytesMax = 4096

    func callback(_ request: LoginRequest) -> LoginAction {
        guard request.method == .get || request.method == .head else { return .answer(wrongMethod(request, "GET, HEAD")) }
        let parameters = QueryParameters(request.query)
        guard case .one(let state) = parameters["state"], let id = LoginTransaction.id(state: state) else {
            return .answer(pages(request).badCallback("state_malformed"))
        }
        guard let transaction = findTransaction(id, request) else { return .answer(withoutTransaction(request)) }
        // RFC 9207 §2.4: a provider that names itself must be ours.
        switch parameters["iss"] {
        case .absent: break
        case .one(let issuer) where issuer == Array(rules.issuer.utf8): break
        case .one, .many: return .answer(pages(request).badCallback("issuer_mismatch"))
        }
        switch parameters["error"] {
        case .absent: break
        case .one(let word):
            return .answer(pages(request).providerError(Self.known(word), target: transaction.target, cookies: [SetCookie.removal(transaction.cookieName)]))
        case .many: return .answer(pages(request).badCallback("error_doubled"))
        }
        guard case .one(let code) = parameters["code"], !code.isEmpty, code.count <= Self.codeBytesMax, code.allSatisfy({ $0 >= 0x20 && $0 < 0x7f }) else {
            return .answer(pages(request).badCallback("code_malformed"))
        }
        guard let client = tokenClient else { return .answer(pages(request).providerUnavailable([LoginAnswer.Field("retry-after", "5")])) }
        return .redeem(PendingLogin(
            redemption: CodeRedemption(client: client, code: Secret(code), verifier: Secret(transaction.verifier), redirectURI: rules.redirectURI),
            transaction: transaction))
    }

    /// The transaction whose cookie carries exactly this state.
    private func findTransaction(_ id: [UInt8], _ request: LoginRequest) -> LoginTransaction? {
        let name = LoginTransaction.cookieName(id)
        for cookie in request.cookies.transactions where cookie.name.hasSameBytes(as: name) {
            if let transaction = transaction(cookie), Secret(transaction.id) == Secret(id), !transaction.isExpired(at: now) { return transaction }
        }
        return nil
    }

    /// A second tab, or the back button: where a login is, there is nothing to repair.
    private func withoutTransaction(_ request: LoginRequest) -> LoginAnswer {
        if request.cookies.hasTooMany { return tooManyCookies(request) }
        switch decide(request.cookies, route: Self.anyone) {
        case .allowed, .refused, .refreshFirst, .providerUnavailable: return .redirect(to: ReturnTarget.root.text, cookies: [], code: "login_present")
        case .none: return pages(request).interrupted()
        }
    }

    /// What the provider's answer to the code makes of the login.
    /// - Parameter refetch: `.notTried` at first; after `.needsKeys`, what became of it.
    package func redeemed(
        _ pending: PendingLogin, _ result: Result<TokenAnswer, TokenEndpointFault>, _ request: LoginRequest, refetch: RefetchState = .notTried
    ) -> RedeemedAction {
        let answer: TokenAnswer
        switch result {
        case .success(let tokens): answer = tokens
        case .failure(.grantRefused): return .answer(pages(request).codeRefused(pending.transaction.target))
        case .failure(.unavailable): return .answer(pages(request).providerUnavailable([LoginAnswer.Field("retry-after", "5")], target: pending.transaction.target))
        case .failure(.requestRefused): return .answer(pages(request).providerMistake("token_request_refused", pending.transaction.target))
        case .failure(.malformed): return .answer(pages(request).providerMistake("token_answer_malformed", pending.transaction.target))
        }
        switch facts(of: answer, expecting: .login(nonce: pending.transaction.nonce), refetch: refetch) {
        case .needsKeys(let issuer, let keyID): return .needsKeys(issuer: issuer, keyID: keyID)
        case .refused(let refusal): return .answer(pages(request).providerMistake(refusal.code, pending.transaction.target))
        case .facts(let facts): return .answer(loggedIn(facts, answer, pending.transaction, request))
        }
    }

    private func loggedIn(_ facts: TokenFacts, _ answer: TokenAnswer, _ transaction: LoginTransaction, _ request: LoginRequest) -> LoginAnswer {
        let moment = WallTime(seconds: now.seconds)
        var session = LoginSession(
            id: random(LoginSession.idBytes), subject: facts.subject, username: facts.username, email: facts.email, groups: facts.groups,
            scopes: facts.scopes ?? [], claims: facts.claims, originTokenID: facts.originTokenID, authenticatedAt: facts.authenticatedAt, createdAt: moment, refreshedAt: moment,
            usedAt: moment, expiresAt: facts.expiresAt, refreshToken: answer.refreshToken)
        guard let sealed = seal(&session, clearing: Array(0..<LoginCookieName.sessionPartsMax)) else { return pages(request).doesNotFit() }
        var recent = recentLogins(request) ?? RecentLogins(
            starts: 0, since: moment, completedAt: moment, parts: 0, bytes: 0, issuedAt: facts.issuedAt, expiresAt: facts.expiresAt)
        recent.completedAt = moment
        recent.bytes = UInt64(sealed.bytes)
        recent.parts = UInt64(SetCookie.partsNeeded(sealed.bytes))
        recent.issuedAt = facts.issuedAt
        recent.expiresAt = facts.expiresAt
        return .redirect(
            to: transaction.target.text, cookies: sealed.lines + clearingTransactions(request) + recentLine(recent),
            code: sealed.truncation == .none ? "login_completed" : "login_completed_session_truncated")
    }

    /// RFC 6749 §4.1.2.1 and OpenID Connect Core §3.1.2.6; what is not on the list is nobody's text to repeat.
    private static func known(_ word: [UInt8]) -> String {
        for known in [
            "access_denied", "invalid_request", "unauthorized_client", "unsupported_response_type", "invalid_scope", "server_error", "temporarily_unavailable",
            "interaction_required", "login_required", "account_selection_required", "consent_required",
        ] where Array(known.utf8) == word { return known }
        return "unknown_error"
    }
}
