internal import GatewayTerms

/// What verified tokens say about a person: the only way from a token endpoint's answer into a login session.
struct TokenFacts {
    var subject: String
    var username: String?
    var email: String?
    var groups: [String]
    var scopes: [String]?
    var claims: [String: [String]]
    var originTokenID: String?
    var authenticatedAt: WallTime?
    var issuedAt: WallTime
    var expiresAt: WallTime

    func apply(to session: inout LoginSession, refreshToken: Secret?, now: WallTime) {
        session.username = username
        session.email = email
        session.groups = groups
        session.groupsAreTruncated = false
        if let scopes { session.scopes = scopes }
        session.claims = claims
        if let originTokenID { session.originTokenID = originTokenID }
        if let authenticatedAt { session.authenticatedAt = authenticatedAt }
        let moment = WallTime(seconds: now.seconds)
        session.refreshedAt = moment
        session.usedAt = moment
        session.expiresAt = expiresAt
        // Where the provider does not rotate, the old one stays (RFC 6749 §6).
        if let refreshToken { session.refreshToken = refreshToken }
    }
}

extension AuthorizationCodeFlow {
    enum Expectation {
        case login(nonce: [UInt8])
        case refresh(LoginSession)
    }

    /// Why a provider's tokens are not accepted. Told to nobody but the log.
    enum TokenRefusal: Sendable, Equatable {
        case token(BearerRefusal)
        case revoked
        case noIDToken
        case notAnIDToken
        case wrongNonce
        case wrongAccessTokenHash
        case otherSubject
        case expired

        var code: String {
            switch self {
            case .token(let refusal): refusal.code
            case .revoked: "token_revoked"
            case .noIDToken: "id_token_missing"
            case .notAnIDToken: "id_token_of_another_use"
            case .wrongNonce: "nonce_mismatch"
            case .wrongAccessTokenHash: "at_hash_mismatch"
            case .otherSubject: "subject_mismatch"
            case .expired: "token_expired"
            }
        }
    }

    enum FactsOutcome {
        case facts(TokenFacts)
        case refused(TokenRefusal)
        case needsKeys(issuer: String, keyID: String?)
    }

    /// Verifies the ID token fully (D4): signature, issuer, audience, times, use; `nonce` at a login; `at_hash`; and that the access token
    /// is of the same person.
    func facts(of answer: TokenAnswer, expecting expectation: Expectation, refetch: RefetchState) -> FactsOutcome {
        guard let idToken = answer.idToken else { return withoutIDToken(answer, expectation) }
        let token: VerifiedToken
        switch authenticator.verify(idToken, rules, surroundings) {
        case .verified(let verified): token = verified
        case .refused(let refusal): return .refused(.token(refusal))
        case .keyMissing(let issuer, let keyID): return keyMissing(issuer, keyID, refetch)
        }
        let identity: Identity
        switch TokenPolicy.verdict(
            on: token, reading: StageReading(of: token, in: rules.tokenRules, beginsLogin: true), route: RoutePolicy(name: "login"), address: nil, revocation: surroundings.revocation, now: now
        ) {
        case .allowed(let allowed): identity = allowed
        case .refused(.revoked): return .refused(.revoked)
        case .refused(let refusal): return .refused(.token(refusal))
        }
        guard identity.tokenUse == .id else { return .refused(.notAnIDToken) }
        switch expectation {
        case .login(let nonce):
            guard let said = token.claims.nonce, Array(said.utf8) == nonce else { return .refused(.wrongNonce) }
        case .refresh(let session):
            guard identity.subject.hasSameBytes(as: session.subject) else { return .refused(.otherSubject) }
        }
        guard hasRightHash(token.claims, answer.accessToken) else { return .refused(.wrongAccessTokenHash) }

        var facts = TokenFacts(
            subject: identity.subject, username: identity.username, email: identity.email, groups: identity.groups, scopes: nil,
            claims: identity.claims, originTokenID: identity.originTokenID, authenticatedAt: token.claims.authenticatedAt, issuedAt: token.claims.issuedAt ?? now,
            expiresAt: identity.expiresAt)
        switch accessTokenClaims(answer.accessToken, refetch) {
        case .facts(let access):
            guard access.subject.hasSameBytes(as: facts.subject) else { return .refused(.otherSubject) }
            facts.scopes = access.scopes
            facts.originTokenID = facts.originTokenID ?? access.originTokenID
            facts.username = facts.username ?? access.username
            // What the ID token does not have, the access token may.
            facts.claims.merge(access.claims) { said, also in said.isEmpty ? also : said }
            facts.expiresAt = min(facts.expiresAt, access.expiresAt)
        case .refused(let refusal) where rules.isCognito: return .refused(refusal)
        case .needsKeys(let issuer, let keyID) where rules.isCognito: return .needsKeys(issuer: issuer, keyID: keyID)
        case .refused, .needsKeys:
            // An access token that is opaque, or meant for others' eyes, says nothing here; `at_hash` binds it where there is one.
            facts.scopes = answer.scope.map(Self.words) ?? rules.scopes
        }
        guard facts.expiresAt > now else { return .refused(.expired) }
        return .facts(facts)
    }

    /// OpenID Connect Core §12.2: an answer to a refresh need not have an ID token; then the person stays who they were.
    private func withoutIDToken(_ answer: TokenAnswer, _ expectation: Expectation) -> FactsOutcome {
        guard case .refresh(let session) = expectation, !rules.isCognito else { return .refused(.noIDToken) }
        let life = min(max(answer.expiresIn ?? 300, 1), 86_400)
        return .facts(TokenFacts(
            subject: session.subject, username: session.username, email: session.email, groups: session.groups,
            scopes: answer.scope.map(Self.words), claims: session.claims, originTokenID: session.originTokenID, authenticatedAt: session.authenticatedAt,
            issuedAt: now, expiresAt: now.advanced(by: life)))
    }

    /// The access token, where it is a JWT that we can read: verified like any other.
    private func accessTokenClaims(_ token: Secret, _ refetch: RefetchState) -> FactsOutcome {
        switch authenticator.verify(token, rules, surroundings) {
        case .verified(let token):
            if rules.isCognito {
                switch TokenPolicy.verdict(
                    on: token, reading: StageReading(of: token, in: rules.tokenRules, beginsLogin: true), route: RoutePolicy(name: "login"), address: nil,
                    revocation: surroundings.revocation, now: now
                ) {
                case .allowed(let identity) where identity.tokenUse == .access: break
                case .allowed: return .refused(.token(.wrongTokenUse(.id)))
                case .refused(.revoked): return .refused(.revoked)
                case .refused(let refusal): return .refused(.token(refusal))
                }
            }
            let claims = token.claims
            return .facts(TokenFacts(
                subject: claims.subject, username: claims.username, email: claims.email, groups: [], scopes: claims.scopes,
                claims: claims.values(of: rules.tokenRules.claimNames), originTokenID: claims.originTokenID, authenticatedAt: nil, issuedAt: claims.issuedAt ?? now, expiresAt: claims.expiresAt))
        case .refused(let refusal):
            return .refused(.token(refusal))
        case .keyMissing(let issuer, let keyID):
            return keyMissing(issuer, keyID, refetch)
        }
    }

    private func keyMissing(_ issuer: String, _ keyID: String?, _ refetch: RefetchState) -> FactsOutcome {
        switch refetch {
        case .notTried: .needsKeys(issuer: issuer, keyID: keyID)
        case .done: .refused(.token(keyID.map { .unknownKey(keyID: $0) } ?? .undecidable(.noKeySet)))
        case .throttled: .refused(.token(.undecidable(.refetchThrottled)))
        case .failed: .refused(.token(.undecidable(.refetchFailed)))
        }
    }

    /// OpenID Connect Core §3.1.3.6: the left half of the access token's SHA-256. Cognito always says it; others may leave it out, and
    /// then their ID token speaks by coming straight from their token endpoint.
    private func hasRightHash(_ claims: TokenClaims, _ accessToken: Secret) -> Bool {
        guard let said = claims.accessTokenHash else { return !rules.isCognito }
        let half = Array(accessToken.withBytes { LoginDigest.sha256($0) }.prefix(16))
        return Array(said.utf8) == Base64URL.encode(half.span)
    }

    private static func words(_ scope: String) -> [String] {
        scope.utf8.count <= TokenClaims.scopesBytesMax ? scope.split(separator: " ").map(String.init) : []
    }
}
