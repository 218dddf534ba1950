import GatewayTerms
import Testing

@testable import metaflow_local_platform

@Suite("Development endpoints")
struct DevelopmentTests {
    private func order(_ scene: Scene, _ path: String, _ body: String = "", method: String = "POST", fields: [String: String] = ["host": "127.0.0.1:9000"]) async -> (status: Int, body: JSON) {
        let reply = await scene.identity(method, "/development" + path, fields: fields, body: body)
        return (reply.status, (try? JSON(parsing: Array(reply.body.utf8))) ?? .null)
    }

    @Test("A token is signed as ordered") func token() async throws {
        let scene = try Scene()
        defer { scene.remove() }
        func claims(_ body: String) async throws -> JSON {
            let (status, answer) = await order(scene, "/token", body)
            #expect(status == 200, "\(answer)")
            return try Scene.parts(of: try #require(answer["token"]?.stringValue)).claims
        }
        let plain = try await claims("")
        #expect(plain["username"] == "ada" && plain["client_id"] == "local-command-line-client" && plain["cognito:groups"] == ["science"])
        let groups = try await claims(#"{"user": "guest", "groups": ["a", "b"]}"#)
        #expect(groups["cognito:groups"] == ["a", "b"])
        #expect(try await claims(#"{"groups": []}"#)["cognito:groups"] == nil)
        let second = try await claims(#"{"stage": "second", "client": "foreign"}"#)
        #expect(second["iss"] == "http://127.0.0.1:9000/us-west-2_SecondStage" && second["client_id"] == "second-foreign-client")
        let machine = try await claims(#"{"client": "machine"}"#)
        #expect(machine["username"] == nil && machine["scope"] == "metaflow/read metaflow/write")
        let identity = try await claims(#"{"token_use": "id", "nonce": "n", "client": "browser"}"#)
        #expect(identity["aud"] == "local-browser-client" && identity["token_use"] == "id" && identity["nonce"] == "n")
        let expired = try await claims(#"{"expires_in": -30}"#)
        #expect(expired["exp"]?.integerValue == scene.clock.now.seconds - 30)
        #expect(try #require(expired["iat"]?.integerValue) < scene.clock.now.seconds - 30)
        #expect(try await claims(#"{"expires_in": 5}"#)["iat"]?.integerValue == scene.clock.now.seconds)
    }

    @Test("A token order that cannot be met says what is wrong", arguments: [
        (#"{"stage": "nope"}"#, "There is no stage nope"), (#"{"client": "nope"}"#, "client is nope"), (#"{"user": "a b"}"#, "user is a b"),
        (#"{"groups": "a"}"#, "groups must be"), (#"{"groups": [1]}"#, "groups must be"), (#"{"expires_in": "1"}"#, "expires_in must be"),
        (#"{"expires_in": 99999999999}"#, "expires_in must be"), (#"{"expires_in": -9223372036854775807}"#, "expires_in must be"),
        (#"{"token_use": "x"}"#, "token_use is x"), (#"{"client": "machine", "token_use": "id"}"#, "no ID token"), (#"{"colour": 1}"#, "colour is not known"),
        ("[]", "one JSON object"), ("{", "one JSON object"),
    ])
    func refusesToken(body: String, reason: String) async throws {
        let scene = try Scene()
        defer { scene.remove() }
        let (status, answer) = await order(scene, "/token", body)
        #expect(status == 400)
        #expect(answer["error"]?.stringValue?.contains(reason) == true, "\(answer)")
    }

    @Test("A page in a browser, a rebound name and another machine are not heard", arguments: [
        (["host": "127.0.0.1:9000", "origin": "http://127.0.0.1:9000"], true, 403), (["host": "localhost:9000", "origin": "null"], true, 403),
        (["host": "localhost:9000", "sec-fetch-site": "cross-site"], true, 403), (["host": "evil.example:9000"], true, 403),
        (["host": "127.0.0.1.evil.example"], true, 403), (["host": "localhost:9000"], false, 403), ([:], true, 403), (["host": "localhost:9000"], true, 200),
        (["host": "[::1]:9000"], true, 200), (["host": "127.0.0.1"], true, 200),
    ] as [([String: String], Bool, Int)])
    func hears(fields: [String: String], isLoopback: Bool, status: Int) async throws {
        let scene = try Scene()
        defer { scene.remove() }
        let call = Call(method: "POST", path: ["development", "token"], fields: fields, peerIsLoopback: isLoopback)
        #expect(await scene.platform.identity.answer(call).status == status)
    }

    @Test("An outage answers 503 for its time, to everything but development") func outage() async throws {
        let scene = try Scene()
        defer { scene.remove() }
        func keySetStatus() async -> Int { await scene.identity("GET", "/us-west-2_LocalStage/.well-known/jwks.json").status }
        #expect(await order(scene, "/outage", #"{"seconds": 30}"#).status == 200)
        #expect(await keySetStatus() == 503)
        #expect(await order(scene, "/token").status == 200)
        scene.clock.advance(seconds: 30)
        #expect(await keySetStatus() == 200)
        #expect(await order(scene, "/outage", #"{"seconds": 30}"#).status == 200)
        #expect(await order(scene, "/outage", #"{"seconds": 0}"#).status == 200)
        #expect(await keySetStatus() == 200)
    }

    @Test("An outage or a delay that is no sensible number is refused", arguments: [
        ("/outage", #"{"seconds": -1}"#), ("/outage", #"{"seconds": 9223372036854775807}"#), ("/outage", "{}"), ("/token-delay", #"{"milliseconds": "x"}"#),
    ])
    func refusesNumbers(path: String, body: String) async throws {
        let scene = try Scene()
        defer { scene.remove() }
        #expect(await order(scene, path, body).status == 400)
    }

    @Test("Keys rotate on order: new tokens have new kids, old tokens stay good until their keys are retired") func rotates() async throws {
        let scene = try Scene()
        defer { scene.remove() }
        let pool = try scene.pool
        let old = try #require(await order(scene, "/token").body["token"]?.stringValue)
        #expect(await order(scene, "/rotate-keys").status == 200)
        let new = try #require(await order(scene, "/token").body["token"]?.stringValue)
        #expect(try Scene.parts(of: old).header["kid"] != Scene.parts(of: new).header["kid"])
        #expect(scene.platform.identity.verifiedAccessToken(old, pool) != nil)
        #expect(await order(scene, "/rotate-keys", #"{"stage": "local", "retire": true}"#).status == 200)
        #expect(scene.platform.identity.verifiedAccessToken(old, pool) == nil)
        #expect(scene.platform.identity.verifiedAccessToken(new, pool) == nil)
        #expect(await order(scene, "/rotate-keys", #"{"stage": "nope"}"#).status == 400)
    }

    @Test("Requests are counted") func counts() async throws {
        let scene = try Scene()
        defer { scene.remove() }
        _ = await scene.identity("GET", "/us-west-2_LocalStage/.well-known/jwks.json")
        let login = try await scene.commandLineLogin()
        _ = try await scene.refresh(try #require(login["refresh_token"]?.stringValue))
        let counters = await order(scene, "/counters", method: "GET").body
        #expect(counters["jwks_fetches"] == 1 && counters["token_requests"] == 2 && counters["refreshes"] == 1)
        #expect(counters["authorizations"] == 1 && counters["discovery_fetches"] == 0)
    }

    @Test("The stages say where a configuration must point") func stages() async throws {
        let scene = try Scene()
        defer { scene.remove() }
        let stages = await order(scene, "/stages", method: "GET").body.elements
        #expect(stages.map { $0["user_pool"] } == ["us-west-2_LocalStage", "us-west-2_SecondStage"])
        #expect(stages.first?["clients"]?.strings == ["local-browser-client", "local-command-line-client", "local-machine-client", "local-foreign-client"])
    }
}
