import ConfigurationJudgement
import GatewayConfiguration
import Testing

/// Two configurations, the second made from the first by replacing texts, and every change between them.
struct Pair: Sendable, CustomTestStringConvertible {
    let title: String
    let before: [Edit]
    let after: [Edit]
    /// `weaker alpha: /debug becomes public`, in order.
    let expected: [String]

    var testDescription: String { title }

    /// - Parameters:
    ///   - before: what both have in place of the example's text.
    init(_ title: String, before: [Edit] = [], _ after: Edit..., expect expected: [String]) {
        (self.title, self.before, self.after, self.expected) = (title, before, after, expected)
    }

    struct Edit: Sendable {
        let old: String
        let new: String
    }

    var old: Configuration { get throws { try Pair.load(before) } }
    var new: Configuration { get throws { try Pair.load(before + after) } }

    var changes: [String] {
        get throws { try Judgement(of: new, against: old).changes.map { "\($0.effect.rawValue) \($0)" } }
    }

    static func load(_ edits: [Edit]) throws -> Configuration {
        var (process, stage) = (Pair.process, Pair.stage)
        for edit in edits {
            if process.contains(edit.old) {
                process = process.replacing(edit.old, with: edit.new, maxReplacements: 1)
            } else {
                try #require(stage.contains(edit.old), "the example has no \(edit.old)")
                stage = stage.replacing(edit.old, with: edit.new, maxReplacements: 1)
            }
        }
        // Certificates and secrets are not needed to compare.
        let texts = ["g.yaml": process, "alpha.yaml": stage, "beta.yaml": Pair.second].map { ConfigurationText(path: $0.key, bytes: Array($0.value.utf8)) }
        switch Configuration.load(path: "g.yaml", surroundings: .texts(texts)) {
        case .success(let loaded): return loaded.configuration
        case .failure(let diagnostics):
            Issue.record("\(diagnostics)")
            throw diagnostics
        }
    }

    static let process = """
    listeners:
      - address: 127.0.0.1:8443
        tls: { certificates: [{ chain: chain.pem, key: key.pem }], minimum_version: "1.3" }
        client_address: { proxy_protocol: { trusted: [10.0.0.0/16] } }
      - { address: 127.0.0.1:8080, redirect_to_https: true }
    login_sessions: { lifetime: 24h, idle: 8h }
    limits: { requests_per_connection: 1000, connection_age: 1h }
    stages: [alpha.yaml]

    """

    static let stage = """
    stage: alpha
    host: alpha.example.com
    identity:
      cognito: { region: us-west-2, user_pool: us-west-2_Pool1, domain: "https://login.example.com" }
      browser_client: { id: browser1, secret: { env: SECRET } }
      clients:
        - { id: client1, name: command-line, redirect_ports: [8400] }
        - { id: client2, name: nightly, scopes: [metaflow/write], groups: [science] }
    policy: { groups: [science, operators], scopes: [] }
    upstreams:
      metadata: { endpoints: ["http://10.0.0.1:8080"] }
      ui: { endpoints: ["http://10.0.0.2:8083"] }
      secure: { endpoints: ["https://10.0.0.3:443"], ca_file: ca.pem, server_name: secure.example.com }
    routes:
      - { path: /cli, service: command-line-api }
      - { path: /api/metadata/auth/token, respond: 404 }
      - { path: /api/metadata, upstream: metadata, credentials: [bearer, login_session] }
      - { path: /api/admin, upstream: ui, credentials: [login_session], policy: { groups: [operators] } }
      - { path: /api/read, methods: [GET, HEAD], upstream: ui, credentials: [bearer] }
      - { path: /api, upstream: ui, credentials: [login_session, bearer] }
      - { path: /static, upstream: ui, public: "pictures" }
      - { path: /old, redirect: /new }
      - { path: /secure, upstream: secure, credentials: [login_session] }
      # more routes

    """

    static let second = """
    stage: beta
    host: beta.example.com
    identity:
      cognito: { region: us-west-2, user_pool: us-west-2_Pool2 }
      clients: [{ id: client3, name: command-line }]
    upstreams:
      service: { endpoints: ["http://10.0.0.9:8080"] }
    routes:
      - { path: /, upstream: service, credentials: [bearer] }
      - { path: /open, upstream: service, public: "everybody may" }
      - { path: /none, respond: 404 }

    """
}

/// Binds less than `+`, so that texts can be put together on either side.
precedencegroup ReplacementPrecedence { lowerThan: AdditionPrecedence }
infix operator =>: ReplacementPrecedence
func => (old: String, new: String) -> Pair.Edit { Pair.Edit(old: old, new: new) }
/// Routes added to the stage.
func routes(_ lines: String...) -> Pair.Edit { "  # more routes" => lines.map { "  - \($0)" }.joined(separator: "\n") + "\n  # more routes" }
func without(_ line: String) -> Pair.Edit { "  - \(line)\n" => "" }
