@testable import GatewayConfiguration
import GatewayTerms
import Testing

/// What is accepted, and what the model then says.
@Suite struct AcceptedConfigurationTests {
    static func load(process: String = Example.process, stage: String = Example.stage) throws -> LoadedConfiguration {
        try Configuration.load(
            path: "g.yaml", surroundings: .memory(Example.files(process: process, stage: stage), environment: Example.environment)
        ).get()
    }

    static func route(_ line: String, policy: String = "") throws -> Configuration.Route {
        let loaded = try load(stage: Example.stage
            .replacingFirst("  - { path: /, upstream: service, credentials: [bearer] }", with: "  - \(line)")
            .replacingFirst("  clients:", with: "  browser_client: { id: b, secret: { env: SET } }\n  clients:")
            .replacingFirst("name: command-line }", with: "name: command-line, redirect_ports: [8400] }")
            .replacingFirst("user_pool: us-west-2_Pool1", with: "user_pool: us-west-2_Pool1, domain: \"https://login.example.com\"")
            + policy)
        return try #require(loaded.configuration.stages[0].routes.first)
    }

    static func upstream(_ settings: String) throws -> Configuration.Upstream {
        try load(stage: Example.stage.replacingFirst(#"endpoints: ["http://10.0.0.1:8080"]"#, with: settings)).configuration.stages[0].upstreams[0]
    }

    @Test("The smallest configuration gets the default of every setting")
    func fillsDefaults() throws {
        let loaded = try Self.load()
        #expect(loaded.warnings == [])
        let configuration = loaded.configuration
        #expect(configuration.limits == Configuration.Limits(
            headBytes: .kibibytes(60), fieldLineBytes: .kibibytes(8), cookieBytes: .kibibytes(24), authorizationBytes: .kibibytes(17), fields: 100,
            targetBytes: .kibibytes(8), bodyBytes: .mebibytes(64), connections: 20_000, handshakes: 512, http2Streams: 100, requestsPerConnection: 1000, connectionAge: .seconds(3600)
        ))
        #expect(configuration.timeouts == Configuration.Timeouts(
            head: .seconds(10), handshake: .seconds(10), proxyProtocol: .seconds(5), keepAlive: .seconds(340), http2Ping: .seconds(60), bodyIdle: .seconds(30),
            streamIdle: .seconds(300), sendIdle: .seconds(60)
        ))
        #expect(configuration.compression == Configuration.Compression(isEnabled: true, level: 4, minimumBytes: .kibibytes(1), streams: 256))
        #expect(configuration.drain.acceptFor == .seconds(240))
        #expect(configuration.drain.finishFor == .seconds(60))
        #expect(configuration.health.address.value.description == "[::]:8086")
        #expect(configuration.admin.socket.value == "/run/metaflow-gateway/admin.sock")
        #expect(configuration.admin.metricsAddress?.value.description == "127.0.0.1:9090")
        #expect(configuration.accessLog.destination == .standardOutput)
        #expect(configuration.log.level == .info)
        #expect(configuration.stateDirectory.value == "/var/lib/metaflow-gateway")
        #expect(configuration.eventLoops == nil)
        #expect(configuration.loginSessions == Configuration.LoginSessions(keys: nil, lifetime: .seconds(86_400), idle: .seconds(28_800)))
        #expect(configuration.listeners[0].publicPort == 443)
        #expect(configuration.listeners[0].clientAddress == .peer)
        let stage = configuration.stages[0]
        #expect(stage.publicURL.value.description == "https://alpha.example.com")
        #expect(stage.policy == .none)
        #expect(stage.identity.clockSkew == .seconds(30))
        #expect(stage.identity.tokenBytesMax == .kibibytes(8))
        #expect(stage.identity.clients[0].tokenUse == [.access])
        let upstream = stage.upstreams[0]
        #expect((upstream.connectTimeout, upstream.responseTimeout, upstream.idleTimeout) == (.seconds(2), .seconds(60), .seconds(50)))
        #expect((upstream.connectionsMax, upstream.pendingMax) == (256, 512))
        #expect((upstream.failures, upstream.balance, upstream.keepAlive, upstream.health) == (.browser, .roundRobin, true, nil))
        let route = stage.routes[0]
        #expect((route.index, route.methods, route.stripPrefix, route.forwardAuthorization, route.allowPathParameters) == (0, nil, false, false, false))
    }

    @Test("A section that is written without content has its defaults", arguments: ["limits:", "limits: {}", "limits: ~", "limits:\n  # fields: 3"])
    func acceptsEmptySections(line: String) throws {
        #expect(try Self.load(process: Example.process + line + "\n").configuration.limits.fields == 100)
    }

    @Test("The word off stands in place of a limit where the table says so")
    func acceptsOff() throws {
        let configuration = try Self.load(process: Example.process + "limits: { requests_per_connection: off, connection_age: off }\nadmin: { metrics_address: off }\n").configuration
        #expect(configuration.limits.requestsPerConnection == nil)
        #expect(configuration.limits.connectionAge == nil)
        #expect(configuration.admin.metricsAddress == nil)
    }

    @Test("Both ends of a range are inside it", arguments: [("1KiB", "16"), ("64KiB", "1000")])
    func acceptsEnds(head: String, fields: String) throws {
        let others = "field_line_bytes: 512, cookie_bytes: 1KiB, authorization_bytes: 1KiB, target_bytes: 1KiB"
        let stage = Example.stage.replacingFirst("  clients:", with: "  token_bytes_max: 1KiB\n  clients:")
        let process = Example.process + "limits: { head_bytes: \(head), fields: \(fields), \(others.replacingFirst("authorization_bytes: 1KiB", with: "authorization_bytes: \(head)")) }\n"
        let result = Configuration.load(path: "g.yaml", surroundings: .memory(Example.files(process: process, stage: stage)))
        switch result {
        case .success(let loaded): #expect(loaded.configuration.limits.headBytes == ByteCount(head))
        case .failure(let diagnostics):
            // A head of 1 KiB cannot carry a token of 1 KiB; the range itself is not in question.
            #expect(diagnostics.faults.map(\.setting) == ["identity.token_bytes_max"])
        }
    }

    @Test("Quoting a value changes nothing", arguments: ["log: { level: debug }", "log: { level: \"debug\" }", "log: { level: 'debug' }", "log:\n  level: >-\n    debug"])
    func ignoresQuotes(line: String) throws {
        #expect(try Self.load(process: Example.process + line + "\n").configuration.log.level == .debug)
    }

    @Test("The client's address comes from the peer, the PROXY protocol or X-Forwarded-For", arguments: [
        ("peer", Configuration.ClientAddress.peer),
        ("{ proxy_protocol: { trusted: [10.0.0.0/8, \"2001:db8::/32\"] } }", .proxyProtocol(trusted: [AddressRange("10.0.0.0/8"), AddressRange("2001:db8::/32")].compactMap(\.self))),
        ("{ x_forwarded_for: { trusted: [192.0.2.7] } }", .forwardedFor(trusted: [AddressRange("192.0.2.7")].compactMap(\.self))),
    ])
    func readsClientAddress(text: String, expected: Configuration.ClientAddress) throws {
        let loaded = try Self.load(process: Example.process.replacingFirst("stages:", with: "    client_address: \(text)\nstages:"))
        #expect(loaded.configuration.listeners[0].clientAddress == expected)
    }

    @Test("A listener carries its certificates with their places")
    func placesCertificates() throws {
        let loaded = try Self.load(process: Example.process.replacingFirst("key: key.pem }]", with: "key: key.pem }, { chain: ca.pem, key: keys.json }], minimum_version: \"1.3\""))
        guard case .stages(let tls) = loaded.configuration.listeners[0].role else {
            Issue.record("The listener speaks TLS.")
            return
        }
        #expect(tls.minimumVersion == .tls13)
        #expect(tls.certificates.map(\.chain.path) == ["chain.pem", "ca.pem"])
        #expect(tls.certificates[1].key.location.description == "g.yaml:3:85")
    }

    @Test("An OIDC provider's issuer stays as it is written, and discovery lies below it", arguments: [
        ("https://login.example.com", "https://login.example.com/.well-known/openid-configuration"),
        ("https://login.example.com/", "https://login.example.com/.well-known/openid-configuration"),
        ("https://login.example.com/tenant1", "https://login.example.com/tenant1/.well-known/openid-configuration"),
        ("http://127.0.0.1:9000/realm", "http://127.0.0.1:9000/realm/.well-known/openid-configuration"),
    ])
    func readsOIDC(issuer: String, discovery: String) throws {
        let identity = try Self.load(stage: Example.stage.replacingFirst("cognito: { region: us-west-2, user_pool: us-west-2_Pool1 }", with: "oidc: { issuer: \"\(issuer)\" }")).configuration.stages[0].identity
        #expect(identity.issuer == issuer)
        #expect(identity.discoveryURL == discovery)
        #expect(identity.keySetURL == nil)
    }

    @Test("Cognito's issuer and key set follow from region and pool, or from the endpoint", arguments: [
        ("", "https://cognito-idp.us-west-2.amazonaws.com/us-west-2_Pool1"),
        (", endpoint: \"http://127.0.0.1:9000\"", "http://127.0.0.1:9000/us-west-2_Pool1"),
        (", endpoint: \"http://localhost:9000/\"", "http://localhost:9000/us-west-2_Pool1"),
        (", endpoint: \"https://cognito.example.com\"", "https://cognito.example.com/us-west-2_Pool1"),
    ])
    func derivesIssuer(setting: String, issuer: String) throws {
        let identity = try Self.load(stage: Example.stage.replacingFirst("us-west-2_Pool1", with: "us-west-2_Pool1\(setting)")).configuration.stages[0].identity
        #expect(identity.issuer == issuer)
        #expect(identity.keySetURL == issuer + "/.well-known/jwks.json")
    }

    @Test("A secret is read from its file without the line's end, or from its variable", arguments: ["{ file: secret }", "{ env: SET }"])
    func readsSecrets(source: String) throws {
        let loaded = try Self.load(process: Example.process + "login_sessions: { keys: \(source) }\n")
        #expect(loaded.configuration.loginSessions.keys?.value == Secret("hunter2-hunter2"))
        var dumped = ""
        dump(loaded, to: &dumped)
        #expect(!dumped.contains("hunter2"))
    }

    @Test("An upstream's balance is a word or a hash", arguments: [
        ("round_robin", Configuration.Upstream.Balance.roundRobin), ("least_requests", .leastRequests),
        ("{ hash: login_session }", .hashLoginSession), ("{ hash: client_address }", .hashClientAddress),
    ])
    func readsBalance(text: String, expected: Configuration.Upstream.Balance) throws {
        #expect(try Self.upstream("endpoints: [\"http://a.example.com:80\"], balance: \(text)").balance == expected)
    }

    @Test("A health check is a path, or a mapping with its times", arguments: [
        ("/ping", Duration.seconds(5), Duration.seconds(1), 3, 2),
        ("{ path: /ping }", .seconds(5), .seconds(1), 3, 2),
        ("{ path: /ping, interval: 10s, timeout: 500ms, unhealthy_after: 1, healthy_after: 5 }", .seconds(10), .milliseconds(500), 1, 5),
    ])
    func readsHealth(text: String, interval: Duration, timeout: Duration, unhealthy: Int, healthy: Int) throws {
        let health = try #require(try Self.upstream("endpoints: [\"http://a.example.com:80\"], health: \(text)").health)
        #expect(health.path.value.description == "/ping")
        #expect((health.interval, health.timeout, health.unhealthyAfter, health.healthyAfter) == (interval, timeout, unhealthy, healthy))
    }

    @Test("An endpoint is a scheme, a host and a port", arguments: [
        ("http://metadata.metaflow.svc:8080", WebURL.Scheme.http, "metadata.metaflow.svc", UInt16(8080)), ("https://a.example.com", .https, "a.example.com", 443),
        ("http://a.example.com", .http, "a.example.com", 80), ("http://[::1]:9001", .http, "::1", 9001), ("https://10.0.0.1:8443", .https, "10.0.0.1", 8443),
    ])
    func readsEndpoints(text: String, scheme: WebURL.Scheme, host: String, port: UInt16) throws {
        let endpoint = try Self.upstream("endpoints: [\"\(text)\"]").endpoints[0]
        #expect((endpoint.scheme, endpoint.host.text, endpoint.port) == (scheme, host, port))
        #expect(endpoint.location.description == "stage.yaml:7:26")
    }

    @Test("An https upstream may name its authority and the server's name")
    func readsUpstreamTLS() throws {
        let upstream = try Self.upstream("endpoints: [\"https://10.0.0.1:8443\"], ca_file: ca.pem, server_name: a.example.com")
        #expect(upstream.caFile?.path == "ca.pem")
        #expect(upstream.serverName?.value.text == "a.example.com")
    }

    @Test("A route is forwarded, served, answered or redirected", arguments: [
        ("{ path: /, upstream: service, credentials: [bearer] }", Configuration.Route.Action.upstream(Located("service", at: SourceLocation(file: "", line: 0, column: 0)))),
        ("{ path: /cli, service: command-line-api }", .service(.commandLineAPI)),
        ("{ path: /x, respond: 404 }", .respond(404)),
        ("{ path: /x, respond: 204 }", .respond(204)),
        ("{ path: /x, redirect: /y }", .redirect(Configuration.Route.Redirect.to("/y", 308))),
        ("{ path: /x, redirect: \"https://example.com/y\" }", .redirect(Configuration.Route.Redirect.to("https://example.com/y", 308))),
        ("{ path: /x, redirect: { to: /y/, status: 302 } }", .redirect(Configuration.Route.Redirect.to("/y/", 302))),
    ])
    func readsActions(line: String, expected: Configuration.Route.Action) throws {
        #expect(try Self.route(line).action == expected)
    }

    @Test("A route carries all that it says")
    func readsRoute() throws {
        let route = try Self.route("""
        { path: /api/v1, methods: [GET, PATCH], upstream: service, credentials: [bearer, login_session, api_key], strip_prefix: true, failures: metaflow,
              body_bytes: 0, timeout: 90s, forward_authorization: true, allow_path_parameters: true, compress: false, allow_trailers: [Grpc-Status, X-Checksum] }
        """)
        #expect(route.path.value.description == "/api/v1")
        #expect(route.path.location.description == "stage.yaml:10:13")
        #expect(route.methods == [.get, .patch])
        #expect(route.credentials == [.bearer, .loginSession, .apiKey])
        #expect(route.stripPrefix)
        #expect(route.failures == .metaflow)
        #expect(route.bodyBytesMax == ByteCount(0))
        #expect(route.timeout == .seconds(90))
        #expect(route.forwardAuthorization)
        #expect(route.allowPathParameters)
        #expect(!route.compress)
        #expect(route.allowTrailers == ["grpc-status", "x-checksum"])
    }

    @Test("A public route says why, and keeps the reason")
    func readsPublicRoutes() throws {
        let route = try Self.route("{ path: /static, upstream: service, public: \"style sheets and pictures\" }")
        #expect(route.publicReason == "style sheets and pictures")
        #expect(route.credentials == [])
    }

    @Test("A path in canonical form is a route's", arguments: ["/", "/a", "/api/metadata", "/a.b-c_d~e", "/a%20b", "/a:b@c", "/%C3%A9"])
    func acceptsPaths(path: String) throws {
        #expect(try Self.route("{ path: \"\(path)\", respond: 404 }").path.value.description == path)
    }

    @Test("Routes of one path are distinct when their methods are", arguments: [
        ["methods: [GET]", "methods: [POST]"], ["methods: [GET, HEAD]", "methods: [POST, PUT]", "methods: [DELETE]"],
        ["methods: [GET]", ""], ["", "methods: [POST, PATCH]"],
        ["methods: [GET, HEAD, POST]", "methods: [PUT, PATCH, DELETE]", ""],
    ])
    func acceptsSplitMethods(methods: [String]) throws {
        let lines = methods.map { "  - { path: /, upstream: service, credentials: [bearer]\($0.isEmpty ? "" : ", " + $0) }\n" }
        let loaded = try Self.load(stage: Example.stage.replacingFirst("  - { path: /, upstream: service, credentials: [bearer] }\n", with: lines.joined()))
        #expect(loaded.configuration.stages[0].routes.map(\.index) == Array(methods.indices))
    }

    @Test("A route's policy is completed from its stage's, and may demand more, or less with a reason", arguments: [
        ("", ["science", "ops"], ["metaflow/read"], nil as String?),
        (", policy: { groups: [ops] }", ["ops"], ["metaflow/read"], nil),
        (", policy: { groups: [ops, science] }", ["ops", "science"], ["metaflow/read"], nil),
        (", policy: { scopes: [metaflow/write, metaflow/read] }", ["science", "ops"], ["metaflow/write", "metaflow/read"], nil),
        (", policy: {}", ["science", "ops"], ["metaflow/read"], nil),
        (", policy: { groups: [guests], widens: \"guests look on\" }", ["guests"], ["metaflow/read"], "guests look on"),
        (", policy: { groups: [], scopes: [], widens: \"everybody\" }", [], [], "everybody"),
    ])
    func completesPolicy(policy: String, groups: [String], scopes: [String], widens: String?) throws {
        let route = try Self.route(
            "{ path: /, upstream: service, credentials: [bearer]\(policy) }", policy: "policy: { groups: [science, ops], scopes: [metaflow/read] }\n"
        )
        #expect(route.policy == Configuration.Policy(groups: groups, scopes: scopes))
        #expect(route.widensReason == widens)
        #expect((route.policyLocation != nil) == !policy.isEmpty)
    }

    @Test("A policy is as strict as another when it admits nobody more", arguments: [
        ([], [], [], [], true), (["a"], [], [], [], true), ([], [], ["a"], [], false), (["a"], [], ["a", "b"], [], true), (["a", "b"], [], ["a"], [], false),
        ([], ["s"], [], [], true), ([], [], [], ["s"], false), (["a"], ["s", "t"], ["a"], ["s"], true), (["a"], ["t"], ["a"], ["s"], false),
    ] as [([String], [String], [String], [String], Bool)])
    func comparesPolicies(groups: [String], scopes: [String], otherGroups: [String], otherScopes: [String], expected: Bool) {
        let policy = Configuration.Policy(groups: groups, scopes: scopes), other = Configuration.Policy(groups: otherGroups, scopes: otherScopes)
        #expect(policy.isAtLeastAsStrict(as: other) == expected)
    }

    @Test("Two configurations are equal when they mean the same, wherever their parts stand")
    func ignoresPlaces() throws {
        let first = try Self.load(), second = try Self.load(process: "# moved\n\n" + Example.process, stage: "# moved\n" + Example.stage)
        #expect(first.configuration == second.configuration)
        #expect(first.version != second.version)
        let third = try Self.load(process: Example.process + "log: { level: debug }\n")
        #expect(first.configuration != third.configuration)
    }

    @Test("Equal text has an equal version, and every file that matters is listed once")
    func listsFiles() throws {
        let stage = Example.stage.replacingFirst("  clients:", with: "  key_set_file: keys.json\n  clients:")
        let process = Example.process.replacingFirst("key: key.pem }]", with: "key: key.pem }, { chain: chain.pem, key: key.pem }]") + "login_sessions: { keys: { file: secret } }\n"
        let loaded = try Self.load(process: process, stage: stage)
        #expect(loaded.files == ["g.yaml", "chain.pem", "key.pem", "secret", "stage.yaml", "keys.json"])
        #expect(loaded.version == (try Self.load(process: process, stage: stage)).version)
        #expect(loaded.version.utf8.count == 16)
    }

    @Test("Paths are resolved against the folder of the file that names them", arguments: [
        ("/etc/gateway/g.yaml", "stages/alpha.yaml", "/etc/gateway/stages/alpha.yaml"), ("config/g.yaml", "../a.yaml", "config/../a.yaml"),
        ("g.yaml", "./a.yaml", "a.yaml"), ("config/g.yaml", "./a.yaml", "config/a.yaml"), ("config/g.yaml", "/srv/a.yaml", "/srv/a.yaml"),
    ])
    func resolvesPaths(path: String, named: String, resolved: String) throws {
        let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? ""
        var files = [path: Example.process.replacingFirst("stage.yaml", with: "\"\(named)\""), resolved: Example.stage]
        files[folder + "chain.pem"] = ""
        files[folder + "key.pem"] = ""
        let loaded = try Configuration.load(path: path, surroundings: .memory(files)).get()
        #expect(loaded.files.last == resolved)
        #expect(loaded.configuration.stages[0].name.location.file == resolved)
    }
}

extension Configuration.Route.Redirect {
    static func to(_ location: String, _ status: Int) -> Self {
        Configuration.Route.Redirect(status: status, location: Located(location, at: SourceLocation(file: "", line: 0, column: 0)))
    }
}
