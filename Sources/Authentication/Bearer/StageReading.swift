/// What a verified token is on one stage: all that follows from the token and the stage's rules alone, so that it may be
/// kept beside the token. Time, revocation and the route's policy are asked anew on every request.
struct StageReading {
    /// The issuer is not one of this stage; said before anything else about the token.
    let issuerRefusal: BearerRefusal?
    /// Use, client, audience: said after the times.
    let bindingRefusal: BearerRefusal?
    /// The client's own demand on scopes and groups, a 403: said after revocation.
    let clientRefusal: BearerRefusal?
    let clockSkewSeconds: Int64
    /// There unless one of the first two is.
    let identity: Identity?

    /// - Parameter beginsLogin: the token is at hand because a login begins or is renewed, whose own beginning counts for `not_before`: the
    ///   provider may have known the person for long, and would be asked for another token of the same time again and again.
    init(of token: VerifiedToken, in stage: StageRules, beginsLogin: Bool = false) {
        let claims = token.claims
        guard let position = stage.issuerIndex(claims.issuer) else {
            self.init(issuerRefusal: stage.refusal(foreignIssuer: claims.issuer))
            return
        }
        let rules = stage.issuers[position]
        do {
            let (use, client) = try Self.binding(of: token, rules)
            let groups = try Self.groups(of: token, rules)
            let demand = RoutePolicy(name: "client \(client.name)", groups: client.groups, scopes: client.scopes)
            let identity = Identity(
                subject: claims.subject, username: claims.username, email: claims.email, groups: groups,
                client: client.id, clientName: client.name, issuer: claims.issuer, scopes: claims.scopes, tokenUse: use,
                expiresAt: claims.expiresAt, begunAt: beginsLogin ? claims.issuedAt : [claims.authenticatedAt, claims.issuedAt].compactMap { $0 }.min(), keyID: token.keyID,
                tokenID: claims.tokenID, originTokenID: claims.originTokenID, claims: claims.values(of: stage.claimNames), forwardedGroups: stage.forwardedGroups,
                isProgram: claims.username == nil && groups.isEmpty && !client.scopes.isEmpty
            )
            self.init(
                clientRefusal: demand.refusal(groups: groups, scopes: claims.scopes),
                clockSkewSeconds: rules.clockSkewSeconds, identity: identity
            )
        } catch {
            self.init(bindingRefusal: error, clockSkewSeconds: rules.clockSkewSeconds)
        }
    }

    private init(
        issuerRefusal: BearerRefusal? = nil, bindingRefusal: BearerRefusal? = nil, clientRefusal: BearerRefusal? = nil,
        clockSkewSeconds: Int64 = 0, identity: Identity? = nil
    ) {
        self.issuerRefusal = issuerRefusal
        self.bindingRefusal = bindingRefusal
        self.clientRefusal = clientRefusal
        self.clockSkewSeconds = clockSkewSeconds
        self.identity = identity
    }

    /// The token's use and the client it was issued to (C4).
    private static func binding(of token: VerifiedToken, _ rules: IssuerRules) throws(BearerRefusal) -> (TokenUse, ClientRule) {
        let claims = token.claims
        let use = try self.use(of: token, rules)
        let clientID: String
        switch use {
        case .access:
            guard let id = claims.clientID ?? (rules.isCognito ? nil : claims.authorizedParty) else { throw .malformed(.claim(name: "client_id")) }
            clientID = id
        case .id:
            guard claims.audiences.count == 1 else { throw .malformed(.claim(name: "aud")) }
            clientID = claims.audiences[0]
            // OpenID Connect Core §3.1.3.7: where there is an azp, it is the client.
            if let party = claims.authorizedParty, !party.hasSameBytes(as: clientID) { throw .clientNotAllowed(client: party) }
        }
        guard let position = rules.clientIndex(clientID) else { throw .clientNotAllowed(client: clientID) }
        let client = rules.clients[position]
        guard client.tokenUse.allows(use) else { throw .wrongTokenUse(use) }
        if use == .access, !claims.audiences.isEmpty, !claims.audiences.contains(where: { rules.audiences.holds($0) }) {
            throw .audienceNotAllowed
        }
        return (use, client)
    }

    private static func use(of token: VerifiedToken, _ rules: IssuerRules) throws(BearerRefusal) -> TokenUse {
        if let word = token.claims.tokenUse {
            guard let use = TokenUse(rawValue: word), use == .access || !token.isTypedAccessToken else { throw .malformed(.claim(name: "token_use")) }
            return use
        }
        guard !rules.isCognito else { throw .malformed(.claim(name: "token_use")) }
        // RFC 9068 §2.1; Keycloak marks its tokens by a claim instead. What says nothing is an ID token, which no client may
        // use here unless an operator lists it.
        if token.isTypedAccessToken { return .access }
        if let type = token.claims.typeClaim, type.hasSameBytes(as: "Bearer") { return .access }
        return .id
    }

    private static func groups(of token: VerifiedToken, _ rules: IssuerRules) throws(BearerRefusal) -> [String] {
        do { return try token.claims.groups(claim: rules.groupsClaim) } catch { throw .malformed(error) }
    }
}
