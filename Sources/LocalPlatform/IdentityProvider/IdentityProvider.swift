internal import GRDB
internal import GatewayTerms
internal import Synchronization

/// The identity provider, shaped like Amazon Cognito: every stage is a user pool. Issuer and key set are below
/// `/{poolId}/.well-known`; the hosted UI, which Cognito keeps on a domain of its own, is below `/{poolId}` too.
final class IdentityProvider: Sendable {
    struct Settings: Sendable {
        /// Life of access and ID tokens.
        var accessTokenSeconds: Int64 = 3600
        /// How long a replaced refresh token stays good.
        var refreshGraceSeconds: Int64 = 60
    }

    let pools: [UserPool]
    let grants: GrantStore
    let settings: Settings
    let switches: DevelopmentSwitches
    let clock: @Sendable () -> WallTime
    private let base = Mutex("")

    init(
        pools: [UserPool], database: DatabasePool, settings: Settings, switches: DevelopmentSwitches,
        clock: @escaping @Sendable () -> WallTime
    ) {
        (self.pools, grants, self.settings, self.switches, self.clock) = (pools, GrantStore(database: database), settings, switches, clock)
    }

    /// Says where the provider can be reached; issuers are made of it.
    func isReached(at address: String) { base.withLock { $0 = address } }
    func issuer(of pool: UserPool) -> String { base.withLock { $0 } + "/" + pool.id }

    func pool(id: String) -> UserPool? { pools.first { $0.id == id } }

    /// Every answer of the provider passes here: outage first, then the endpoint, then its faults in OAuth's form.
    func answer(_ call: Call) async -> Reply {
        guard base.withLock({ !$0.isEmpty }) else {
            return Reply(status: 503, contentType: "text/plain; charset=utf-8", body: "503: starting\n", [("Retry-After", "1")])
        }
        if switches.isOut(at: clock().milliseconds), call.path.first != "development" {
            switches.count(\.refusedByOutage)
            return Reply(status: 503, contentType: "text/plain; charset=utf-8", body: "503: an outage was ordered\n", [("Retry-After", "1")])
        }
        var probe = call
        // HEAD is GET without the body, which the server leaves out.
        if probe.method == "HEAD" { probe.method = "GET" }
        switch Self.table.match(probe) {
        case .found(let call, let handler):
            do {
                return try await handler(self, call)
            } catch let fault as OAuthFault {
                return fault.reply
            } catch {
                return .json(["error": "server_error", "error_description": .string(String(describing: error))], status: 500)
            }
        case .otherMethods(let methods):
            return Reply(status: 405, contentType: "text/plain; charset=utf-8", body: "405: use \(methods.joined(separator: ", "))\n", [("Allow", methods.joined(separator: ", "))])
        case .unknownPath:
            return Reply(status: 404, contentType: "text/plain; charset=utf-8", body: "404: no such page. User pools here: \(pools.map(\.id).joined(separator: ", "))\n")
        }
    }

    private static let table: EndpointTable<IdentityProvider> = {
        var table = EndpointTable<IdentityProvider>()
        func inPool(
            _ method: String, _ template: String, _ handler: @escaping @Sendable (IdentityProvider, Call, UserPool) async throws -> Reply
        ) {
            table.on(method, "/{pool}" + template) { provider, call in
                guard let pool = provider.pool(id: call.parameter("pool")) else {
                    return Reply(status: 404, contentType: "text/plain; charset=utf-8", body: "404: no user pool \(call.parameter("pool"))\n")
                }
                return try await handler(provider, call, pool)
            }
        }
        inPool("GET", "/.well-known/openid-configuration") { provider, _, pool in provider.discovery(of: pool) }
        inPool("GET", "/.well-known/jwks.json") { provider, _, pool in provider.keySet(of: pool) }
        inPool("GET", "/oauth2/authorize") { try await $0.authorize($1, $2) }
        inPool("GET", "/login") { $0.showLogin($1, $2) }
        inPool("POST", "/login") { try await $0.login($1, $2) }
        inPool("POST", "/oauth2/token") { try await $0.token($1, $2) }
        inPool("POST", "/oauth2/revoke") { try await $0.revoke($1, $2) }
        inPool("GET", "/oauth2/userInfo") { try await $0.userInfo($1, $2) }
        inPool("POST", "/oauth2/userInfo") { try await $0.userInfo($1, $2) }
        inPool("GET", "/logout") { try await $0.logout($1, $2) }
        addDevelopmentEndpoints(to: &table)
        return table
    }()

    /// OpenID Connect Discovery, with the members of Cognito's document. Cognito too advertises an `end_session_endpoint` that is
    /// not RP-initiated logout: it wants `client_id` and `logout_uri`.
    private func discovery(of pool: UserPool) -> Reply {
        switches.count(\.discoveryFetches)
        let issuer = issuer(of: pool)
        return .json([
            "authorization_endpoint": .string(issuer + "/oauth2/authorize"), "end_session_endpoint": .string(issuer + "/logout"),
            "id_token_signing_alg_values_supported": ["RS256"], "issuer": .string(issuer),
            "jwks_uri": .string(issuer + "/.well-known/jwks.json"), "response_types_supported": ["code"],
            "revocation_endpoint": .string(issuer + "/oauth2/revoke"), "scopes_supported": ["openid", "email", "phone", "profile"],
            "subject_types_supported": ["public"], "token_endpoint": .string(issuer + "/oauth2/token"),
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "userinfo_endpoint": .string(issuer + "/oauth2/userInfo"),
        ])
    }

    private func keySet(of pool: UserPool) -> Reply {
        switches.count(\.keySetFetches)
        let keys = pool.keys.published.map { key -> JSON in
            [
                "alg": "RS256", "e": .string(Base64.url(key.exponent)), "kid": .string(key.identifier), "kty": "RSA",
                "n": .string(Base64.url(key.modulus)), "use": "sig",
            ]
        }
        return .json(["keys": .array(keys)], status: 200, [("Cache-Control", "public, max-age=86400")])
    }
}
