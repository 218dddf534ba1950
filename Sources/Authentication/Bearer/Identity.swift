package import GatewayTerms

/// Who calls: the verified facts about the caller on one stage. Shared by reference, made once per token and stage.
package final class Identity: Sendable {
    package let subject: String
    package let username: String?
    package let email: String?
    /// All of them, also those that no policy names.
    package let groups: [String]
    /// The app client's id.
    package let client: String
    package let clientName: String
    package let issuer: String
    package let scopes: [String]
    package let tokenUse: TokenUse
    package let expiresAt: WallTime
    /// When the login behind it began, for `not_before` (C11): a refreshed token is as old as its login. A login session's own beginning; a
    /// token's `auth_time`, which lives on through refreshing, or its `iat`, whichever is earlier.
    package let begunAt: WallTime?
    package let keyID: String
    package let tokenID: String?
    package let originTokenID: String?
    /// A program's own token (client credentials): no user stands behind it, so it has no groups and never can have. Its client is admitted
    /// by the scopes that the operator demands of it, and a policy's groups, which are about people, are not asked of it.
    package let isProgram: Bool
    /// The claims that the stage's policies ask for, by name: no value where the credential does not have the claim, and no entry where what it
    /// says cannot be told.
    package let claims: [String: [String]]
    /// The `x-auth-…` lines for the upstream, each ended by CR LF (C9): whole, ready, computed once.
    package let forwardedFields: [UInt8]

    /// - Parameter groupsAreTruncated: `groups` is not the whole list, and not all that upstreams want to know.
    package init(
        subject: String, username: String?, email: String?, groups: [String], client: String, clientName: String,
        issuer: String, scopes: [String], tokenUse: TokenUse, expiresAt: WallTime, begunAt: WallTime?, keyID: String,
        tokenID: String?, originTokenID: String?, claims: [String: [String]] = [:], forwardedGroups: [String]?, groupsAreTruncated: Bool = false, isProgram: Bool = false
    ) {
        self.subject = subject
        self.username = username
        self.email = email
        self.groups = groups
        self.client = client
        self.clientName = clientName
        self.issuer = issuer
        self.scopes = scopes
        self.tokenUse = tokenUse
        self.expiresAt = expiresAt
        self.begunAt = begunAt
        self.keyID = keyID
        self.isProgram = isProgram
        self.claims = claims
        self.tokenID = tokenID
        self.originTokenID = originTokenID
        var fields = ForwardedFields()
        fields.append("subject", subject)
        if let username { fields.append("username", username) }
        if let email { fields.append("email", email) }
        if groupsAreTruncated {
            fields.append("groups-truncated", "true")
        } else {
            fields.appendGroups(forwardedGroups.map { named in groups.filter { named.holds($0) } } ?? groups)
        }
        fields.append("client", client)
        fields.append("issuer", issuer)
        fields.append("scopes", words: scopes)
        fields.append("token-use", tokenUse.rawValue)
        forwardedFields = fields.bytes
    }
}
