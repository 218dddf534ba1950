package import GatewayConfiguration
internal import GatewayTerms

/// What nobody has to prove anything for: every path that a stage lets everybody reach, with the reason (F7).
package struct PublicSurface: Sendable, Equatable {
    package struct Entry: Sendable, Equatable {
        package let stage: String
        package let host: String
        /// With everything below it that no longer route takes.
        package let path: String
        /// Empty: every method.
        package let methods: [String]
        /// `upstream main`, `answer 404`, `redirect`, `service command-line-api`, `login`.
        package let target: String
        package let reason: String
    }

    package let entries: [Entry]

    package init(of configuration: Configuration) { entries = configuration.stages.flatMap(Self.entries) }

    private static func entries(_ stage: Configuration.Stage) -> [Entry] {
        var entries = stage.routes.compactMap { route -> Entry? in
            func entry(_ target: String, _ reason: String) -> Entry {
                let methods = route.methods.map { methods in Method.routable.filter { methods.contains($0) }.map(\.description) } ?? []
                return Entry(
                    stage: stage.name.value, host: "\(stage.host.value)", path: "\(route.path.value)", methods: methods, target: target, reason: reason)
            }
            switch route.action {
            case .upstream(let name): return route.publicReason.map { entry("upstream \(name.value)", $0) }
            case .service(let service): return entry("service \(service.rawValue)", "its pages and settings are everybody's; it asks for a token where it needs one")
            case .respond(let status): return entry("answer \(status)", "the gateway answers itself")
            case .redirect(let redirect): return entry("redirect to \(redirect.location.value)", "the gateway answers itself")
            }
        }
        if stage.identity.browserClient != nil {
            entries.append(Entry(stage: stage.name.value, host: "\(stage.host.value)", path: "/oauth2", methods: [], target: "login", reason: "who logs in is not logged in yet"))
        }
        return entries
    }
}
