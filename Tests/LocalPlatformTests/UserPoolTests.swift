import Foundation
import GatewayTerms
import Testing

@testable import metaflow_local_platform

@Suite("User pools, clients and users")
struct UserPoolTests {
    @Test("A stage's pool is named after it", arguments: [("local", "us-west-2_LocalStage"), ("second", "us-west-2_SecondStage"), ("my-own2", "us-west-2_MyOwn2Stage")])
    func poolName(stage: String, pool: String) { #expect(UserPool.identifier(of: stage) == pool) }

    @Test("A list of stages is read", arguments: [("local", ["local"]), ("local,second", ["local", "second"]), ("a, b-2", ["a", "b-2"])])
    func readsStages(list: String, stages: [String]) throws { #expect(try UserPool.stages(from: list) == stages) }

    @Test("A bad list of stages is refused with the part that is wrong", arguments: [
        ("", ""), ("local,", ""), ("Local", "Local"), ("local,local", "local"), ("1a", "1a"), ("a_b", "a_b"), ("ab,a-b,a-b", "a-b"), ("é", "é"),
        (String(repeating: "a", count: 33), String(repeating: "a", count: 33)),
    ])
    func refusesStages(list: String, part: String) { #expect(throws: PlatformError.badStage(part)) { try UserPool.stages(from: list) } }

    @Test("A redirect address is allowed only as registered", arguments: [
        ("https://localhost/oauth2/callback", true), ("https://localhost:8443/oauth2/callback", true), ("https://localhost:1/oauth2/callback", true),
        ("https://localhost:65535/oauth2/callback", true), ("http://localhost:8443/oauth2/callback", false), ("https://localhost:/oauth2/callback", false),
        ("https://localhost.evil.example/oauth2/callback", false), ("https://localhost:8443@evil.example/oauth2/callback", false),
        ("https://localhost:8443/oauth2/callback?x=1", false), ("https://localhost:8443/x/oauth2/callback", false),
        ("https://localhost:8443/oauth2/callback#f", false), ("https://localhost:123456/oauth2/callback", false), ("https://localhost", false), ("", false),
    ])
    func redirects(address: String, isAllowed: Bool) {
        #expect(RedirectRule.anyPort(host: "localhost", path: "/oauth2/callback").allows(address) == isAllowed)
    }

    @Test("The command-line client's loopback addresses match as a whole", arguments: [
        ("http://localhost:8400/callback", true), ("http://localhost:8402/callback", true), ("http://localhost:8403/callback", false),
        ("http://127.0.0.1:8400/callback", false), ("http://localhost:8400/callback/", false), ("https://localhost:9443/cli/callback", true),
    ])
    func commandLineRedirects(address: String, isAllowed: Bool) {
        let client = AppClient(.commandLine, stage: "local", redirectHosts: ["localhost"], rotatesAlways: false)
        #expect(client.redirects.contains { $0.allows(address) } == isAllowed)
    }

    @Test("A scope is granted only to a client that has it", arguments: [
        (AppClient.Kind.browser, "openid email", "openid email"), (.browser, nil, "openid email profile"), (.machine, nil, "metaflow/read metaflow/write"),
        (.machine, "metaflow/write", "metaflow/write"), (.machine, "openid", nil), (.foreign, "metaflow/read", nil), (.browser, "openid nonsense", nil),
    ] as [(AppClient.Kind, String?, String?)])
    func scopes(kind: AppClient.Kind, requested: String?, granted: String?) {
        #expect(AppClient(kind, stage: "local", redirectHosts: [], rotatesAlways: false).granted(requested) == granted)
    }

    @Test("Users have their groups; a name that is none is nobody", arguments: [
        ("ada", ["science"]), ("grace", ["science", "ml-admins"]), ("guest", []), ("somebody@example.com", []), ("", nil), ("a b", nil), ("<x>", nil),
        (String(repeating: "a", count: 65), nil),
    ] as [(String, [String]?)])
    func users(name: String, groups: [String]?) { #expect(DirectoryUser(named: name)?.groups == groups) }

    @Test("A user's subject is stable and differs between pools") func subjects() throws {
        let ada = try #require(DirectoryUser(named: "ada"))
        #expect(ada.subject(in: "a") == ada.subject(in: "a"))
        #expect(ada.subject(in: "a") != ada.subject(in: "b"))
        #expect(UUID(uuidString: ada.subject(in: "a")) != nil)
    }

    @Test("Signing keys are private files, and a restart finds the same ones") func keysPersist() throws {
        let directory = Scene.temporaryDirectory()
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let first = try PoolKeys(directory: directory).published.map(\.identifier)
        #expect(try PoolKeys(directory: directory).published.map(\.identifier) == first)
        #expect(Set(first).count == 2)
        for file in try FileManager.default.contentsOfDirectory(atPath: directory) {
            let mode = try FileManager.default.attributesOfItem(atPath: directory + "/" + file)[.posixPermissions] as? Int
            #expect(mode == 0o600)
        }
    }

    @Test("A key file that is no key is refused by its name") func badKey() throws {
        let directory = Scene.temporaryDirectory()
        defer { try? FileManager.default.removeItem(atPath: directory) }
        _ = try PoolKeys(directory: directory)
        try Data("nonsense".utf8).write(to: URL(fileURLWithPath: directory + "/2.pem"))
        #expect(throws: PlatformError.badSigningKey(file: directory + "/2.pem")) { try PoolKeys(directory: directory) }
    }

    @Test("Rotation signs with new keys, keeps old ones published up to a limit, and can retire them") func rotation() throws {
        let directory = Scene.temporaryDirectory()
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let keys = try PoolKeys(directory: directory)
        let first = keys.published.map(\.identifier)
        try keys.rotate(retiring: false)
        #expect(keys.published.prefix(2).map(\.identifier) == first)
        #expect(!first.contains(keys.forAccessTokens.identifier) && !first.contains(keys.forIdentityTokens.identifier))
        try keys.rotate(retiring: false)
        try keys.rotate(retiring: false)
        #expect(keys.published.count == PoolKeys.publishedMax)
        #expect(try PoolKeys(directory: directory).published.map(\.identifier) == keys.published.map(\.identifier))
        try keys.rotate(retiring: true)
        #expect(keys.published.count == 2)
        #expect(try PoolKeys(directory: directory).published.map(\.identifier) == keys.published.map(\.identifier))
    }

    @Test("Only an address of this machine is listened on", arguments: ["0.0.0.0", "192.168.1.4", "::", "example.com", ""])
    func loopbackOnly(host: String) {
        var options = Platform.Options()
        options.host = host
        #expect(throws: PlatformError.notLoopback(host: host)) { try Platform(options: options, stateDirectory: "/nonexistent", clock: WallTime.now) }
    }

    @Test("A state directory belongs to one platform at a time") func exclusiveState() throws {
        let scene = try Scene()
        defer { scene.remove() }
        #expect(throws: PlatformError.stateInUse(directory: scene.directory)) { try StateDirectory(scene.directory) }
    }
}
