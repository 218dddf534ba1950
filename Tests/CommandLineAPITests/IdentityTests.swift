import CommandLineAPI
import Foundation
import GatewayTerms
import Testing

/// `/cli/whoami`.
@Suite struct IdentityTests {
    @Test("It tells the caller who the token says they are")
    func tellsIdentity() throws {
        let answer = Scene.service().get("/whoami", identity: Scene.ada)
        #expect(try answer.json as NSDictionary == [
            "subject": "subject-of-ada", "user_name": "ada", "groups": ["science", "operators"], "stage": "alpha", "seconds_left": 900,
        ])
    }

    @Test("A program without a user has no user name and no groups")
    func tellsProgram() throws {
        let program = CommandLineIdentity(subject: "client1", userName: nil, groups: [], expiresAt: WallTime(seconds: 1_800_000_001))
        #expect(try Scene.service().get("/whoami", identity: program).json as NSDictionary == [
            "subject": "client1", "user_name": NSNull(), "groups": [String](), "stage": "alpha", "seconds_left": 1,
        ])
    }

    @Test("The seconds left are whole, never negative, and safe at the ends of time", arguments: [
        (1_800_000_000_000, 1_800_000_000_999, 0), (1_800_000_001_000, 1_800_000_000_999, 1), (1_799_999_000_000, 1_800_000_000_000, 0),
        (Int64.max, 0, Int64.max / 1000), (Int64.min, Int64.max, 0), (0, Int64.min, 9_223_372_036_854_776), (Int64.max, Int64.min, 18_446_744_073_709_551),
    ] as [(Int64, Int64, Int64)])
    func countsDown(expiresAt: Int64, now: Int64, left: Int64) throws {
        var identity = Scene.ada
        identity.expiresAt = WallTime(milliseconds: expiresAt)
        let answer = Scene.service().get("/whoami", identity: identity, now: WallTime(milliseconds: now))
        #expect(try (answer.json["seconds_left"] as? NSNumber)?.int64Value == left)
    }

    @Test("Names of any kind come back as they went in", arguments: ["Ada \"the first\" Lovelace", "a\\b", "x\u{0}y", "<b>", "\u{2028}", "埃达"])
    func escapes(name: String) throws {
        let identity = CommandLineIdentity(subject: name, userName: name, groups: [name], expiresAt: Scene.now)
        let document = try Scene.service().get("/whoami", identity: identity).json
        #expect(document["subject"] as? String == name)
        #expect(document["user_name"] as? String == name)
        #expect(document["groups"] as? [String] == [name])
    }

    @Test("Nobody is told how to become somebody")
    func refusesNobody() throws {
        let answer = Scene.service().get("/whoami")
        #expect(answer.status == 401)
        #expect(answer.value(of: "www-authenticate") == "Bearer realm=\"alpha.example.com\"")
        #expect(try answer.json["message"] as? String == "This needs a bearer token. Run: metaflow-gateway-login https://alpha.example.com")
    }

    @Test("It is never kept and never 304, whatever the client says it has", arguments: ["*", "\"a\""])
    func isNeverKept(tags: String) {
        let answer = Scene.service().get("/whoami", ifNoneMatch: tags, identity: Scene.ada)
        #expect((answer.status, answer.etag, answer.isCacheable) == (200, nil, false))
    }
}
