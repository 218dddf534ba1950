internal import GatewayConfiguration
internal import GatewayTerms

/// The lists that the operators' socket gives, each a JSON array.
enum AdminListing {
    static func upstreams(_ reading: GatewayReading) -> String {
        array(reading.upstreams) { upstream, object in
            object.member("stage", upstream.stage)
            object.member("name", upstream.name)
            object.member("endpoints", json: array(upstream.endpoints) { endpoint, object in
                object.member("endpoint", endpoint.name)
                object.member("up", json: endpoint.isUp ? "true" : "false")
                object.member("unhealthy", json: endpoint.isUnhealthy ? "true" : "false")
                object.member("ejected", json: endpoint.isEjected ? "true" : "false")
                object.member("active", endpoint.active)
                object.member("idle", endpoint.idle)
                object.member("pending", endpoint.pending)
            })
        }
    }

    static func keySets(_ reading: GatewayReading) -> String {
        array(reading.keySets) { keySet, object in
            object.member("issuer", keySet.issuer)
            object.member("kids", keySet.keyIDs)
            object.member("age_seconds", json: keySet.age.map { String($0.components.seconds) } ?? "null")
            object.member("from_file", json: keySet.isFromFile ? "true" : "false")
            object.member("failures", keySet.failures)
            object.member("last_failure", keySet.lastFailure)
        }
    }

    static func certificates(_ reading: GatewayReading) -> String {
        array(reading.certificates) { certificate, object in
            object.member("names", certificate.names)
            object.member("not_before", certificate.notBefore.description)
            object.member("not_after", certificate.notAfter.description)
            object.member("days_left", certificate.daysLeft(at: reading.at))
            object.member("sha256", certificate.fingerprint)
            object.member("key", certificate.keyKind)
            object.member("chain", certificate.chain)
            object.member("listeners", certificate.listeners)
        }
    }

    static func routes(_ configuration: Configuration) -> String {
        array(configuration.stages.flatMap { stage in stage.routes.map { (stage, $0) } }) { entry, object in
            let (stage, route) = entry
            object.member("stage", stage.name.value)
            object.member("host", stage.host.value.description)
            object.member("path", route.path.value.description)
            object.member("methods", route.methods?.map(\.description).sorted() ?? ["any"])
            switch route.action {
            case .upstream(let name): object.member("upstream", name.value)
            case .service(let service): object.member("service", service.rawValue)
            case .respond(let status): object.member("respond", status)
            case .redirect(let redirect): object.member("redirect", redirect.location.value)
            }
            object.member("credentials", route.credentials.map(\.rawValue).sorted())
            object.member("public", route.publicReason)
            object.member("groups", route.policy.groups)
            object.member("scopes", route.policy.scopes)
            object.member("strip_prefix", json: route.stripPrefix ? "true" : "false")
            object.member("at", route.location.description)
        }
    }

    static func reloads(_ reading: ReloadRecord.Reading) -> String {
        "[" + reading.recent.reversed().map(\.json).joined(separator: ",\n") + "]"
    }

    private static func array<Element>(_ elements: [Element], _ members: (Element, inout JSONText) -> Void) -> String {
        "[" + elements.map { element in JSONText.object { members(element, &$0) } }.joined(separator: ",\n") + "]"
    }
}
