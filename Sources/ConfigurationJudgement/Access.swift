internal import GatewayConfiguration
internal import GatewayTerms

/// Who gets through at one canonical path with one method.
enum Access: Sendable, Equatable {
    /// No route has the path.
    case nothing
    /// A route has the path, none the method.
    case methodExcluded
    /// The gateway answers with this status of 400 and more, and nobody gets further.
    case denied(Int)
    /// The gateway answers everybody itself, in these words.
    case answered(String)
    /// The built-in command-line API, which asks for a bearer token where it needs one.
    case service(Configuration.Policy)
    /// Everybody reaches the upstream.
    case open(reason: String)
    case asks(Set<Configuration.Route.Credential>, Configuration.Policy)

    init(_ route: Configuration.Route) {
        switch route.action {
        case .respond(let status): self = status >= 400 ? .denied(status) : .answered("\(status)")
        case .redirect(let redirect): self = .answered("a redirect (\(redirect.status)) to \(redirect.location.value)")
        case .service(.commandLineAPI): self = .service(route.policy)
        case .upstream: self = route.publicReason.map { .open(reason: $0) } ?? .asks(route.credentials, route.policy)
        }
    }

    /// Whom it lets through, where it lets anybody through to something that is guarded.
    var demand: (credentials: Set<Configuration.Route.Credential>, policy: Configuration.Policy)? {
        switch self {
        case .nothing, .methodExcluded, .denied, .answered, .open: nil
        case .service(let policy): ([.bearer], policy)
        case .asks(let credentials, let policy): (credentials, policy)
        }
    }

    var isOpen: Bool { if case .open = self { true } else { false } }

    /// Everybody who passes with one of these credentials and this policy is let through here too.
    func admitsAll(_ credentials: Set<Configuration.Route.Credential>, _ policy: Configuration.Policy) -> Bool {
        switch self {
        case .open: true
        case .asks(let own, let ownPolicy): credentials.isSubset(of: own) && policy.isAtLeastAsStrict(as: ownPolicy)
        case .nothing, .methodExcluded, .denied, .answered, .service: false
        }
    }
}

/// What a request with one path and one method meets, and what says so.
struct EffectiveRoute: Equatable {
    let access: Access
    let route: Configuration.Route?
    /// Whether the route's demand is the stage's own, which it follows when that changes.
    var inheritsPolicy: Bool { access.demand != nil && route?.policyLocation == nil }

    static func == (left: EffectiveRoute, right: EffectiveRoute) -> Bool { left.access == right.access && left.route == right.route }
}
