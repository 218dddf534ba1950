import CommandLineAPI
import Foundation
import GatewayTerms
import Testing

/// `/cli/config`, as the Metaflow extension reads it.
@Suite struct ConfigurationDocumentTests {
    static func document(_ change: (inout CommandLineSettings) -> Void = { _ in }) throws -> NSDictionary {
        try Scene.service(change).get("/config").json as NSDictionary
    }

    @Test("It holds exactly the members that the extension knows")
    func isWhole() throws {
        let wheel = Scene.wheel.bytes
        let digest = Scene.digest(wheel.span).map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
        let expected: NSDictionary = [
            "stage": "alpha", "issuer": "https://cognito-idp.us-west-2.amazonaws.com/us-west-2_Pool1", "client_id": "client1",
            "authorization_endpoint": "https://login.example.com/oauth2/authorize", "token_endpoint": "https://login.example.com/oauth2/token",
            "revocation_endpoint": "https://login.example.com/oauth2/revoke", "scopes": ["openid", "metaflow/write"], "redirect_ports": [8400, 8401],
            "manual_redirect_uri": "https://alpha.example.com/cli/callback",
            "settings": [
                "METAFLOW_DATASTORE_SYSROOT_S3": "s3://alpha/metaflow", "METAFLOW_DEFAULT_METADATA": "service",
                "METAFLOW_SERVICE_URL": "https://alpha.example.com/api/metadata",
            ],
            "identity_pool": ["id": "us-west-2:pool", "region": "us-west-2", "provider_name": "cognito-idp.us-west-2.amazonaws.com/us-west-2_Pool1"],
            "minimum_extension_version": "1.1.0", "wheel": ["name": "metaflow_gateway_extension-1.2.0-py3-none-any.whl", "sha256": digest],
        ]
        #expect(try Self.document() == expected)
        #expect(digest.utf8.count == 64)
    }

    @Test("What a stage does not have is null")
    func writesNull() throws {
        let document = try Self.document {
            $0.identityPool = nil
            $0.wheel = nil
            $0.endpoints?.revocation = nil
            $0.settings = [:]
        }
        for name in ["identity_pool", "wheel", "revocation_endpoint"] { #expect(document[name] is NSNull) }
        #expect(document["settings"] as? [String: String] == ["METAFLOW_DEFAULT_METADATA": "service", "METAFLOW_SERVICE_URL": "https://alpha.example.com/api/metadata"])
    }

    @Test("A stage's own settings win over what is filled in", arguments: [
        ("METAFLOW_SERVICE_URL", "https://alpha.example.com/other"), ("METAFLOW_DEFAULT_METADATA", "local"),
    ])
    func prefersOwnSettings(name: String, value: String) throws {
        let settings = try Self.document { $0.settings = [name: value] }["settings"] as? [String: String]
        #expect(settings?[name] == value)
        #expect(settings?.count == 2)
    }

    @Test("A public address with a port carries it everywhere", arguments: ["https://localhost:8443", "https://[::1]:8443"])
    func keepsPort(url: String) throws {
        let document = try Self.document { $0.publicURL = url }
        #expect(document["manual_redirect_uri"] as? String == "\(url)/cli/callback")
        #expect((document["settings"] as? [String: String])?["METAFLOW_SERVICE_URL"] == "\(url)/api/metadata")
    }

    @Test("Text of any kind comes back as it went in", arguments: [
        "\"", "\\", "\\u0041", "\n\r\t\0", "</script>", "\u{7f}\u{80}\u{9f}", "\u{2028}\u{2029}", "ünïcödé 🦋", "{\"a\":1}", "'; DROP TABLE",
    ])
    func escapes(value: String) throws {
        let document = try Self.document {
            $0.stage = value
            $0.scopes = [value]
            $0.settings["METAFLOW_X"] = value
        }
        #expect(document["stage"] as? String == value)
        #expect(document["scopes"] as? [String] == [value])
        #expect((document["settings"] as? [String: String])?["METAFLOW_X"] == value)
    }

    @Test("A service that learns the provider's endpoints answers as one that knew them from the start")
    func learnsEndpoints() {
        let unknowing = Scene.service { $0.endpoints = nil }
        let learned = unknowing.knowing(Scene.endpoints)
        #expect((unknowing.knowsEndpoints, learned.knowsEndpoints) == (false, true))
        for path in ResourceTests.paths { #expect(learned.get(path, identity: Scene.ada) == Scene.service().get(path, identity: Scene.ada)) }
        #expect(unknowing.get("/config").status == 503)
    }

    @Test("While the provider's endpoints are unknown, it is a 503 that passes; all else goes on")
    func waitsForEndpoints() throws {
        let service = Scene.service { $0.endpoints = nil }
        let answer = service.get("/config")
        #expect((answer.status, answer.isCacheable, answer.value(of: "retry-after")) == (503, false, "2"))
        #expect(try answer.json["code"] as? String == "provider_unknown")
        #expect(service.get("/").status == 200)
        #expect(service.get(ResourceTests.wheelPath).status == 200)
    }
}
