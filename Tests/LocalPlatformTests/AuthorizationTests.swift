import GatewayTerms
import Testing

@testable import metaflow_local_platform

@Suite("Authorization, login and logout")
struct AuthorizationTests {
    @Test("Without a login the authorization endpoint shows the login page, with the request kept") func asksToSignIn() async throws {
        let scene = try Scene()
        defer { scene.remove() }
        let query = Scene.authorization(client: "local-browser-client", redirect: Scene.redirect)
        let reply = await scene.identity("GET", "/us-west-2_LocalStage/oauth2/authorize", query: query)
        #expect(reply.status == 302)
        #expect(reply.field("Location") == "/us-west-2_LocalStage/login?" + FormFields(query).encoded)
        let page = await scene.identity("GET", "/us-west-2_LocalStage/login", query: query)
        #expect(page.status == 200)
        #expect(page.body.contains("for development only"))
        // Browsers hold the redirects after the form to this list.
        #expect(page.field("Content-Security-Policy")?.contains("form-action 'self' https://localhost:8443;") == true)
    }

    @Test("A login lasts an hour and serves all clients of its pool") func loginLasts() async throws {
        let scene = try Scene()
        defer { scene.remove() }
        let query = Scene.authorization(client: "local-browser-client", redirect: Scene.redirect)
        let login = try await scene.signIn(query: query)
        func isAsked(_ query: [(name: String, value: String)], pool: String = "us-west-2_LocalStage") async -> Bool {
            let reply = await scene.identity("GET", "/\(pool)/oauth2/authorize", query: query, fields: ["cookie": "cognito=\(login)"])
            return reply.field("Location")?.contains("/login?") == true
        }
        scene.clock.advance(seconds: 3599)
        #expect(await !isAsked(query))
        #expect(await !isAsked(Scene.authorization(client: "local-command-line-client", redirect: Scene.loopbackRedirect)))
        #expect(await isAsked(query + [(name: "prompt", value: "login")]))
        #expect(await isAsked(Scene.authorization(client: "second-browser-client", redirect: Scene.redirect), pool: "us-west-2_SecondStage"))
        scene.clock.advance(seconds: 1)
        #expect(await isAsked(query))
    }

    @Test("An unknown client or an address that is not registered is told to the person, and nothing is sent there", arguments: [
        ("nobody", Scene.redirect), ("local-browser-client", "https://evil.example/oauth2/callback"), ("second-browser-client", Scene.redirect),
        ("local-machine-client", Scene.redirect), ("local-browser-client", Scene.loopbackRedirect),
    ])
    func refusesToRedirect(client: String, redirect: String) async throws {
        let scene = try Scene()
        defer { scene.remove() }
        for path in ["oauth2/authorize", "login"] {
            let reply = await scene.identity("GET", "/us-west-2_LocalStage/\(path)", query: Scene.authorization(client: client, redirect: redirect))
            #expect(reply.status == 400)
            #expect(reply.field("Location") == nil)
        }
    }

    @Test("A parameter given twice is refused") func refusesRepeated() async throws {
        let scene = try Scene()
        defer { scene.remove() }
        let query = Scene.authorization(client: "local-browser-client", redirect: Scene.redirect, more: [(name: "state", value: "again")])
        #expect(await scene.identity("GET", "/us-west-2_LocalStage/oauth2/authorize", query: query).status == 400)
    }

    @Test("A fault of a known client goes back to it, with its state", arguments: [
        ("response_type", "token", "unauthorized_client"), ("scope", "openid nonsense", "invalid_scope"), ("code_challenge_method", "plain", "invalid_request"),
        ("code_challenge", "short", "invalid_request"), ("prompt", "none", "login_required"),
    ])
    func faults(name: String, value: String, error: String) async throws {
        let scene = try Scene()
        defer { scene.remove() }
        let query = Scene.authorization(client: "local-browser-client", redirect: Scene.redirect).filter { $0.name != name } + [(name: name, value: value)]
        let reply = await scene.identity("GET", "/us-west-2_LocalStage/oauth2/authorize", query: query)
        let location = try #require(reply.field("Location"))
        #expect(location.hasPrefix(Scene.redirect + "?"))
        let answer = FormFields(parsing: location.dropFirst(Scene.redirect.count + 1))
        #expect(answer["error"] == error)
        #expect(answer["state"] == "s t&te")
    }

    @Test("A public client must bring a PKCE challenge") func publicNeedsChallenge() async throws {
        let scene = try Scene()
        defer { scene.remove() }
        let query = Scene.authorization(client: "local-command-line-client", redirect: Scene.loopbackRedirect, challenge: nil)
        let reply = await scene.identity("GET", "/us-west-2_LocalStage/oauth2/authorize", query: query)
        #expect(reply.field("Location")?.contains("error=invalid_request") == true)
    }

    @Test("A wrong password, a name that is none, and a form from elsewhere do not sign in", arguments: [
        ("ada", "wrong", true), ("", "metaflow", true), ("a b", "metaflow", true), ("ada", "metaflow", false),
    ])
    func refusesLogin(user: String, password: String, bringsCookie: Bool) async throws {
        let scene = try Scene()
        defer { scene.remove() }
        let query = Scene.authorization(client: "local-browser-client", redirect: Scene.redirect)
        let reply = await scene.platform.identity.answer(Call(
            method: "POST", path: ["us-west-2_LocalStage", "login"], query: FormFields(query), fields: bringsCookie ? ["cookie": "XSRF-TOKEN=f"] : [:],
            body: Array(FormFields([(name: "_csrf", value: "f"), (name: "username", value: user), (name: "password", value: password)]).encoded.utf8)))
        #expect(reply.status == 400)
        #expect(Scene.cookie("cognito", in: reply) == nil)
        #expect(reply.body.contains("role=\"alert\""))
    }

    @Test("What was typed as a name comes back as text") func escapesName() async throws {
        let scene = try Scene()
        defer { scene.remove() }
        let query = Scene.authorization(client: "local-browser-client", redirect: Scene.redirect)
        let reply = await scene.platform.identity.answer(Call(
            method: "POST", path: ["us-west-2_LocalStage", "login"], query: FormFields(query), fields: ["cookie": "XSRF-TOKEN=f"],
            body: Array(FormFields([(name: "_csrf", value: "f"), (name: "username", value: "\"><script>"), (name: "password", value: "x")]).encoded.utf8)))
        #expect(!reply.body.contains("<script"))
    }

    @Test("Logout ends the login and goes to a registered address only", arguments: [
        ("https://localhost:8443/oauth2/signed_out", 302), ("https://localhost:8443/", 302), ("https://evil.example/", 400), ("", 400),
    ])
    func logsOut(address: String, status: Int) async throws {
        let scene = try Scene()
        defer { scene.remove() }
        let query = Scene.authorization(client: "local-browser-client", redirect: Scene.redirect)
        let login = try await scene.signIn(query: query)
        let reply = await scene.identity(
            "GET", "/us-west-2_LocalStage/logout", query: [(name: "client_id", value: "local-browser-client"), (name: "logout_uri", value: address)],
            fields: ["cookie": "cognito=\(login)"])
        #expect(reply.status == status)
        #expect(reply.field("Location") == (status == 302 ? address : nil))
        let again = await scene.identity("GET", "/us-west-2_LocalStage/oauth2/authorize", query: query, fields: ["cookie": "cognito=\(login)"])
        #expect(again.field("Location")?.contains("/login?") == true)
    }

    @Test("RP-initiated logout is refused, as Cognito refuses it") func refusesRPInitiated() async throws {
        let scene = try Scene()
        defer { scene.remove() }
        let reply = await scene.identity(
            "GET", "/us-west-2_LocalStage/logout", query: [(name: "id_token_hint", value: "x"), (name: "post_logout_redirect_uri", value: "https://localhost/")])
        #expect(reply.status == 400)
        #expect(reply.body.contains("Required parameters missing"))
    }

    @Test("Unknown pools and pages are 404, other methods 405") func unknown() async throws {
        let scene = try Scene()
        defer { scene.remove() }
        #expect(await scene.identity("GET", "/us-west-2_Nobody/.well-known/jwks.json").status == 404)
        #expect(await scene.identity("GET", "/").status == 404)
        #expect(await scene.identity("GET", "/us-west-2_LocalStage/oauth2/token").field("Allow") == "POST")
    }
}
