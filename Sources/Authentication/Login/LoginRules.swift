package import GatewayTerms

/// Where an identity provider does what a browser's login needs: derived for Cognito, from discovery for others.
package struct ProviderEndpoints: Sendable, Equatable {
    /// How a person signs out at the provider itself.
    package enum SignOut: Sendable, Equatable {
        /// Cognito's `/logout?client_id&logout_uri`; what its discovery document calls `end_session_endpoint` answers RP-initiated
        /// logout with 400.
        case cognito(url: String)
        /// OpenID Connect RP-Initiated Logout 1.0 §2.
        case relyingPartyInitiated(url: String)
        /// The provider offers none: signing out here is all there is.
        case none
    }

    package let authorizationURL: String
    package let tokenURL: String
    /// RFC 7009.
    package let revocationURL: String?
    package let signOut: SignOut

    package init(authorizationURL: String, tokenURL: String, revocationURL: String?, signOut: SignOut) {
        self.authorizationURL = authorizationURL
        self.tokenURL = tokenURL
        self.revocationURL = revocationURL
        self.signOut = signOut
    }
}

/// How one stage logs browsers in: compiled with the snapshot, immutable, shared by its routes.
package final class LoginRules: Sendable {
    package let stage: String
    /// Bound into every cookie, so that a cookie of one stage means nothing on another.
    package let host: Hostname
    /// `https://host[:port]`, no slash at the end: redirect URIs are made of it, never of a request (D5).
    package let publicURL: String
    package let issuer: String
    package let isCognito: Bool
    package let clientID: String
    package let clientSecret: Secret
    /// Asked for at login.
    package let scopes: [String]
    /// Nil: discovery tells, see `LoginSurroundings.discovered`.
    package let endpoints: ProviderEndpoints?
    /// A PEM file of the only authorities to trust for the provider.
    package let caFile: String?
    package let lifetimes: LoginLifetimes
    package let forwardedGroups: [String]?
    /// What the ID and access tokens of this client must say.
    let tokenRules: StageRules

    package init(
        stage: String, host: Hostname, publicURL: String, issuer: String, isCognito: Bool, clientID: String, clientSecret: Secret,
        scopes: [String] = ["openid", "email", "profile"], endpoints: ProviderEndpoints?, caFile: String? = nil,
        lifetimes: LoginLifetimes = LoginLifetimes(), forwardedGroups: [String]? = nil, claimNames: [String] = [], audiences: [String] = [],
        clockSkewSeconds: Int64 = 30, groupsClaim: String = "cognito:groups"
    ) {
        self.stage = stage
        self.host = host
        self.publicURL = publicURL
        self.issuer = issuer
        self.isCognito = isCognito
        self.clientID = clientID
        self.clientSecret = clientSecret
        self.scopes = scopes
        self.endpoints = endpoints
        self.caFile = caFile
        self.lifetimes = lifetimes
        self.forwardedGroups = forwardedGroups
        tokenRules = StageRules(
            stage: stage, host: host, publicURL: publicURL,
            issuers: [IssuerRules(
                issuer: issuer, isCognito: isCognito, clients: [ClientRule(id: clientID, name: "browser", tokenUse: [.access, .id])],
                audiences: audiences, clockSkewSeconds: clockSkewSeconds, groupsClaim: groupsClaim)],
            forwardedGroups: forwardedGroups, claimNames: claimNames)
    }

    package var redirectURI: String { publicURL + LoginPath.callback.rawValue }

    func endpoints(_ surroundings: LoginSurroundings) -> ProviderEndpoints? {
        endpoints ?? surroundings.discovered.first { $0.issuer.hasSameBytes(as: issuer) }?.endpoints
    }

    /// What upstreams and policies are told of a login session.
    func identity(of session: LoginSession) -> Identity {
        Identity(
            subject: session.subject, username: session.username, email: session.email, groups: session.groups, client: clientID,
            clientName: "browser", issuer: issuer, scopes: session.scopes, tokenUse: .id, expiresAt: session.expiresAt,
            begunAt: session.createdAt, keyID: "", tokenID: session.idText, originTokenID: session.originTokenID, claims: session.claims,
            forwardedGroups: forwardedGroups, groupsAreTruncated: session.groupsAreTruncated)
    }
}

/// What is current on a loop when a request is decided; each part is published whole, as key sets are.
package struct LoginSurroundings: Sendable {
    package struct Discovered: Sendable {
        package let issuer: String
        package let endpoints: ProviderEndpoints

        package init(issuer: String, endpoints: ProviderEndpoints) {
            self.issuer = issuer
            self.endpoints = endpoints
        }
    }

    package var keyRing: KeyRing
    package var keySets: KeySets
    package var revocation: Revocation
    /// Of providers that are not Cognito.
    package var discovered: [Discovered]
    package var now: WallTime

    package init(keyRing: KeyRing, keySets: KeySets, revocation: Revocation, discovered: [Discovered] = [], now: WallTime) {
        self.keyRing = keyRing
        self.keySets = keySets
        self.revocation = revocation
        self.discovered = discovered
        self.now = now
    }
}

/// The gateway's own paths of the login (D2), matched before any route.
package enum LoginPath: String, Sendable, CaseIterable {
    case start = "/oauth2/start"
    case callback = "/oauth2/callback"
    case session = "/oauth2/session"
    case refresh = "/oauth2/refresh"
    case signOut = "/oauth2/sign_out"
    case signedOut = "/oauth2/signed_out"

    package enum Match: Sendable, Equatable {
        case path(LoginPath)
        /// Below `/oauth2/` and nothing of ours: 404, never a route.
        case unknown
        case elsewhere
    }

    /// - Parameter path: the canonical path.
    package static func match(_ path: CanonicalPath) -> Match {
        let prefix = Array("/oauth2".utf8)
        guard path.bytes.starts(with: prefix), path.bytes.count == prefix.count || path.bytes[prefix.count] == UInt8(ascii: "/") else { return .elsewhere }
        for candidate in allCases where path.bytes.elementsEqual(candidate.rawValue.utf8) { return .path(candidate) }
        return .unknown
    }
}
