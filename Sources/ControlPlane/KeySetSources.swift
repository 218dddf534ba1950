internal import Authentication
internal import GatewayConfiguration
internal import GatewayTerms

/// Where each stage's keys come from.
enum KeySetSources {
    /// - Returns: what to fetch, and what was read from files (`key_set_file`).
    static func of(_ configuration: Configuration, _ surroundings: Surroundings) throws(Diagnostics) -> (sources: [KeySetSource], fixed: [KeySet]) {
        var sources: [KeySetSource] = []
        var fixed: [KeySet] = []
        var faults: [Diagnostic] = []
        for stage in configuration.stages {
            let identity = stage.identity
            if let file = identity.keySetFile {
                switch surroundings.read(file.path, KeySet.documentBytesMax) {
                case .failure(let fault):
                    faults.append(Diagnostic(.error, at: file.location, setting: "identity.key_set_file", value: file.path, "\(file.path) \(fault)."))
                case .success(let bytes):
                    do { fixed.append(try KeySet(document: bytes, issuer: identity.issuer, generation: KeySetGeneration.next())) } catch {
                        faults.append(Diagnostic(.error, at: file.location, setting: "identity.key_set_file", value: file.path, "\(error)"))
                    }
                }
            } else {
                let location: KeySetSource.Location = identity.keySetURL.map { .keySet(url: $0) } ?? .discovery(url: identity.discoveryURL)
                sources.append(KeySetSource(issuer: identity.issuer, location: location, caFile: identity.caFile?.path))
            }
        }
        guard faults.isEmpty else { throw Diagnostics(faults: faults, warnings: [], isUnreadable: false) }
        return (sources, fixed)
    }

    /// Whose login endpoints have to be discovered: providers other than Cognito that browsers or command lines log in at.
    static func discoveries(_ configuration: Configuration) -> [EndpointDiscovery.Source] {
        configuration.stages.compactMap { stage in
            let identity = stage.identity
            guard case .oidc = identity.provider, identity.browserClient != nil || stage.commandLineAPI != nil else { return nil }
            return EndpointDiscovery.Source(issuer: identity.issuer, url: identity.discoveryURL, caFile: identity.caFile?.path)
        }
    }
}
