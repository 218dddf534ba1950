import Foundation
import GatewayConfiguration
import GatewayTerms
import Testing

/// The files in `config/`, which operators copy from.
@Suite("The files in config/")
struct ConfigurationFilesTests {
    static let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().appending(path: "config")

    /// Reads from the repository; what a deployment adds (certificates, key ring, client secrets, the wheel) is supplied.
    static let surroundings: Surroundings = {
        var surroundings = Surroundings.machine
        surroundings.fault = { path in path.hasSuffix(".pem") || path.hasPrefix("/etc/metaflow-gateway/tls/") ? nil : Surroundings.machine.fault(path) }
        surroundings.read = { path, limit in
            if path.hasSuffix(".whl") { return .success(Array("PK\u{3}\u{4} built by the deployment".utf8)) }
            return path.hasPrefix("/etc/metaflow-gateway/") ? .success(Array("supplied by the deployment".utf8)) : Surroundings.machine.read(path, limit)
        }
        return surroundings
    }()

    static func load(_ name: String) throws -> LoadedConfiguration {
        try Configuration.load(path: folder.appending(path: name).path, surroundings: surroundings).get()
    }

    @Test("Each loads without a fault or a warning", arguments: ["gateway.yaml", "local.yaml"])
    func loads(name: String) throws {
        let loaded = try Self.load(name)
        #expect(loaded.warnings == [])
    }

    @Test("gateway.yaml serves the three stages at their hosts")
    func servesThreeStages() throws {
        let configuration = try Self.load("gateway.yaml").configuration
        #expect(configuration.stages.map(\.name.value) == ["alpha", "sandbox", "prod"])
        for stage in configuration.stages {
            #expect(stage.host.value.text == "\(stage.name.value).metaflow.simulation.amazon.dev")
            #expect(stage.publicURL.value.description == "https://\(stage.host.value)")
            #expect(stage.identity.issuer.hasPrefix("https://cognito-idp.us-west-2.amazonaws.com/us-west-2_Example"))
            #expect(stage.commandLineAPI?.redirectPorts == [8400, 8401, 8402])
            #expect(stage.commandLineAPI?.identityPool?.region == "us-west-2")
            #expect(stage.commandLineAPI?.settings["METAFLOW_DATASTORE_SYSROOT_S3"]?.hasPrefix("s3://metaflow-\(stage.name.value)-") == true)
            #expect(stage.routes.map(\.path.value.description) == ["/cli", "/api/metadata/auth/token", "/api/metadata", "/api/status", "/api", "/"])
        }
    }

    @Test("Every stage gives out the wheel of the extension that stands beside it", arguments: ["gateway.yaml", "local.yaml"])
    func givesOutWheel(name: String) throws {
        let source = Self.folder.deletingLastPathComponent().appending(path: "deploy/metaflow-extension/source/metaflow_extensions/gateway/login/version.py")
        let version = try #require(try String(contentsOf: source, encoding: .utf8).firstMatch(of: /(?m)^VERSION = "([0-9.]+)"$/)?.1)
        for stage in try Self.load(name).configuration.stages {
            #expect(stage.commandLineAPI?.wheel?.name.description == "metaflow_gateway_extension-\(version)-py3-none-any.whl", "\(stage.name.value)")
        }
    }

    @Test("gateway.yaml writes every setting at the default of the table")
    func writesDefaults() throws {
        let written = try Self.load("gateway.yaml").configuration
        let minimal = try Configuration.load(path: "g.yaml", surroundings: Surroundings.memory(Example.files)).get().configuration
        #expect(written.limits == minimal.limits)
        #expect(written.timeouts == minimal.timeouts)
        #expect(written.compression == minimal.compression)
        #expect(written.drain == minimal.drain)
        #expect(written.admin == minimal.admin)
        #expect(written.health == minimal.health)
        #expect(written.log == minimal.log)
        #expect(written.accessLog == minimal.accessLog)
        #expect(written.stateDirectory == minimal.stateDirectory)
        #expect(written.eventLoops == minimal.eventLoops)
        #expect((written.loginSessions.lifetime, written.loginSessions.idle) == (minimal.loginSessions.lifetime, minimal.loginSessions.idle))
    }

    @Test("local.yaml points at the ports and pools of the local platform")
    func pointsAtLocalPlatform() throws {
        let configuration = try Self.load("local.yaml").configuration
        #expect(configuration.listeners.map(\.address.value.description) == ["127.0.0.1:8443", "[::1]:8443", "127.0.0.1:8080", "[::1]:8080"])
        #expect(configuration.listeners.allSatisfy { $0.publicPort == 8443 })
        #expect(configuration.stages.map(\.host.value.text) == ["localhost", "second.localhost"])
        #expect(configuration.stages.map(\.identity.issuer) == ["http://127.0.0.1:9000/us-west-2_LocalStage", "http://127.0.0.1:9000/us-west-2_SecondStage"])
        #expect(configuration.stages.map(\.identity.keySetURL) == configuration.stages.map { $0.identity.issuer + "/.well-known/jwks.json" })
        #expect(configuration.stages.map { $0.commandLineAPI?.clientID }.allSatisfy { $0?.hasSuffix("-command-line-client") == true })
        #expect(configuration.stages.flatMap { $0.upstreams.flatMap { $0.endpoints.map(\.port) } } == [9001, 9002, 9001, 9002])
    }

    @Test("The commented files say what the setting table says, above each setting", arguments: [("gateway.yaml", ""), ("stages/alpha.yaml", "stage")])
    func commentsFollowTable(name: String, root: String) throws {
        let url = Self.folder.appending(path: name)
        let text = try String(contentsOf: url, encoding: .utf8)
        let commented = CommentedFile(text, root: root)
        // After a change of the table: WRITE_CONFIGURATION_COMMENTS=1 swift test --filter ConfigurationFilesTests
        if ProcessInfo.processInfo.environment["WRITE_CONFIGURATION_COMMENTS"] == "1" {
            try commented.text.write(to: url, atomically: true, encoding: .utf8)
        } else {
            #expect(text == commented.text)
        }
    }

    @Test("The commented files leave no setting out, and show defaults where a setting is commented out", arguments: [("gateway.yaml", ""), ("stages/alpha.yaml", "stage")])
    func commentsAreComplete(name: String, root: String) throws {
        let commented = CommentedFile(try String(contentsOf: Self.folder.appending(path: name), encoding: .utf8), root: root)
        for row in root.isEmpty ? SettingTable.process : SettingTable.stage {
            #expect(commented.mentioned.contains(row.path), "\(row.path) is missing in config/\(name)")
            if let shown = commented.shown[row.path], let text = row.defaultText {
                #expect(shown == text || shown == "\"\(text)\"", "\(row.path) is shown with another value than its default")
            }
        }
    }
}
