package import GatewayTerms

/// Who may call with a bearer token issued to this client.
package struct ClientRule: Sendable, Equatable {
    package let id: String
    /// The operator's name for it, for logs.
    package let name: String
    /// ID tokens only where an operator lists them.
    package let tokenUse: TokenUses
    /// The token needs all of them.
    package let scopes: [String]
    /// The caller needs one of them; empty: no demand.
    package let groups: [String]

    package init(id: String, name: String, tokenUse: TokenUses = .access, scopes: [String] = [], groups: [String] = []) {
        self.id = id
        self.name = name
        self.tokenUse = tokenUse
        self.scopes = scopes
        self.groups = groups
    }
}

/// One identity provider of a stage, and what its tokens must say here.
package struct IssuerRules: Sendable, Equatable {
    /// Exactly the token's `iss`.
    package let issuer: String
    /// Cognito tokens must carry `token_use`; other providers' tokens are told apart by RFC 9068's type or by their claims.
    package let isCognito: Bool
    package let clients: [ClientRule]
    /// What the `aud` of an access token may be, where it has one.
    package let audiences: [String]
    /// Between the provider's clock and ours, 0 to 300 seconds.
    package let clockSkewSeconds: Int64
    package let groupsClaim: String
    /// Longest token in bytes; over it, 401 `token_too_large`. Up to 16 KiB.
    package let tokenBytesMax: Int

    package static let clockSkewSecondsMax: Int64 = 300
    package static let tokenBytesCeiling = 16 * 1024

    package init(
        issuer: String, isCognito: Bool = true, clients: [ClientRule], audiences: [String] = [],
        clockSkewSeconds: Int64 = 30, groupsClaim: String = "cognito:groups", tokenBytesMax: Int = 8 * 1024
    ) {
        self.issuer = issuer
        self.isCognito = isCognito
        self.clients = clients
        self.audiences = audiences
        self.clockSkewSeconds = min(max(clockSkewSeconds, 0), Self.clockSkewSecondsMax)
        self.groupsClaim = groupsClaim
        self.tokenBytesMax = min(max(tokenBytesMax, 0), Self.tokenBytesCeiling)
    }

    func clientIndex(_ id: String) -> Int? {
        for index in clients.indices where clients[index].id.hasSameBytes(as: id) { return index }
        return nil
    }
}

/// What one stage (one host) demands of every bearer token: immutable, compiled with the snapshot, shared by its routes.
/// Cached answers about a token hold for one `StageRules` object only, so one stage's tokens mean nothing on another.
package final class StageRules: Sendable {
    /// Another stage's issuer, so that a refusal can say whose token it is.
    package struct OtherStage: Sendable, Equatable {
        package let issuer: String
        package let stage: String

        package init(issuer: String, stage: String) {
            self.issuer = issuer
            self.stage = stage
        }
    }

    package let stage: String
    /// Realm of the challenges.
    package let host: Hostname
    /// `https://…`, for the command that logs in.
    package let publicURL: String
    package let issuers: [IssuerRules]
    package let otherStages: [OtherStage]
    /// The groups that the stage's policies name, which are all that upstreams are told; nil: every group.
    package let forwardedGroups: [String]?
    /// The claims that the stage's policies ask for: all that is kept of what tokens say beyond the registered ones.
    package let claimNames: [String]
    /// Largest of the issuers' limits.
    package let tokenBytesMax: Int

    package init(
        stage: String, host: Hostname, publicURL: String, issuers: [IssuerRules],
        otherStages: [OtherStage] = [], forwardedGroups: [String]? = nil, claimNames: [String] = []
    ) {
        self.stage = stage
        self.host = host
        self.publicURL = publicURL
        self.issuers = issuers
        self.otherStages = otherStages
        self.forwardedGroups = forwardedGroups
        self.claimNames = claimNames
        tokenBytesMax = issuers.map(\.tokenBytesMax).max() ?? 0
    }

    func issuerIndex(_ issuer: String) -> Int? {
        for index in issuers.indices where issuers[index].issuer.hasSameBytes(as: issuer) { return index }
        return nil
    }

    func refusal(foreignIssuer issuer: String) -> BearerRefusal {
        for other in otherStages where other.issuer.hasSameBytes(as: issuer) { return .issuerOfAnotherStage(stage: other.stage) }
        return .issuerUnknown
    }
}
