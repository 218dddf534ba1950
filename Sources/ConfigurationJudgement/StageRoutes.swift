internal import GatewayConfiguration
internal import GatewayTerms
internal import Routing

/// A stage's routes as the gateway matches them: the very table that serves.
struct StageRoutes: Sendable {
    let stage: Configuration.Stage
    private let table: RouteTable
    private let prefixes: Set<[UInt8]>
    /// Some route names its methods, so that methods have to be told apart.
    let namesMethods: Bool
    private let upstreams: [String: Configuration.Upstream]
    /// What the routes to an upstream ask, each demand once.
    private let accesses: [String: [Access]]

    init(_ stage: Configuration.Stage) {
        self.stage = stage
        table = RouteTable(stage.routes.map { RoutePattern(prefix: $0.path.value, methods: $0.methods.map { MethodSet($0) } ?? .all) })
        prefixes = Set(stage.routes.map(\.path.value.bytes))
        namesMethods = stage.routes.contains { $0.methods != nil }
        upstreams = Dictionary(stage.upstreams.map { ($0.name.value, $0) }, uniquingKeysWith: { first, _ in first })
        var accesses: [String: [Access]] = [:]
        for route in stage.routes {
            guard case .upstream(let name) = route.action else { continue }
            let access = Access(route)
            if accesses[name.value]?.contains(access) != true { accesses[name.value, default: []].append(access) }
        }
        self.accesses = accesses
    }

    /// What a request for exactly this path meets; that of its own paths below, as far as no longer route takes them.
    func effective(_ path: CanonicalPath, _ method: Method) -> EffectiveRoute {
        switch table.match(path, method: method) {
        case .route(let index, _): EffectiveRoute(access: Access(stage.routes[index]), route: stage.routes[index])
        case .methodNotAllowed: EffectiveRoute(access: .methodExcluded, route: nil)
        case .none: EffectiveRoute(access: .nothing, route: nil)
        }
    }

    /// Some route has exactly this path.
    func hasRoute(at path: CanonicalPath) -> Bool { prefixes.contains(path.bytes) }

    func upstream(of route: Configuration.Route?) -> Configuration.Upstream? {
        guard case .upstream(let name)? = route?.action else { return nil }
        return upstreams[name.value]
    }

    /// What the routes ask that lead to one of this upstream's endpoints.
    func accesses(toEndpointsOf other: Configuration.Upstream) -> [Access] {
        stage.upstreams.filter { $0.sharesEndpoint(with: other) }.flatMap { accesses[$0.name.value] ?? [] }
    }
}

extension Method {
    /// Those that routes can have.
    static let routable: [Method] = allCases.filter { $0 != .connect && $0 != .trace }
}
