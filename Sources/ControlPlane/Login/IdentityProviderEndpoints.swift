package import Authentication

/// Where a provider's endpoints are: derived for Cognito, discovered for others.
package enum IdentityProviderEndpoints {
    /// Of the hosted login pages of a Cognito user pool.
    /// - Parameter domain: `https://….amazoncognito.com` or a domain of one's own, with or without a slash at the end.
    package static func cognito(domain: String) -> ProviderEndpoints {
        var base = domain
        while base.hasSuffix("/") { base.removeLast() }
        return ProviderEndpoints(
            authorizationURL: base + "/oauth2/authorize", tokenURL: base + "/oauth2/token", revocationURL: base + "/oauth2/revoke",
            signOut: .cognito(url: base + "/logout"))
    }

    /// Nil where the document lacks what a login cannot do without, or names an address that a browser or we must not be led to.
    package static func discovered(_ document: DiscoveryDocument) -> ProviderEndpoints? {
        guard let authorizationURL = document.authorizationURL, let tokenURL = document.tokenURL, isUsable(authorizationURL), isUsable(tokenURL) else { return nil }
        return ProviderEndpoints(
            authorizationURL: authorizationURL, tokenURL: tokenURL, revocationURL: document.revocationURL.flatMap { isUsable($0) ? $0 : nil },
            signOut: document.endSessionURL.flatMap { isUsable($0) ? .relyingPartyInitiated(url: $0) : nil } ?? .none)
    }

    /// https, or http on loopback; visible ASCII, so that it can stand in Location.
    private static func isUsable(_ url: String) -> Bool {
        guard url.utf8.count <= 2048 else { return false }
        do throws(FetchError) {
            _ = try FetchAddress(url)
            return true
        } catch {
            return false
        }
    }
}
