internal import GatewayTerms

/// `/cli/config`: all that the Metaflow extension needs to know of a stage. Public, so nothing in it is secret; the extension reads
/// it strictly (`login/stage.py`) and ignores members that it does not know.
enum ConfigurationDocument {
    static func render(_ settings: CommandLineSettings, _ endpoints: CommandLineSettings.Endpoints, wheelDigest: String?) -> String {
        JSONText.object { object in
            object.member("stage", settings.stage)
            object.member("issuer", settings.issuer)
            object.member("client_id", settings.clientID)
            object.member("authorization_endpoint", endpoints.authorization)
            object.member("token_endpoint", endpoints.token)
            object.member("revocation_endpoint", endpoints.revocation)
            object.member("scopes", settings.scopes)
            object.member("redirect_ports", settings.redirectPorts)
            object.member("manual_redirect_uri", "\(settings.publicURL)/cli/callback")
            object.member("settings", json: JSONText.object { members in
                for (name, value) in metaflowSettings(settings) { members.member(name, value) }
            })
            object.member("identity_pool", json: settings.identityPool.map { pool in
                JSONText.object {
                    $0.member("id", pool.id)
                    $0.member("region", pool.region)
                    $0.member("provider_name", pool.providerName)
                }
            } ?? "null")
            object.member("minimum_extension_version", settings.minimumExtensionVersion.description)
            object.member("wheel", json: settings.wheel.map { wheel in
                JSONText.object {
                    $0.member("name", wheel.name.description)
                    $0.member("sha256", wheelDigest)
                }
            } ?? "null")
        } + "\n"
    }

    /// By name. Without an address of its own, the metadata service is the one behind `/api/metadata`.
    private static func metaflowSettings(_ settings: CommandLineSettings) -> [(name: String, value: String)] {
        var all = ["METAFLOW_SERVICE_URL": "\(settings.publicURL)/api/metadata", "METAFLOW_DEFAULT_METADATA": "service"]
        all.merge(settings.settings) { _, own in own }
        return all.sorted { $0.key < $1.key }.map { (name: $0.key, value: $0.value) }
    }
}
