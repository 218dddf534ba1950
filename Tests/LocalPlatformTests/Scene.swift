import Foundation
import GatewayTerms
import Synchronization
import Testing

@testable import metaflow_local_platform

/// A clock that stands still until it is told otherwise.
final class SceneClock: Sendable {
    private let time = Mutex(WallTime(milliseconds: 1_800_000_000_000))
    var now: WallTime { time.withLock { $0 } }
    func advance(seconds: Int64) { time.withLock { $0 = $0.advanced(by: seconds) } }
}

/// A platform in a directory of its own, asked directly, without sockets.
final class Scene: Sendable {
    let directory: String
    let clock: SceneClock
    let platform: Platform

    init(_ options: Platform.Options = Platform.Options(), directory: String? = nil, clock: SceneClock = SceneClock()) throws {
        let path = directory ?? Scene.temporaryDirectory()
        (self.directory, self.clock) = (path, clock)
        if directory == nil {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
            try FileManager.default.copyItem(atPath: Self.signingKeys.get(), toPath: path + "/keys")
        }
        platform = try Platform(options: options, stateDirectory: path, clock: { clock.now })
        platform.identity.isReached(at: "http://127.0.0.1:9000")
    }

    /// RSA keys take a while to make, so all scenes start with the same ones.
    private static let signingKeys = Result { () throws -> String in
        let keys = temporaryDirectory()
        for stage in ["local", "second"] { _ = try PoolKeys(directory: keys + "/" + UserPool.identifier(of: stage)) }
        return keys
    }

    static func temporaryDirectory() -> String { NSTemporaryDirectory() + "local-platform-" + UUID().uuidString }

    func remove() {
        platform.close()
        try? FileManager.default.removeItem(atPath: directory)
    }

    var pool: UserPool {
        get throws { try #require(platform.identity.pools.first) }
    }

    // MARK: Identity

    static let redirect = "https://localhost:8443/oauth2/callback"
    static let loopbackRedirect = "http://localhost:8400/callback"
    static let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    /// RFC 7636, appendix B.
    static let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"

    static func call(_ method: String, _ path: String, query: [(name: String, value: String)] = [], fields: [String: String] = [:], body: String = "") -> Call {
        Call(
            method: method, path: path.split(separator: "/", omittingEmptySubsequences: false).dropFirst().map(String.init),
            query: FormFields(query), fields: fields, body: Array(body.utf8))
    }

    func identity(_ method: String, _ path: String, query: [(name: String, value: String)] = [], fields: [String: String] = [:], body: String = "") async -> Reply {
        await platform.identity.answer(Self.call(method, path, query: query, fields: fields, body: body))
    }

    func post(_ path: String, form: [(name: String, value: String)], fields: [String: String] = [:]) async -> Reply {
        var fields = fields
        fields["content-type"] = "application/x-www-form-urlencoded"
        return await identity("POST", path, fields: fields, body: FormFields(form).encoded)
    }

    static func authorization(client: String, redirect: String, challenge: String? = Scene.challenge, more: [(name: String, value: String)] = []) -> [(name: String, value: String)] {
        var query = [
            (name: "response_type", value: "code"), (name: "client_id", value: client), (name: "redirect_uri", value: redirect),
            (name: "scope", value: "openid email profile"), (name: "state", value: "s t&te"), (name: "nonce", value: "n-1"),
        ]
        if let challenge { query += [(name: "code_challenge", value: challenge), (name: "code_challenge_method", value: "S256")] }
        return query + more
    }

    /// Signs in at the login page and returns the login cookie.
    func signIn(_ user: String = "grace", query: [(name: String, value: String)]) async throws -> String {
        let pool = try pool.id
        let page = await identity("GET", "/\(pool)/login", query: query)
        let forgery = try #require(Self.cookie("XSRF-TOKEN", in: page))
        let reply = await platform.identity.answer(Call(
            method: "POST", path: [pool, "login"], query: FormFields(query),
            fields: ["cookie": "XSRF-TOKEN=\(forgery)", "content-type": "application/x-www-form-urlencoded"],
            body: Array(FormFields([(name: "_csrf", value: forgery), (name: "username", value: user), (name: "password", value: "metaflow")]).encoded.utf8)))
        #expect(reply.status == 303)
        return try #require(Self.cookie("cognito", in: reply))
    }

    /// A code of the authorization endpoint after a sign-in.
    func code(client: String, redirect: String, user: String = "grace", challenge: String? = Scene.challenge) async throws -> String {
        let query = Self.authorization(client: client, redirect: redirect, challenge: challenge)
        let login = try await signIn(user, query: query)
        let reply = await identity("GET", "/\(try pool.id)/oauth2/authorize", query: query, fields: ["cookie": "cognito=\(login)"])
        let location = try #require(reply.field("Location"))
        let answer = FormFields(parsing: location.split(separator: "?").last ?? "")
        #expect(answer["state"] == "s t&te")
        return try #require(answer["code"], "\(location)")
    }

    func tokens(_ form: [(name: String, value: String)], fields: [String: String] = [:]) async throws -> Reply {
        await post("/\(try pool.id)/oauth2/token", form: form, fields: fields)
    }

    /// The token answer of a command-line login.
    func commandLineLogin(user: String = "grace") async throws -> JSON {
        let code = try await code(client: "local-command-line-client", redirect: Self.loopbackRedirect, user: user)
        let reply = try await tokens([
            (name: "grant_type", value: "authorization_code"), (name: "client_id", value: "local-command-line-client"), (name: "code", value: code),
            (name: "redirect_uri", value: Self.loopbackRedirect), (name: "code_verifier", value: Self.verifier),
        ])
        #expect(reply.status == 200, "\(reply.body)")
        return try JSON(parsing: Array(reply.body.utf8))
    }

    func refresh(_ token: String, client: String = "local-command-line-client", fields: [String: String] = [:]) async throws -> Reply {
        try await tokens([(name: "grant_type", value: "refresh_token"), (name: "client_id", value: client), (name: "refresh_token", value: token)], fields: fields)
    }

    static func basic(_ client: String, _ secret: String) -> [String: String] {
        ["authorization": "Basic " + Base64.standard(Array("\(client):\(secret)".utf8))]
    }

    static func cookie(_ name: String, in reply: Reply) -> String? {
        reply.fields.filter { $0.name == "Set-Cookie" && $0.value.hasPrefix(name + "=") }
            .map { String($0.value.dropFirst(name.utf8.count + 1).prefix { $0 != ";" }) }.first
    }

    /// Header and claims of a token, unverified.
    static func parts(of token: String) throws -> (header: JSON, claims: JSON) {
        let parts = token.split(separator: ".")
        try #require(parts.count == 3)
        return (try JSON(parsing: try #require(Base64.decodedURL(parts[0]))), try JSON(parsing: try #require(Base64.decodedURL(parts[1]))))
    }

    // MARK: Metadata

    func metadata(_ method: String, _ path: String, query: [(name: String, value: String)] = [], body: String = "") async -> Reply {
        await platform.metadata.answer(Self.call(method, path, query: query, body: body))
    }

    func metadataJSON(_ method: String, _ path: String, query: [(name: String, value: String)] = [], body: String = "", status: Int = 200) async throws -> JSON {
        let reply = await metadata(method, path, query: query, body: body)
        #expect(reply.status == status, "\(method) \(path): \(reply.body)")
        return try JSON(parsing: Array(reply.body.utf8))
    }

    func browser(_ path: String, query: [(name: String, value: String)] = []) async -> Reply {
        await platform.browser.answer(Self.call("GET", path, query: query))
    }
}

extension JSON {
    /// Member names of an object.
    var names: Set<String> { Set(members.map(\.name)) }
    var elements: [JSON] {
        guard case .array(let elements) = self else { return [] }
        return elements
    }
}
