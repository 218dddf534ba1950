internal import GatewayTerms

/// The authorization endpoint and the login behind it (RFC 6749 §4.1.1, RFC 7636, OpenID Connect Core §3.1.2).
extension IdentityProvider {
    static let loginCookie = "cognito"
    static let forgeryCookie = "XSRF-TOKEN"

    /// A request for a code that named a client and an address which belong together, so that its faults may be sent back there.
    private struct AuthorizationRequest: Sendable {
        var client: AppClient
        var redirectURI: String
        var state: String?

        /// `redirect_uri` with the answer's parameters and the request's `state`.
        func answered(_ pairs: [(name: String, value: String)]) -> String {
            var fields = FormFields(pairs)
            if let state { fields.append("state", state) }
            return redirectURI + (redirectURI.contains("?") ? "&" : "?") + fields.encoded
        }

        func refused(_ error: String, _ description: String? = nil) -> Reply {
            .redirect(to: answered([(name: "error", value: error)] + (description.map { [(name: "error_description", value: $0)] } ?? [])))
        }
    }

    private func readRequest(_ query: FormFields, _ pool: UserPool) -> AuthorizationRequest? {
        guard query.repeatedName == nil, let client = query["client_id"].flatMap(pool.client(id:)),
            let address = query["redirect_uri"], client.redirects.contains(where: { $0.allows(address) })
        else { return nil }
        return AuthorizationRequest(client: client, redirectURI: address, state: query["state"])
    }

    func authorize(_ call: Call, _ pool: UserPool) async throws -> Reply {
        switches.count(\.authorizations)
        let query = call.query
        guard let request = readRequest(query, pool) else { return badRequestPage(query, pool) }
        guard query["response_type"] == "code" else { return request.refused("unauthorized_client") }
        guard let scope = request.client.granted(query["scope"]) else { return request.refused("invalid_scope") }
        let challenge = query["code_challenge"]
        if challenge != nil || query["code_challenge_method"] != nil {
            guard query["code_challenge_method"] == "S256", challenge?.utf8.count == 43 else {
                return request.refused("invalid_request", "code_challenge must be 43 characters with code_challenge_method S256")
            }
        } else if request.client.isPublic {
            return request.refused("invalid_request", "a public client must send code_challenge")
        }
        let now = clock().seconds
        var login: GrantStore.Login?
        if let secret = call.cookie(Self.loginCookie), query["prompt"] != "login" {
            login = try await grants.login(secret, pool: pool.id, at: now)
        }
        guard let login else {
            if query["prompt"] == "none" { return request.refused("login_required") }
            return .redirect(to: "/\(pool.id)/login?" + query.encoded)
        }
        let code = RandomText.secret()
        try await grants.record(
            GrantStore.Code(
                client: request.client.id, username: login.username, redirectURI: request.redirectURI, scope: scope,
                nonce: query["nonce"], challenge: challenge, authTime: login.authTime),
            secret: code, pool: pool.id, at: now)
        return .redirect(to: request.answered([(name: "code", value: code)]))
    }

    func showLogin(_ call: Call, _ pool: UserPool, fault: String? = nil, name: String = "") -> Reply {
        guard let request = readRequest(call.query, pool) else { return badRequestPage(call.query, pool) }
        let forgery = RandomText.secret()
        let page = LoginPage(stage: pool.stage, action: "/\(pool.id)/login?" + call.query.encoded, forgery: forgery, name: name, fault: fault)
        return page.page(formTarget: Self.origin(of: request.redirectURI)).reply(status: fault == nil ? 200 : 400, [
            ("Set-Cookie", "\(Self.forgeryCookie)=\(forgery); Path=/\(pool.id); HttpOnly; SameSite=Lax")
        ])
    }

    /// Checks the login form, then lets the authorization endpoint go on with the request as it came.
    func login(_ call: Call, _ pool: UserPool) async throws -> Reply {
        let form = call.form
        guard let forgery = form["_csrf"], !forgery.isEmpty, Secret(forgery) == Secret(call.cookie(Self.forgeryCookie) ?? "") else {
            return showLogin(call, pool, fault: "The page was open too long or in another browser. Sign in again.", name: form["username"] ?? "")
        }
        guard let user = DirectoryUser(named: form["username"] ?? ""), Secret(form["password"] ?? "") == Secret(DirectoryUser.password) else {
            return showLogin(call, pool, fault: "Incorrect user name or password.", name: form["username"] ?? "")
        }
        let secret = RandomText.secret()
        try await grants.recordLogin(secret, pool: pool.id, username: user.name, at: clock().seconds)
        // `prompt=login` has been obeyed; left in, it would ask for ever.
        return .redirect(to: "/\(pool.id)/oauth2/authorize?" + call.query.without(["prompt"]).encoded, status: 303, [
            ("Set-Cookie", "\(Self.loginCookie)=\(secret); Path=/\(pool.id); Max-Age=\(GrantStore.loginSeconds); HttpOnly; SameSite=Lax"),
            ("Set-Cookie", "\(Self.forgeryCookie)=; Path=/\(pool.id); Max-Age=0; HttpOnly; SameSite=Lax"),
        ])
    }

    /// `/logout?client_id&logout_uri` ends the login and goes to the registered address; with `redirect_uri` it asks to sign in anew.
    func logout(_ call: Call, _ pool: UserPool) async throws -> Reply {
        if let secret = call.cookie(Self.loginCookie) { try await grants.endLogin(secret) }
        let gone = ("Set-Cookie", "\(Self.loginCookie)=; Path=/\(pool.id); Max-Age=0; HttpOnly; SameSite=Lax")
        if let client = call.query["client_id"].flatMap(pool.client(id:)), let address = call.query["logout_uri"],
            client.logoutAddresses.contains(where: { $0.allows(address) })
        {
            return .redirect(to: address, [gone])
        }
        if readRequest(call.query, pool) != nil, call.query["response_type"] == "code" {
            return .redirect(to: "/\(pool.id)/login?" + call.query.encoded, [gone])
        }
        return faultPage("Required parameters missing", "Signing out needs client_id and a logout_uri that is registered for that client.", [gone])
    }

    /// The client or its address is not known: nothing may be sent there, so the person at the browser is told.
    private func badRequestPage(_ query: FormFields, _ pool: UserPool) -> Reply {
        let reason: String
        if let name = query.repeatedName {
            reason = "The parameter \(name) is given twice."
        } else if let client = query["client_id"].flatMap(pool.client(id:)) {
            reason = "redirect_uri is \(query["redirect_uri"] ?? "missing"), which is not registered for \(client.id)."
        } else {
            reason = "client_id is \(query["client_id"] ?? "missing"). The user pool \(pool.id) has: \(pool.clients.map(\.id).joined(separator: ", "))."
        }
        return faultPage("This sign-in request cannot be answered", reason)
    }

    private func faultPage(_ title: String, _ reason: String, _ fields: [(String, String)] = []) -> Reply {
        Page(title: title, body: """
            <main><div class="card"><h1>\(title)</h1><p>\(reason)</p>
            <p class="soft">The application that sent you here asked for something that this platform does not know. Go back to it and start
            again; if this page comes back, its settings and those of this user pool do not agree.</p></div></main>
            """).reply(status: 400, fields)
    }

    /// `https://localhost:8443` of an address below it.
    static func origin(of address: String) -> String {
        let parts = address.split(separator: "/", maxSplits: 3, omittingEmptySubsequences: false)
        return parts.count >= 3 ? "\(parts[0])//\(parts[2])" : "'self'"
    }
}
