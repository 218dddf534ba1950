package import GatewayTerms

extension Configuration {
    /// Who vouches for the callers of a stage, and which of its clients may call (C1).
    package struct Identity: Sendable, Equatable {
        package enum Provider: Sendable, Equatable {
            case cognito(Cognito)
            case oidc(OIDC)
        }

        package var provider: Provider
        /// A JWKS on disk in place of a fetched one; for networks that reach no provider.
        package var keySetFile: FileReference?
        /// The confidential client of the browser's login; without it no route takes `login_session`.
        package var browserClient: BrowserClient?
        /// Who may call with a bearer token.
        package var clients: [Client]
        /// What an access token's `aud` may be, where a token has one (Cognito's have none unless bound to a resource).
        package var audiences: [String]
        /// How far clocks may differ when `exp`, `nbf` and `iat` are judged (C4).
        package var clockSkew: Duration
        /// Longest bearer token that is read (C2); a longer one is 401.
        package var tokenBytesMax: ByteCount
        @Incidental package var location: SourceLocation

        /// Exactly what `iss` must say.
        package var issuer: String {
            switch provider {
            case .cognito(let cognito): cognito.issuer
            case .oidc(let oidc): oidc.issuer.value
            }
        }

        /// Where the key set is fetched; `nil` when discovery must tell.
        package var keySetURL: String? {
            switch provider {
            case .cognito(let cognito): cognito.issuer + "/.well-known/jwks.json"
            case .oidc(let oidc): oidc.keySetURL?.value.description
            }
        }

        /// OpenID Connect Discovery 1.0 §4: below the issuer, whose own trailing slash is not doubled.
        package var discoveryURL: String {
            (issuer.hasSuffix("/") ? String(issuer.dropLast()) : issuer) + "/.well-known/openid-configuration"
        }

        /// The authority that vouches for the provider's certificate; `nil`: the system's.
        package var caFile: FileReference? {
            switch provider {
            case .cognito(let cognito): cognito.caFile
            case .oidc(let oidc): oidc.caFile
            }
        }
    }

    /// An Amazon Cognito user pool. Issuer and key set address follow from region and pool.
    package struct Cognito: Sendable, Equatable {
        package var region: Located<String>
        package var userPool: Located<String>
        /// Of the hosted login pages, `https://….auth.REGION.amazoncognito.com`; needed by the browser's login.
        package var domain: Located<WebURL>?
        /// Stands in for `https://cognito-idp.REGION.amazonaws.com`; plain http on loopback only.
        package var endpoint: Located<WebURL>?
        package var caFile: FileReference?

        package var issuer: String {
            var base = endpoint?.value.description ?? "https://cognito-idp.\(region.value).amazonaws.com"
            if base.hasSuffix("/") { base.removeLast() }
            return "\(base)/\(userPool.value)"
        }
    }

    /// Any other OpenID Provider; its endpoints come from discovery.
    package struct OIDC: Sendable, Equatable {
        /// As written: `iss` is compared byte for byte, a trailing slash counts.
        package var issuer: Located<String>
        /// Where discovery is not wanted for the key set.
        package var keySetURL: Located<WebURL>?
        package var caFile: FileReference?
    }

    package struct BrowserClient: Sendable, Equatable {
        package var id: Located<String>
        package var secret: SecretReference
    }

    /// An app client whose tokens are accepted.
    package struct Client: Sendable, Equatable {
        package var id: Located<String>
        /// What logs and messages call it.
        package var name: Located<String>
        /// Which kinds of its tokens are accepted; ID tokens only where it lists `id`.
        package var tokenUse: TokenUse
        /// Each of these must be among the token's scopes.
        package var scopes: [String]
        /// The caller must be in one of these; empty: no demand.
        package var groups: [String]
        /// Loopback ports that are registered as callbacks of the command-line login.
        package var redirectPorts: [UInt16]
        @Incidental package var location: SourceLocation
    }

    package struct TokenUse: OptionSet, Sendable, Hashable {
        package let rawValue: UInt8
        package init(rawValue: UInt8) { self.rawValue = rawValue }
        package static let access = TokenUse(rawValue: 1)
        package static let id = TokenUse(rawValue: 2)
    }
}
