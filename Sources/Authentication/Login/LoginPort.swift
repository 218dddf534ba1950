package import GatewayTerms

/// Tokens as a token endpoint gave them (RFC 6749 §5.1); nothing of them is verified.
package struct TokenAnswer: Sendable, Equatable {
    package let accessToken: Secret
    package let idToken: Secret?
    package let refreshToken: Secret?
    /// Seconds; nil where the answer does not say.
    package let expiresIn: Int64?
    package let scope: String?

    package init(accessToken: Secret, idToken: Secret?, refreshToken: Secret?, expiresIn: Int64?, scope: String?) {
        self.accessToken = accessToken
        self.idToken = idToken
        self.refreshToken = refreshToken
        self.expiresIn = expiresIn
        self.scope = scope
    }

    /// Longest answer of a token endpoint that is read.
    package static let bytesMax = 512 * 1024
}

/// Why a token endpoint gave no tokens. The sentences are for an operator; nothing in them is a secret.
package enum TokenEndpointFault: Error, Sendable, Equatable, CustomStringConvertible {
    /// `invalid_grant`: the code or refresh token is not good, or not good any more.
    case grantRefused
    /// Another error of RFC 6749 §5.2: our client or our request is not what the provider wants. Its code, from a closed list.
    case requestRefused(code: String)
    /// No answer, or one that says "not now": it may pass.
    case unavailable(reason: String)
    /// An answer that is no token answer.
    case malformed(reason: String)

    package var description: String {
        switch self {
        case .grantRefused: "The provider refused the grant: it was used, revoked or too old."
        case .requestRefused(let code): "The provider refused our request with \(code). Check identity.browser_client (id and secret) and what the provider has registered for it."
        case .unavailable(let reason): "The provider's token endpoint is not available: \(reason)"
        case .malformed(let reason): "The provider's token endpoint gave an answer that cannot be used: \(reason)."
        }
    }
}

/// The client of a token endpoint, and where that is.
package struct TokenClient: Sendable, Equatable {
    package let tokenURL: String
    package let revocationURL: String?
    package let clientID: String
    package let clientSecret: Secret
    package let caFile: String?

    package init(tokenURL: String, revocationURL: String?, clientID: String, clientSecret: Secret, caFile: String?) {
        self.tokenURL = tokenURL
        self.revocationURL = revocationURL
        self.clientID = clientID
        self.clientSecret = clientSecret
        self.caFile = caFile
    }
}

/// A code to be redeemed (RFC 6749 §4.1.3, RFC 7636 §4.5).
package struct CodeRedemption: Sendable, Equatable {
    package let client: TokenClient
    package let code: Secret
    package let verifier: Secret
    package let redirectURI: String

    package init(client: TokenClient, code: Secret, verifier: Secret, redirectURI: String) {
        self.client = client
        self.code = code
        self.verifier = verifier
        self.redirectURI = redirectURI
    }
}

/// A refresh token to be used (RFC 6749 §6) or revoked (RFC 7009 §2.1).
package struct RefreshGrant: Sendable, Equatable {
    package let client: TokenClient
    package let token: Secret

    package init(client: TokenClient, token: Secret) {
        self.client = client
        self.token = token
    }
}

package typealias TokenCompletion = @Sendable (Result<TokenAnswer, TokenEndpointFault>) -> Void

/// What the data path asks the provider for, off the event loops. Completions are called exactly once, on any thread, perhaps before
/// the call returns: the caller hops to its loop.
package protocol LoginPort: Sendable {
    /// At most five seconds.
    func redeem(_ redemption: CodeRedemption, completion: @escaping TokenCompletion)

    /// At most three seconds. Requests with the same refresh token share one question; those that come within a minute after its answer
    /// are given that answer.
    func refresh(_ grant: RefreshGrant, completion: @escaping TokenCompletion)

    /// Best effort; nobody waits.
    func revoke(_ grant: RefreshGrant)

    /// A login was renewed until then: its streams on all loops of this gateway go on.
    /// - Parameter login: the login session's id, as texts carry it.
    func renewed(_ login: String, until end: WallTime)

    /// Logins that ended here by signing out: to be refused at once by all loops of this gateway.
    func signedOut(_ entries: [Revocation.Entry])
}
