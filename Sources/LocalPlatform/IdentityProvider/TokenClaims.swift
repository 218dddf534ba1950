internal import GatewayTerms

/// The claims of Cognito's tokens, member for member.
struct TokenClaims: Sendable {
    var issuer: String
    var pool: String
    var client: String
    var scope: String
    var user: DirectoryUser?
    /// Replaces the user's own groups; the claim is left out when there are none.
    var groups: [String]
    var authTime: Int64
    var issuedAt: Int64
    var expiresAt: Int64
    /// Ties the tokens of one login together; revocation goes by it.
    var originIdentifier: String
    var eventIdentifier: String

    /// No `aud`: the app client is in `client_id`. A client-credentials token has neither a user nor what comes with one.
    func accessToken(identifier: String) -> JSON {
        guard let user else {
            return [
                "sub": .string(client), "token_use": "access", "scope": .string(scope), "auth_time": .integer(authTime),
                "iss": .string(issuer), "exp": .integer(expiresAt), "iat": .integer(issuedAt), "version": 2,
                "jti": .string(identifier), "client_id": .string(client),
            ]
        }
        var members: [JSON.Member] = [JSON.Member(name: "sub", value: .string(user.subject(in: pool)))]
        if !groups.isEmpty { members.append(JSON.Member(name: "cognito:groups", value: .array(groups.map(JSON.string)))) }
        let rest: JSON = [
            "iss": .string(issuer), "version": 2, "client_id": .string(client), "origin_jti": .string(originIdentifier),
            "event_id": .string(eventIdentifier), "token_use": "access", "scope": .string(scope), "auth_time": .integer(authTime),
            "exp": .integer(expiresAt), "iat": .integer(issuedAt), "jti": .string(identifier), "username": .string(user.name),
        ]
        return .object(members + rest.members)
    }

    /// Nothing without a user. `accessToken` is the token issued with it, for `at_hash` (OpenID Connect Core §3.1.3.6).
    func identityToken(identifier: String, nonce: String?, accessToken: String?) -> JSON? {
        guard let user else { return nil }
        var members: [JSON.Member] = []
        if let accessToken {
            let half = Array(Digest.sha256(Array(accessToken.utf8)).prefix(16))
            members.append(JSON.Member(name: "at_hash", value: .string(Base64.url(half))))
        }
        members.append(JSON.Member(name: "sub", value: .string(user.subject(in: pool))))
        if !groups.isEmpty { members.append(JSON.Member(name: "cognito:groups", value: .array(groups.map(JSON.string)))) }
        if let nonce { members.append(JSON.Member(name: "nonce", value: .string(nonce))) }
        let rest: JSON = [
            "email_verified": true, "iss": .string(issuer), "cognito:username": .string(user.name),
            "origin_jti": .string(originIdentifier), "aud": .string(client),
            "identities": [[
                "userId": .string(user.name), "providerName": "AmazonFederate", "providerType": "OIDC", "issuer": nil,
                "primary": "true", "dateCreated": "1700000000000",
            ]],
            "event_id": .string(eventIdentifier), "token_use": "id", "auth_time": .integer(authTime), "exp": .integer(expiresAt),
            "iat": .integer(issuedAt), "jti": .string(identifier), "email": .string(user.email),
        ]
        return .object(members + rest.members)
    }
}

extension JSON {
    /// An object's members; none for anything else.
    var members: [Member] {
        guard case .object(let members) = self else { return [] }
        return members
    }
}
