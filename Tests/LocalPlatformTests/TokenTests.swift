import GatewayTerms
import Testing

@testable import metaflow_local_platform

@Suite("Tokens")
struct TokenTests {
    private static let accessNames: Set<String> = [
        "sub", "iss", "client_id", "origin_jti", "event_id", "token_use", "scope", "auth_time", "exp", "iat", "jti", "username", "cognito:groups", "version",
    ]
    private static let identityNames: Set<String> = [
        "sub", "iss", "aud", "origin_jti", "event_id", "token_use", "auth_time", "exp", "iat", "jti", "cognito:username", "cognito:groups", "email",
        "email_verified", "nonce", "at_hash", "identities",
    ]

    @Test("A command-line login brings tokens with exactly Cognito's claims, signed by published keys") func commandLine() async throws {
        let scene = try Scene()
        defer { scene.remove() }
        let answer = try await scene.commandLineLogin()
        #expect(answer.names == ["id_token", "access_token", "refresh_token", "expires_in", "token_type"])
        #expect(answer["expires_in"] == 3600)
        let access = try #require(answer["access_token"]?.stringValue), identity = try #require(answer["id_token"]?.stringValue)
        let (accessHeader, accessClaims) = try Scene.parts(of: access), (identityHeader, identityClaims) = try Scene.parts(of: identity)
        #expect(accessClaims.names == Self.accessNames)
        #expect(identityClaims.names == Self.identityNames)
        #expect(accessClaims["client_id"] == "local-command-line-client" && accessClaims["token_use"] == "access")
        #expect(accessClaims["scope"] == "openid email profile" && accessClaims["username"] == "grace" && accessClaims["version"] == 2)
        #expect(accessClaims["cognito:groups"] == ["science", "ml-admins"])
        #expect(accessClaims["iss"] == "http://127.0.0.1:9000/us-west-2_LocalStage")
        #expect(accessClaims["exp"]?.integerValue == scene.clock.now.seconds + 3600)
        #expect(identityClaims["aud"] == "local-command-line-client" && identityClaims["nonce"] == "n-1" && identityClaims["token_use"] == "id")
        #expect(identityClaims["sub"] == accessClaims["sub"] && identityClaims["origin_jti"] == accessClaims["origin_jti"])
        #expect(identityClaims["at_hash"]?.stringValue == Base64.url(Array(Digest.sha256(Array(access.utf8)).prefix(16))))
        // Two keys: one signs ID tokens, the other access tokens.
        #expect(accessHeader["alg"] == "RS256" && accessHeader["kid"] != identityHeader["kid"])
        let keys = try JSON(parsing: Array(await scene.identity("GET", "/us-west-2_LocalStage/.well-known/jwks.json").body.utf8))
        #expect(Set((keys["keys"]?.elements ?? []).compactMap { $0["kid"]?.stringValue }) == [accessHeader["kid"]?.stringValue, identityHeader["kid"]?.stringValue])
        for key in keys["keys"]?.elements ?? [] {
            #expect(key.names == ["alg", "e", "kid", "kty", "n", "use"])
            #expect(Base64.decodedURL(key["n"]?.stringValue ?? "")?.count == 256)
        }
        #expect(scene.platform.identity.verifiedAccessToken(access, try scene.pool)?["jti"] == accessClaims["jti"])
        #expect(scene.platform.identity.verifiedAccessToken(identity, try scene.pool) == nil)
    }

    @Test("Somebody without groups has no groups claim") func withoutGroups() async throws {
        let scene = try Scene()
        defer { scene.remove() }
        let answer = try await scene.commandLineLogin(user: "guest")
        let claims = try Scene.parts(of: try #require(answer["access_token"]?.stringValue)).claims
        #expect(claims.names == Self.accessNames.subtracting(["cognito:groups"]))
    }

    private static let good: [String: String] = [
        "grant_type": "authorization_code", "client_id": "local-command-line-client", "redirect_uri": Scene.loopbackRedirect, "code_verifier": Scene.verifier,
    ]

    @Test("A code is refused when anything about it is wrong", arguments: [
        ("code_verifier", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", "invalid_grant"), ("code_verifier", nil, "invalid_grant"),
        ("redirect_uri", "http://localhost:8401/callback", "invalid_grant"), ("redirect_uri", nil, "invalid_request"),
        ("client_id", "local-foreign-client", "invalid_grant"), ("client_id", "nobody", "invalid_client"), ("client_id", nil, "invalid_client"),
        ("grant_type", "password", "unsupported_grant_type"), ("grant_type", nil, "invalid_request"), ("code", "made-up", "invalid_grant"),
        ("client_secret", "one", "invalid_client"), ("client_id", "local-browser-client", "invalid_client"),
    ] as [(String, String?, String)])
    func refusesCode(name: String, value: String?, error: String) async throws {
        let scene = try Scene()
        defer { scene.remove() }
        var form = Self.good
        form["code"] = try await scene.code(client: "local-command-line-client", redirect: Scene.loopbackRedirect)
        form[name] = value
        let reply = try await scene.tokens(form.map { (name: $0.key, value: $0.value) })
        #expect(reply.status == 400)
        #expect(reply.body == #"{"error":"\#(error)"}"#)
        #expect(reply.field("Cache-Control") == "no-store")
    }

    @Test("A code lives five minutes") func codeExpires() async throws {
        let scene = try Scene()
        defer { scene.remove() }
        var form = Self.good
        form["code"] = try await scene.code(client: "local-command-line-client", redirect: Scene.loopbackRedirect)
        scene.clock.advance(seconds: 300)
        #expect(try await scene.tokens(form.map { (name: $0.key, value: $0.value) }).body == #"{"error":"invalid_grant"}"#)
    }

    @Test("A code that comes twice is refused, and what the first one brought is revoked") func codeOnce() async throws {
        let scene = try Scene()
        defer { scene.remove() }
        var form = Self.good
        form["code"] = try await scene.code(client: "local-command-line-client", redirect: Scene.loopbackRedirect)
        let pairs = form.map { (name: $0.key, value: $0.value) }
        let first = try JSON(parsing: Array(try await scene.tokens(pairs).body.utf8))
        #expect(try await scene.tokens(pairs).status == 400)
        #expect(try await scene.refresh(try #require(first["refresh_token"]?.stringValue)).status == 400)
    }

    @Test("A browser client authenticates by Basic or by the form, and by its own secret only", arguments: [
        ("basic", "local-browser-development-secret", 200), ("post", "local-browser-development-secret", 200), ("basic", "wrong", 400), ("post", "wrong", 400),
        ("basic", "second-browser-development-secret", 400), ("none", "", 400),
    ])
    func browserClient(method: String, secret: String, status: Int) async throws {
        let scene = try Scene()
        defer { scene.remove() }
        let code = try await scene.code(client: "local-browser-client", redirect: Scene.redirect)
        var form = [
            (name: "grant_type", value: "authorization_code"), (name: "code", value: code), (name: "redirect_uri", value: Scene.redirect),
            (name: "code_verifier", value: Scene.verifier),
        ]
        if method != "basic" { form.append((name: "client_id", value: "local-browser-client")) }
        if method == "post" { form.append((name: "client_secret", value: secret)) }
        let reply = try await scene.tokens(form, fields: method == "basic" ? Scene.basic("local-browser-client", secret) : [:])
        #expect(reply.status == status, "\(reply.body)")
    }

    @Test("The command-line client's refresh token is replaced each time; the old one is good for the grace and no longer") func rotation() async throws {
        let scene = try Scene()
        defer { scene.remove() }
        let first = try #require(try await scene.commandLineLogin()["refresh_token"]?.stringValue)
        let answer = try JSON(parsing: Array(try await scene.refresh(first).body.utf8))
        let second = try #require(answer["refresh_token"]?.stringValue)
        #expect(second != first)
        #expect(answer.names == ["id_token", "access_token", "refresh_token", "expires_in", "token_type"])
        #expect(try Scene.parts(of: try #require(answer["id_token"]?.stringValue)).claims["nonce"] == nil)
        scene.clock.advance(seconds: 60)
        #expect(try await scene.refresh(first).status == 200)
        scene.clock.advance(seconds: 1)
        #expect(try await scene.refresh(first).body == #"{"error":"invalid_grant"}"#)
        #expect(try await scene.refresh(second).status == 200)
    }

    @Test("Without a grace the old refresh token ends at once") func noGrace() async throws {
        var options = Platform.Options()
        options.refreshGraceSeconds = 0
        let scene = try Scene(options)
        defer { scene.remove() }
        let first = try #require(try await scene.commandLineLogin()["refresh_token"]?.stringValue)
        #expect(try await scene.refresh(first).status == 200)
        #expect(try await scene.refresh(first).status == 400)
    }

    @Test("The browser client's refresh token stays, unless rotation is asked for", arguments: [false, true]) func browserRefresh(rotates: Bool) async throws {
        var options = Platform.Options()
        options.rotatesRefreshTokens = rotates
        let scene = try Scene(options)
        defer { scene.remove() }
        let basic = Scene.basic("local-browser-client", "local-browser-development-secret")
        let code = try await scene.code(client: "local-browser-client", redirect: Scene.redirect)
        let login = try JSON(parsing: Array(try await scene.tokens([
            (name: "grant_type", value: "authorization_code"), (name: "code", value: code), (name: "redirect_uri", value: Scene.redirect),
            (name: "code_verifier", value: Scene.verifier),
        ], fields: basic).body.utf8))
        let token = try #require(login["refresh_token"]?.stringValue)
        for _ in 0..<3 {
            let reply = try await scene.refresh(token, client: "local-browser-client", fields: basic)
            #expect(reply.status == 200)
            #expect(reply.body.contains("refresh_token") == rotates)
        }
    }

    @Test("Another client's refresh token is refused") func foreignRefresh() async throws {
        let scene = try Scene()
        defer { scene.remove() }
        let token = try #require(try await scene.commandLineLogin()["refresh_token"]?.stringValue)
        #expect(try await scene.refresh(token, client: "local-foreign-client").body == #"{"error":"invalid_grant"}"#)
    }

    @Test("Revocation ends all refresh tokens of a login, and no other login") func revokes() async throws {
        let scene = try Scene()
        defer { scene.remove() }
        let login = try await scene.commandLineLogin(), other = try await scene.commandLineLogin()
        let first = try #require(login["refresh_token"]?.stringValue)
        let second = try #require(try JSON(parsing: Array(try await scene.refresh(first).body.utf8))["refresh_token"]?.stringValue)
        func revoke(_ token: String, client: String = "local-command-line-client") async -> Reply {
            await scene.post("/us-west-2_LocalStage/oauth2/revoke", form: [(name: "token", value: token), (name: "client_id", value: client)])
        }
        #expect(await revoke(first, client: "local-foreign-client").body == #"{"error":"unauthorized_client"}"#)
        #expect(await revoke(try #require(login["access_token"]?.stringValue)).body == #"{"error":"unsupported_token_type"}"#)
        #expect(await revoke(first).status == 200)
        #expect(await revoke("made-up").status == 200)
        #expect(try await scene.refresh(second).status == 400)
        #expect(try await scene.refresh(try #require(other["refresh_token"]?.stringValue)).status == 200)
        let access = try #require(login["access_token"]?.stringValue)
        let information = await scene.identity("GET", "/us-west-2_LocalStage/oauth2/userInfo", fields: ["authorization": "Bearer \(access)"])
        #expect(information.status == 401)
    }

    @Test("Client credentials bring a token without a user", arguments: [nil, "metaflow/write"] as [String?]) func machine(scope: String?) async throws {
        let scene = try Scene()
        defer { scene.remove() }
        let form = [(name: "grant_type", value: "client_credentials")] + (scope.map { [(name: "scope", value: $0)] } ?? [])
        let reply = try await scene.tokens(form, fields: Scene.basic("local-machine-client", "local-machine-development-secret"))
        let answer = try JSON(parsing: Array(reply.body.utf8))
        #expect(answer.names == ["access_token", "expires_in", "token_type"])
        let claims = try Scene.parts(of: try #require(answer["access_token"]?.stringValue)).claims
        #expect(claims.names == ["sub", "token_use", "scope", "auth_time", "iss", "exp", "iat", "version", "jti", "client_id"])
        #expect(claims["scope"]?.stringValue == scope ?? "metaflow/read metaflow/write")
    }

    @Test("Client credentials are for the machine client and its scopes", arguments: [
        ("local-browser-client", "local-browser-development-secret", "metaflow/read", "unauthorized_client"),
        ("local-machine-client", "local-machine-development-secret", "openid", "invalid_scope"), ("local-machine-client", "wrong", "metaflow/read", "invalid_client"),
    ])
    func refusesMachine(client: String, secret: String, scope: String, error: String) async throws {
        let scene = try Scene()
        defer { scene.remove() }
        let reply = try await scene.tokens([(name: "grant_type", value: "client_credentials"), (name: "scope", value: scope)], fields: Scene.basic(client, secret))
        #expect(reply.body == #"{"error":"\#(error)"}"#)
    }

    @Test("The token endpoint reads forms only") func formsOnly() async throws {
        let scene = try Scene()
        defer { scene.remove() }
        let reply = await scene.identity("POST", "/us-west-2_LocalStage/oauth2/token", fields: ["content-type": "application/json"], body: "{}")
        #expect(reply.body == #"{"error":"invalid_request"}"#)
    }

    @Test("User information needs a current, genuine access token of the same pool") func userInformation() async throws {
        let scene = try Scene()
        defer { scene.remove() }
        let answer = try await scene.commandLineLogin()
        let access = try #require(answer["access_token"]?.stringValue)
        func ask(_ token: String, pool: String = "us-west-2_LocalStage") async -> Reply {
            await scene.identity("GET", "/\(pool)/oauth2/userInfo", fields: ["authorization": "Bearer \(token)"])
        }
        let good = await ask(access)
        #expect(good.status == 200)
        #expect(try JSON(parsing: Array(good.body.utf8))["username"] == "grace")
        #expect(await ask(access, pool: "us-west-2_SecondStage").status == 401)
        #expect(await ask(try #require(answer["id_token"]?.stringValue)).status == 401)
        #expect(await ask(access.dropLast(4) + "AAAA").status == 401)
        #expect(await ask("a.b").status == 401)
        // `alg: none` and a changed claim do not pass.
        let parts = access.split(separator: ".")
        #expect(await ask("\(Base64.url(Array(#"{"alg":"none"}"#.utf8))).\(parts[1]).").status == 401)
        #expect(await ask("\(parts[0]).\(Base64.url(Array(#"{"token_use":"access"}"#.utf8))).\(parts[2])").status == 401)
        scene.clock.advance(seconds: 3600)
        let expired = await ask(access)
        #expect(expired.status == 401)
        #expect(expired.field("WWW-Authenticate")?.hasPrefix("Bearer error=\"invalid_token\"") == true)
    }

    @Test("Discovery names the pool's own endpoints") func discovery() async throws {
        let scene = try Scene()
        defer { scene.remove() }
        let document = try JSON(parsing: Array(await scene.identity("GET", "/us-west-2_LocalStage/.well-known/openid-configuration").body.utf8))
        let issuer = "http://127.0.0.1:9000/us-west-2_LocalStage"
        #expect(document["issuer"]?.stringValue == issuer)
        for (name, path) in [
            ("authorization_endpoint", "/oauth2/authorize"), ("token_endpoint", "/oauth2/token"), ("revocation_endpoint", "/oauth2/revoke"),
            ("userinfo_endpoint", "/oauth2/userInfo"), ("jwks_uri", "/.well-known/jwks.json"), ("end_session_endpoint", "/logout"),
        ] {
            #expect(document[name]?.stringValue == issuer + path)
        }
    }
}
