internal import GatewayTerms

/// What Cognito does not have: tokens for the asking, outages on order, keys rotated now, and what was counted. Only a process on
/// this machine is heard, never a page in a browser.
extension IdentityProvider {
    static func addDevelopmentEndpoints(to table: inout EndpointTable<IdentityProvider>) {
        func development(_ method: String, _ template: String, _ handler: @escaping @Sendable (IdentityProvider, JSON) async throws -> Reply) {
            table.on(method, "/development" + template) { provider, call in
                if let refusal = refusal(of: call) { return .json(["error": .string(refusal)], status: 403) }
                var order: JSON = [:]
                if !call.body.isEmpty {
                    guard let read = try? JSON(parsing: call.body), case .object = read else {
                        return .json(["error": "The body must be one JSON object."], status: 400)
                    }
                    order = read
                }
                return try await handler(provider, order)
            }
        }
        development("POST", "/token") { try $0.developmentToken($1) }
        development("POST", "/outage") { provider, order in
            guard let seconds = order["seconds"]?.integerValue, (0...86_400).contains(seconds) else {
                return .json(["error": "seconds must be a whole number from 0 (ends an outage) to 86400."], status: 400)
            }
            provider.switches.beginOutage(until: provider.clock().milliseconds + seconds * 1000)
            return .json(["outage_seconds": .integer(seconds)])
        }
        development("POST", "/token-delay") { provider, order in
            guard let milliseconds = order["milliseconds"]?.integerValue, (0...600_000).contains(milliseconds) else {
                return .json(["error": "milliseconds must be a whole number from 0 to 600000."], status: 400)
            }
            provider.switches.tokenDelayMilliseconds = milliseconds
            return .json(["token_delay_milliseconds": .integer(milliseconds)])
        }
        development("POST", "/rotate-keys") { provider, order in
            let stage = order["stage"]?.stringValue
            let chosen = provider.pools.filter { stage == nil || $0.stage == stage }
            guard !chosen.isEmpty else { return provider.unknownStage(stage ?? "") }
            for pool in chosen { try pool.keys.rotate(retiring: order["retire"] == true) }
            return .json(.object(chosen.map { JSON.Member(name: $0.stage, value: .array($0.keys.published.map { .string($0.identifier) })) }))
        }
        development("GET", "/counters") { provider, _ in
            let counters = provider.switches.counters
            return .json([
                "token_requests": .integer(counters.tokenRequests), "refreshes": .integer(counters.refreshes),
                "jwks_fetches": .integer(counters.keySetFetches), "discovery_fetches": .integer(counters.discoveryFetches),
                "authorizations": .integer(counters.authorizations), "revocations": .integer(counters.revocations),
                "refused_by_outage": .integer(counters.refusedByOutage),
            ])
        }
        development("GET", "/stages") { provider, _ in
            .json(.array(provider.pools.map { pool in
                [
                    "stage": .string(pool.stage), "user_pool": .string(pool.id), "issuer": .string(provider.issuer(of: pool)),
                    "domain": .string(provider.issuer(of: pool)), "clients": .array(pool.clients.map { .string($0.id) }),
                ]
            }))
        }
    }

    /// Why a call is not heard: a page in a browser sends Origin or Sec-Fetch-Site, and a rebound name is another Host.
    private static func refusal(of call: Call) -> String? {
        guard call.peerIsLoopback else { return "Development endpoints answer to this machine only." }
        if call.fields["origin"] != nil || call.fields["sec-fetch-site"] != nil {
            return "Development endpoints do not answer to pages in a browser."
        }
        let host = call.fields["host"] ?? ""
        let name = host.hasPrefix("[") ? String(host.prefix { $0 != "]" }) + "]" : String(host.prefix { $0 != ":" })
        guard name == "localhost" || name == "[::1]" || IPAddress(name)?.isLoopback == true else {
            return "Development endpoints are asked for by a loopback address, not as \(name)."
        }
        return nil
    }

    private func unknownStage(_ stage: String) -> Reply {
        .json(["error": .string("There is no stage \(stage); there are: \(pools.map(\.stage).joined(separator: ", ")).")], status: 400)
    }

    /// Signs what is asked for: stage, client, user, groups, scope, nonce, token_use, expires_in (negative: expired already).
    private func developmentToken(_ order: JSON) throws -> Reply {
        func refuse(_ reason: String) -> Reply { .json(["error": .string(reason)], status: 400) }
        let known: Set<String> = ["stage", "client", "user", "groups", "scope", "nonce", "token_use", "expires_in"]
        if let unknown = order.members.first(where: { !known.contains($0.name) }) {
            return refuse("\(unknown.name) is not known; \(known.sorted().joined(separator: ", ")) are.")
        }
        let stage = order["stage"]?.stringValue ?? pools.first?.stage ?? ""
        guard let pool = pools.first(where: { $0.stage == stage }) else { return unknownStage(stage) }
        let kindName = order["client"]?.stringValue ?? AppClient.Kind.commandLine.rawValue
        guard let kind = AppClient.Kind(rawValue: kindName), let client = pool.client(kind) else {
            return refuse("client is \(kindName); it must be one of \(AppClient.Kind.allCases.map(\.rawValue).joined(separator: ", ")).")
        }
        let name = order["user"]?.stringValue ?? "ada"
        guard let user = DirectoryUser(named: name) else { return refuse("user is \(name); a name has 1 to 64 of A-Z a-z 0-9 . _ @ + -.") }
        let groups = order["groups"].map { $0.strings } ?? user.groups
        guard let groups, groups.count <= 200, groups.allSatisfy({ $0.utf8.count <= 128 }) else {
            return refuse("groups must be an array of at most 200 names of at most 128 bytes.")
        }
        let lifetime = order["expires_in"].map { $0.integerValue } ?? settings.accessTokenSeconds
        guard let lifetime, abs(lifetime) <= 10 * 365 * 86_400 else { return refuse("expires_in must be whole seconds, at most ten years either way.") }
        let scope = order["scope"]?.stringValue ?? client.granted(nil) ?? ""
        let now = clock().seconds
        let issuedAt = min(now, now + lifetime - 1)
        let claims = TokenClaims(
            issuer: issuer(of: pool), pool: pool.id, client: client.id, scope: scope, user: kind == .machine ? nil : user, groups: groups,
            authTime: issuedAt, issuedAt: issuedAt, expiresAt: now + lifetime, originIdentifier: RandomText.identifier(),
            eventIdentifier: RandomText.identifier())
        switch order["token_use"]?.stringValue ?? "access" {
        case "access":
            let token = try TokenSigner.sign(claims.accessToken(identifier: RandomText.identifier()), with: pool.keys.forAccessTokens)
            return .json(["token": .string(token)])
        case "id":
            guard let identity = claims.identityToken(identifier: RandomText.identifier(), nonce: order["nonce"]?.stringValue, accessToken: nil) else {
                return refuse("The client machine has no user, so there is no ID token for it.")
            }
            return .json(["token": .string(try TokenSigner.sign(identity, with: pool.keys.forIdentityTokens))])
        case let other:
            return refuse("token_use is \(other); it must be access or id.")
        }
    }
}
