package import GatewayConfiguration
package import GatewayTerms

/// What a configuration asks of callers at a path: for judging requests that passed under it.
package struct DemandTable: Sendable {
    private let stages: [Hostname: StageRoutes]

    package init(_ configuration: Configuration) {
        stages = Dictionary(configuration.stages.map { ($0.host.value, StageRoutes($0)) }, uniquingKeysWith: { first, _ in first })
    }

    /// The policy that a caller there has met; `nil` where nobody was asked.
    package func policy(_ host: Hostname, _ path: CanonicalPath, _ method: Method) -> Configuration.Policy? {
        stages[host]?.effective(path, method).access.demand?.policy
    }

    package func client(_ name: String, _ host: Hostname) -> Configuration.Client? {
        stages[host]?.stage.identity.clients.first { $0.name.value == name }
    }
}
