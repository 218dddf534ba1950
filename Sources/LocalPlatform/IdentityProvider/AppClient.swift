internal import GatewayTerms

/// An app client of a user pool: who may ask for tokens, and how.
struct AppClient: Sendable {
    /// As the `token` command names them; the client id is `{stage}-{kind}-client`.
    enum Kind: String, Sendable, CaseIterable {
        case browser
        case commandLine = "command-line"
        case machine
        /// In the pool, but not among the gateway's clients: its valid tokens must be refused there.
        case foreign
    }

    let kind: Kind
    let id: String
    /// Nothing for a public client, which then must use PKCE (RFC 7636).
    let secret: Secret?
    let redirects: [RedirectRule]
    let logoutAddresses: [RedirectRule]
    let scopes: [String]
    let rotatesRefreshTokens: Bool

    static let userScopes = ["openid", "email", "profile", "aws.cognito.signin.user.admin"]
    static let resourceScopes = ["metaflow/read", "metaflow/write"]

    init(_ kind: Kind, stage: String, redirectHosts: [String], rotatesAlways: Bool) {
        self.kind = kind
        id = "\(stage)-\(kind.rawValue)-client"
        let loopback = [8400, 8401, 8402].map { RedirectRule.exact("http://localhost:\($0)/callback") }
        switch kind {
        case .browser:
            secret = Secret("\(stage)-browser-development-secret")
            redirects = redirectHosts.map { .anyPort(host: $0, path: "/oauth2/callback") }
            logoutAddresses = redirectHosts.flatMap { [.anyPort(host: $0, path: "/oauth2/signed_out"), .anyPort(host: $0, path: "/")] }
            (scopes, rotatesRefreshTokens) = (Self.userScopes + Self.resourceScopes, rotatesAlways)
        case .commandLine:
            secret = nil
            redirects = loopback + redirectHosts.map { .anyPort(host: $0, path: "/cli/callback") }
            logoutAddresses = [8400, 8401, 8402].map { .exact("http://localhost:\($0)/signed_out") }
            (scopes, rotatesRefreshTokens) = (Self.userScopes + Self.resourceScopes, true)
        case .machine:
            secret = Secret("\(stage)-machine-development-secret")
            (redirects, logoutAddresses) = ([], [])
            (scopes, rotatesRefreshTokens) = (Self.resourceScopes, false)
        case .foreign:
            secret = nil
            (redirects, logoutAddresses) = (loopback, [])
            (scopes, rotatesRefreshTokens) = (Self.userScopes, rotatesAlways)
        }
    }

    var isPublic: Bool { secret == nil }

    /// The requested scopes that the client may have, `openid` first as asked; nothing when one of them is not the client's.
    func granted(_ requested: String?) -> String? {
        let wanted = (requested ?? "").split(separator: " ").map(String.init)
        if wanted.isEmpty { return (kind == .machine ? scopes : Array(scopes.prefix(3))).joined(separator: " ") }
        guard wanted.allSatisfy(scopes.contains) else { return nil }
        return wanted.joined(separator: " ")
    }
}
