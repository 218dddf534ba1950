@testable import GatewayConfiguration
import GatewayTerms
import Testing

/// `command_line_api`: what a stage tells the Metaflow extension.
@Suite struct CommandLineAPIReaderTests {
    static func load(_ lines: String = "", change: (String) -> String = { $0 }) throws -> (stage: Configuration.Stage, warnings: [Diagnostic]) {
        let loaded = try AcceptedConfigurationTests.load(stage: change(Example.serving) + lines)
        return (loaded.configuration.stages[0], loaded.warnings)
    }

    @Test("A stage that serves it gets the default of every setting")
    func fillsDefaults() throws {
        let (stage, warnings) = try Self.load()
        #expect(warnings == [])
        let service = try #require(stage.commandLineAPI)
        #expect((service.clientID, service.scopes, service.redirectPorts) == ("client1", ["openid"], [8400, 8401]))
        #expect((service.settings, service.identityPool, service.wheel, service.requestsPerMinute) == ([:], nil, nil, nil))
        #expect(service.minimumExtensionVersion.description == "1.0.0")
    }

    @Test("A stage that does not serve it has none")
    func isAbsent() throws {
        #expect(try AcceptedConfigurationTests.load().configuration.stages[0].commandLineAPI == nil)
    }

    @Test("It carries all that it says")
    func readsAll() throws {
        let (stage, warnings) = try Self.load("""
        command_line_api:
          client: people
          scopes: [openid, email]
          settings:
            METAFLOW_SERVICE_URL: https://alpha.example.com/api/metadata
            METAFLOW_DEFAULT_DATASTORE: s3
            METAFLOW_SERVICE_RETRY_COUNT: 7
          identity_pool: { id: "us-west-2:01234567-89ab-cdef-0123-456789ABCDEF", region: us-west-2 }
          wheel: metaflow_gateway_extension-1.2.0-py3-none-any.whl
          minimum_extension_version: "1.2"

        """) {
            $0.replacingFirst("clients: [", with: "clients: [{ id: client2, name: people, scopes: [metaflow/read, email], redirect_ports: [8402] }, ")
                + "policy: { scopes: [metaflow/all, openid] }\n"
        }
        #expect(warnings == [])
        let service = try #require(stage.commandLineAPI)
        #expect(service.clientID == "client2")
        #expect(service.scopes == ["openid", "email", "metaflow/read", "metaflow/all"])
        #expect(service.redirectPorts == [8402])
        #expect(service.settings == [
            "METAFLOW_SERVICE_URL": "https://alpha.example.com/api/metadata", "METAFLOW_DEFAULT_DATASTORE": "s3", "METAFLOW_SERVICE_RETRY_COUNT": "7",
        ])
        #expect(service.identityPool == Configuration.CommandLineAPI.IdentityPool(id: "us-west-2:01234567-89ab-cdef-0123-456789ABCDEF", region: "us-west-2"))
        #expect(service.wheel?.name.description == "metaflow_gateway_extension-1.2.0-py3-none-any.whl")
        #expect(service.wheel?.bytes == Array("PK\u{3}\u{4} wheel".utf8))
        #expect(service.minimumExtensionVersion == ExtensionVersion("1.2.0"))
    }

    @Test("The wheel is a file that the configuration depends on")
    func watchesWheel() throws {
        let loaded = try AcceptedConfigurationTests.load(stage: Example.serving + "command_line_api: { wheel: metaflow_gateway_extension-1.2.0-py3-none-any.whl }\n")
        #expect(loaded.files.contains("metaflow_gateway_extension-1.2.0-py3-none-any.whl"))
    }

    @Test("Without a word of it, a client address that is known has a limit, and one that may be a load balancer's has none", arguments: [
        ("{ proxy_protocol: { trusted: [10.0.0.0/8] } }", "", 300), ("{ x_forwarded_for: { trusted: [10.0.0.0/8] } }", "", 300), ("peer", "", nil),
        ("{ proxy_protocol: { trusted: [10.0.0.0/8] } }", "command_line_api: { requests_per_minute: off }\n", nil),
        ("peer", "command_line_api: { requests_per_minute: off }\n", nil),
    ] as [(String, String, Int?)])
    func usualLimit(clientAddress: String, section: String, expected: Int?) throws {
        let loaded = try Configuration.load(path: "g.yaml", surroundings: .memory(Example.files(
            process: Example.process.replacingFirst("stages:", with: "    client_address: \(clientAddress)\n  - { address: 127.0.0.1:8081, redirect_to_https: true }\nstages:"),
            stage: Example.serving + section))).get()
        #expect(loaded.configuration.stages[0].commandLineAPI?.requestsPerMinute == expected)
    }

    @Test("A limit for each client address needs listeners that know the clients", arguments: [
        ("{ proxy_protocol: { trusted: [10.0.0.0/8] } }", 600), ("{ x_forwarded_for: { trusted: [10.0.0.0/8] } }", 600), ("peer", nil),
    ] as [(String, Int?)])
    func limits(clientAddress: String, expected: Int?) throws {
        let loaded = Configuration.load(path: "g.yaml", surroundings: .memory(Example.files(
            process: Example.process.replacingFirst("stages:", with: "    client_address: \(clientAddress)\n  - { address: 127.0.0.1:8081, redirect_to_https: true }\nstages:"),
            stage: Example.serving + "command_line_api: { requests_per_minute: 600 }\n")))
        switch loaded {
        case .success(let loaded): #expect(loaded.configuration.stages[0].commandLineAPI?.requestsPerMinute == expected)
        case .failure(let diagnostics):
            #expect(expected == nil)
            #expect(diagnostics.all.map(\.description) == [
                "stage.yaml:11:19: command_line_api.requests_per_minute: needs to know the clients, and a listener takes the TCP peer for one. Set its client_address to proxy_protocol or x_forwarded_for, or take the limit away.",
            ])
        }
    }

    @Test("Cognito's login pages give the endpoints, and its issuer the name of the provider")
    func derivesEndpoints() throws {
        let (stage, _) = try Self.load()
        guard case .cognito(var cognito) = stage.identity.provider else {
            Issue.record("The stage has a user pool.")
            return
        }
        #expect(cognito.loginEndpoint("token") == "https://login.example.com/oauth2/token")
        #expect(stage.identity.loginProviderName == "cognito-idp.us-west-2.amazonaws.com/us-west-2_Pool1")
        cognito.domain = nil
        #expect(cognito.loginEndpoint("token") == nil)
    }

    @Test("A stage from which nobody could log in, or that would give out what it may not, is refused", arguments: cases)
    func reports(change: Change) {
        #expect(change.diagnostics == change.expected)
    }

    static let cases: [Change] = [
        .serving("A path that is not /cli", "path: /cli", "path: /command", ["stage.yaml:9:13: routes[0].path: /command is not /cli, where the Metaflow extension and its users look for the service. Serve it there."]),
        .serving("A stage's name in capitals", "stage: alpha", "stage: Alpha", ["stage.yaml:1:8: stage: Alpha names a login of the Metaflow extension too, so it takes small letters, digits and '-' inside, at most 63 bytes."]),
        .serving("A stage's name with a dot", "stage: alpha", "stage: alpha.1", ["stage.yaml:1:8: stage: alpha.1 names a login of the Metaflow extension too, so it takes small letters, digits and '-' inside, at most 63 bytes."]),
        .serving("No login pages", ", domain: \"https://login.example.com\"", "", ["stage.yaml:4:22: identity.cognito.domain: is missing, and routes[0].service needs the login pages there. Set it to the pool's domain, https://….amazoncognito.com."]),
        .serving("No client with redirect ports", ", redirect_ports: [8400, 8401]", "", ["stage.yaml:9:5: routes[0].service: needs a client with redirect_ports, or nobody can log in from the command line. Give the command-line client its redirect_ports."]),
        .serving("Two clients with redirect ports", "clients: [", "clients: [{ id: client2, name: other, redirect_ports: [1] }, ", ["stage.yaml:1:1: command_line_api.client: is missing, and several clients have redirect_ports: other, command-line. Name the one that people log in with."]),
        .serving("A client without redirect ports, named", "clients: [", "clients: [{ id: client2, name: jobs }, ", adding: "command_line_api: { client: jobs }\n", [
            "stage.yaml:5:13: identity.clients: needs a client with redirect_ports, or nobody can log in from the command line. Give the command-line client its redirect_ports.",
        ]),
        .serving("A client that there is not", adding: "command_line_api: { client: command-lin }", ["stage.yaml:11:29: command_line_api.client: command-lin is no client of this stage. Did you mean command-line?"]),
        .serving("A client whose access tokens are refused", "name: command-line", "name: command-line, token_use: [id]", ["stage.yaml:5:13: identity.clients: command-line is the client of the command-line login, whose access tokens must be accepted. Add access to its token_use."]),
        .serving("A client that is no name", adding: "command_line_api: { client: \"a b\" }", ["stage.yaml:11:29: command_line_api.client: \"a b\" is not a name of letters, digits, '-', '_' and '.', at most 64 bytes."]),
        .serving("No scopes", adding: "command_line_api: { scopes: [] }", ["stage.yaml:11:29: command_line_api.scopes: is empty. It takes a list of 1…50, each printable ASCII without spaces, at most 256 bytes."]),
        .serving("A scope with a space", adding: "command_line_api: { scopes: [\"a b\"] }", ["stage.yaml:11:30: command_line_api.scopes[0]: \"a b\" is not printable ASCII without spaces, at most 256 bytes."]),
        .serving("A setting of another program", adding: "command_line_api: { settings: { AWS_PROFILE: x } }", ["stage.yaml:11:33: command_line_api.settings.AWS_PROFILE: AWS_PROFILE is not the name of a Metaflow setting, METAFLOW_ and capital letters, digits and '_'."]),
        .serving("A setting in small letters", adding: "command_line_api: { settings: { METAFLOW_user: x } }", ["stage.yaml:11:33: command_line_api.settings.METAFLOW_user: METAFLOW_user is not the name of a Metaflow setting, METAFLOW_ and capital letters, digits and '_'."]),
        .serving("A credential among the settings", adding: "command_line_api: { settings: { METAFLOW_SERVICE_AUTH_KEY: k, METAFLOW_SERVICE_HEADERS: h } }", [
            "stage.yaml:11:33: command_line_api.settings.METAFLOW_SERVICE_AUTH_KEY: may not be given out: everybody can read these settings. Take it away.",
            "stage.yaml:11:63: command_line_api.settings.METAFLOW_SERVICE_HEADERS: may not be given out: everybody can read these settings. Take it away.",
        ]),
        .serving("A metadata service elsewhere", adding: "command_line_api: { settings: { METAFLOW_SERVICE_URL: \"https://evil.example.com/\" } }", [
            "stage.yaml:11:55: command_line_api.settings.METAFLOW_SERVICE_URL: https://evil.example.com/ is not an address on https://alpha.example.com, and tokens of this stage go nowhere else.",
        ]),
        .serving("A metadata service in plain text", adding: "command_line_api: { settings: { METAFLOW_SERVICE_URL: \"http://alpha.example.com/\" } }", [
            "stage.yaml:11:55: command_line_api.settings.METAFLOW_SERVICE_URL: http://alpha.example.com/ is not an address on https://alpha.example.com, and tokens of this stage go nowhere else.",
        ]),
        .serving("A setting without value", adding: "command_line_api: { settings: { METAFLOW_X: } }", ["stage.yaml:11:45: command_line_api.settings.METAFLOW_X: has no value. It takes text of at most 8192 bytes."]),
        .serving("A setting that is a list", adding: "command_line_api: { settings: { METAFLOW_X: [a] } }", ["stage.yaml:11:45: command_line_api.settings.METAFLOW_X: takes a single value: text of at most 8192 bytes."]),
        .serving("A setting of two lines", adding: "command_line_api: { settings: { METAFLOW_X: \"a\\nb\" } }", ["stage.yaml:11:45: command_line_api.settings.METAFLOW_X: \"a\\u{a}b\" is not text of at most 8192 bytes."]),
        .serving("Settings that are a list", adding: "command_line_api: { settings: [METAFLOW_X] }", ["stage.yaml:11:31: command_line_api.settings: must be a mapping, KEY: VALUE."]),
        .serving("Settings without any", adding: "command_line_api: { settings: {} }", ["stage.yaml:11:31: command_line_api.settings: has 0 entries. It takes 1…200 pairs, METAFLOW_NAME: TEXT of at most 8192 bytes."]),
        .serving("An identity pool without region", adding: "command_line_api: { identity_pool: { id: \"us-west-2:01234567-89ab-cdef-0123-456789abcdef\" } }", ["stage.yaml:11:36: command_line_api.identity_pool.region: is missing. It takes an AWS region, us-west-2."]),
        .serving("An identity pool of another region", adding: "command_line_api: { identity_pool: { region: eu-west-1, id: \"us-west-2:01234567-89ab-cdef-0123-456789abcdef\" } }", [
            "stage.yaml:11:61: command_line_api.identity_pool.id: us-west-2:01234567-89ab-cdef-0123-456789abcdef is not a pool of region eu-west-1. A pool's id begins with its region.",
        ]),
        .serving("A user pool in the identity pool's place", adding: "command_line_api: { identity_pool: { region: us-west-2, id: us-west-2_Pool1 } }", ["stage.yaml:11:61: command_line_api.identity_pool.id: us-west-2_Pool1 is not an identity pool id, REGION:UUID."]),
        .serving("An identity pool without an ID token", adding: "command_line_api: { scopes: [email], identity_pool: { region: us-west-2, id: \"us-west-2:01234567-89ab-cdef-0123-456789abcdef\" } }", [
            "stage.yaml:11:29: command_line_api.scopes: must hold openid: identity_pool takes the ID token, which no other scope brings.",
        ]),
        .serving("A wheel that is missing", adding: "command_line_api: { wheel: dist/metaflow_gateway_extension-1.0.0-py3-none-any.whl }", ["stage.yaml:11:28: command_line_api.wheel: dist/metaflow_gateway_extension-1.0.0-py3-none-any.whl does not exist. Make it with python3 deploy/metaflow-extension/build_wheel.py --out FOLDER, or name a file that this process may read."]),
        .serving("A wheel under another name", adding: "command_line_api: { wheel: chain.pem }", ["stage.yaml:11:28: command_line_api.wheel: chain.pem is not named metaflow_gateway_extension-VERSION-py3-none-any.whl, and pip goes by the name. Name the file that deploy/metaflow-extension/build_wheel.py makes."]),
        .serving("A wheel that is no archive", adding: "command_line_api: { wheel: metaflow_gateway_extension-1.3.0-py3-none-any.whl }", ["stage.yaml:11:28: command_line_api.wheel: metaflow_gateway_extension-1.3.0-py3-none-any.whl is no zip archive, so it is no wheel. Build it again."]),
        .serving("A wheel older than the oldest that may be", adding: "command_line_api: { minimum_extension_version: 1.10.0, wheel: metaflow_gateway_extension-1.2.0-py3-none-any.whl }", [
            "stage.yaml:11:63: command_line_api.wheel: 1.2.0 is older than minimum_extension_version, 1.10.0, so that users could not satisfy it. Give a newer wheel, or lower that.",
        ]),
        .serving("A version with letters", adding: "command_line_api: { minimum_extension_version: 1.0rc1 }", ["stage.yaml:11:48: command_line_api.minimum_extension_version: 1.0rc1 is not one to six whole numbers with dots between them, 1.0.0."]),
        .serving("A limit of nothing", adding: "command_line_api: { requests_per_minute: 0 }", ["stage.yaml:11:42: command_line_api.requests_per_minute: 0 is outside 1…1000000 or off. Set a value in that range."]),
        .serving("A misspelt setting", adding: "command_line_api: { weel: x }", ["stage.yaml:11:21: command_line_api.weel: is not a setting. Did you mean wheel?"]),
        .stage("Nobody serves it", "stage: alpha", "stage: alpha\ncommand_line_api: { minimum_extension_version: 1.1.0 }", ["stage.yaml:2:19: warning: command_line_api: has no effect: no route has service: command-line-api."]),
    ]
}
