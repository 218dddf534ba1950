internal import GatewayTerms

/// The token endpoint, revocation and user information (RFC 6749 §4.1.3, §4.4, §6; RFC 7009; OpenID Connect Core §5.3).
extension IdentityProvider {
    func token(_ call: Call, _ pool: UserPool) async throws -> Reply {
        switches.count(\.tokenRequests)
        let form = call.form
        if form["grant_type"] == "refresh_token" { switches.count(\.refreshes) }
        let delay = switches.tokenDelayMilliseconds
        if delay > 0 { try await Task.sleep(for: .milliseconds(delay)) }
        let client = try authenticate(call, form, pool)
        switch form["grant_type"] {
        case "authorization_code": return try await redeemCode(form, client, pool)
        case "refresh_token": return try await refresh(form, client, pool)
        case "client_credentials": return try clientCredentials(form, client, pool)
        case nil: throw OAuthFault.invalidRequest
        default: throw OAuthFault.unsupportedGrantType
        }
    }

    /// Finds the client by Basic (RFC 6749 §2.3.1) or by the form, and checks its secret, if it has one.
    private func authenticate(_ call: Call, _ form: FormFields, _ pool: UserPool) throws(OAuthFault) -> AppClient {
        let type = call.fields["content-type"]?.split(separator: ";").first?.lowercased()
        guard type == "application/x-www-form-urlencoded", form.repeatedName == nil else { throw .invalidRequest }
        var (id, secret) = (form["client_id"], form["client_secret"])
        if let authorization = call.fields["authorization"] {
            guard authorization.lowercased().hasPrefix("basic "), let bytes = Base64.decodedStandard(String(authorization.dropFirst(6))) else {
                throw .invalidClient
            }
            let parts = String(decoding: bytes, as: UTF8.self).split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, form["client_secret"] == nil, id == nil || id == PercentText.decoded(parts[0], plusIsBlank: true) else {
                throw .invalidRequest
            }
            (id, secret) = (PercentText.decoded(parts[0], plusIsBlank: true), PercentText.decoded(parts[1], plusIsBlank: true))
        }
        guard let id, let client = pool.client(id: id) else { throw .invalidClient }
        if let expected = client.secret {
            guard expected == Secret(secret ?? "") else { throw .invalidClient }
        } else if let secret, !secret.isEmpty {
            throw .invalidClient
        }
        return client
    }

    private func redeemCode(_ form: FormFields, _ client: AppClient, _ pool: UserPool) async throws -> Reply {
        guard client.kind != .machine else { throw OAuthFault.unauthorizedClient }
        guard let secret = form["code"], let address = form["redirect_uri"] else { throw OAuthFault.invalidRequest }
        let verifier = form["code_verifier"]
        let redemption = try await grants.redeem(secret, pool: pool.id, at: clock().seconds) { code in
            guard code.client == client.id, code.redirectURI == address else { return false }
            guard let challenge = code.challenge else { return verifier == nil }
            guard let verifier, (43...128).contains(verifier.utf8.count) else { return false }
            return Base64.url(Digest.sha256(Array(verifier.utf8))) == challenge
        }
        guard case .granted(let code, let family, let refreshToken) = redemption else { throw OAuthFault.invalidGrant }
        return try tokens(of: family, client, pool, nonce: code.nonce, refreshToken: refreshToken)
    }

    private func refresh(_ form: FormFields, _ client: AppClient, _ pool: UserPool) async throws -> Reply {
        guard let secret = form["refresh_token"] else { throw OAuthFault.invalidRequest }
        let outcome = try await grants.refresh(
            secret, pool: pool.id, client: client.id, rotates: client.rotatesRefreshTokens, grace: settings.refreshGraceSeconds,
            at: clock().seconds)
        guard case .granted(let family, let next) = outcome else { throw OAuthFault.invalidGrant }
        return try tokens(of: family, client, pool, nonce: nil, refreshToken: next)
    }

    private func clientCredentials(_ form: FormFields, _ client: AppClient, _ pool: UserPool) throws -> Reply {
        guard client.kind == .machine else { throw OAuthFault.unauthorizedClient }
        guard let scope = client.granted(form["scope"]) else { throw OAuthFault.invalidScope }
        let now = clock().seconds
        let claims = TokenClaims(
            issuer: issuer(of: pool), pool: pool.id, client: client.id, scope: scope, user: nil, groups: [], authTime: now, issuedAt: now,
            expiresAt: now + settings.accessTokenSeconds, originIdentifier: "", eventIdentifier: "")
        let access = try TokenSigner.sign(claims.accessToken(identifier: RandomText.identifier()), with: pool.keys.forAccessTokens)
        return answered(["access_token": .string(access), "expires_in": .integer(settings.accessTokenSeconds), "token_type": "Bearer"])
    }

    private func tokens(of family: GrantStore.Family, _ client: AppClient, _ pool: UserPool, nonce: String?, refreshToken: String?) throws -> Reply {
        guard let user = DirectoryUser(named: family.username) else { throw OAuthFault.invalidGrant }
        let now = clock().seconds
        let claims = TokenClaims(
            issuer: issuer(of: pool), pool: pool.id, client: client.id, scope: family.scope, user: user, groups: user.groups,
            authTime: family.authTime, issuedAt: now, expiresAt: now + settings.accessTokenSeconds,
            originIdentifier: family.originIdentifier, eventIdentifier: RandomText.identifier())
        let access = try TokenSigner.sign(claims.accessToken(identifier: RandomText.identifier()), with: pool.keys.forAccessTokens)
        var members: [JSON.Member] = []
        if family.scope.split(separator: " ").contains("openid"),
            let identity = claims.identityToken(identifier: RandomText.identifier(), nonce: nonce, accessToken: access)
        {
            members.append(JSON.Member(name: "id_token", value: .string(try TokenSigner.sign(identity, with: pool.keys.forIdentityTokens))))
        }
        members.append(JSON.Member(name: "access_token", value: .string(access)))
        if let refreshToken { members.append(JSON.Member(name: "refresh_token", value: .string(refreshToken))) }
        members.append(JSON.Member(name: "expires_in", value: .integer(settings.accessTokenSeconds)))
        members.append(JSON.Member(name: "token_type", value: "Bearer"))
        return answered(.object(members))
    }

    private func answered(_ body: JSON) -> Reply {
        .json(body, status: 200, [("Cache-Control", "no-store"), ("Pragma", "no-cache")])
    }

    /// Ends a refresh token's family. A token that is not known is as good as ended (RFC 7009 §2.2); an access token cannot be ended.
    func revoke(_ call: Call, _ pool: UserPool) async throws -> Reply {
        switches.count(\.revocations)
        let form = call.form
        let client = try authenticate(call, form, pool)
        guard let secret = form["token"], !secret.isEmpty else { throw OAuthFault.invalidRequest }
        if secret.split(separator: ".").count == 3 { throw OAuthFault.unsupportedTokenType }
        switch try await grants.revoke(secret, pool: pool.id, client: client.id) {
        case .revoked, .unknownToken: return Reply(status: 200)
        case .otherClient: throw OAuthFault.unauthorizedClient
        }
    }

    func userInfo(_ call: Call, _ pool: UserPool) async throws -> Reply {
        guard let authorization = call.fields["authorization"], authorization.lowercased().hasPrefix("bearer ") else {
            return badToken("Access token not found")
        }
        guard let claims = verifiedAccessToken(authorization.dropFirst(7), pool) else { return badToken("Access token is invalid or expired") }
        if let origin = claims["origin_jti"]?.stringValue, try await grants.isRevoked(originIdentifier: origin) {
            return badToken("Access token has been revoked")
        }
        guard claims["scope"]?.stringValue?.split(separator: " ").contains("openid") == true,
            let user = claims["username"]?.stringValue.flatMap(DirectoryUser.init(named:))
        else { return badToken("Access token does not contain openid scope") }
        return .json([
            "sub": .string(user.subject(in: pool.id)), "email_verified": "true", "email": .string(user.email), "username": .string(user.name),
        ], status: 200, [("Cache-Control", "no-store")])
    }

    /// The claims of an access token of this pool that is signed, current and of the right kind.
    func verifiedAccessToken(_ token: some StringProtocol, _ pool: UserPool) -> JSON? {
        let parts = token.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, let head = Base64.decodedURL(parts[0]), let body = Base64.decodedURL(parts[1]),
            let signature = Base64.decodedURL(parts[2]), let header = try? JSON(parsing: head), header["alg"] == "RS256",
            let key = header["kid"]?.stringValue.flatMap(pool.keys.key(identifier:)),
            key.verifies(signature: signature, over: Array("\(parts[0]).\(parts[1])".utf8)), let claims = try? JSON(parsing: body),
            claims["iss"]?.stringValue == issuer(of: pool), claims["token_use"] == "access", let expires = claims["exp"]?.integerValue,
            expires > clock().seconds
        else { return nil }
        return claims
    }

    private func badToken(_ reason: String) -> Reply {
        .json(["error": "invalid_token", "error_description": .string(reason)], status: 401, [
            ("WWW-Authenticate", "Bearer error=\"invalid_token\", error_description=\"\(reason)\"")
        ])
    }
}
