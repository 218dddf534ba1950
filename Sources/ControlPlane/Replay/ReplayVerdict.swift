internal import Authentication
internal import ConfigurationJudgement
internal import GatewayConfiguration
internal import GatewayTerms
internal import Proxy

/// What a recorded request would meet now, compared with what it met.
enum ReplayVerdict: Equatable {
    case same
    case changes(to: String)
    /// The log does not tell what decides: `groups`, `scopes`, `credentials`, `the client's demands`.
    case depends(on: String, to: String)

    /// - Parameters:
    ///   - destination: where the request leads now.
    ///   - policy: what its sender met when it was recorded, where that is known.
    ///   - client: the recorded client as it was then, where that is known.
    init(_ logged: LoggedRequest, _ destination: SketchedDestination, policy: Configuration.Policy?, client: Configuration.Client?) {
        let now = destination.outcome
        if logged.upstream == nil {
            // The line has the canonical path: what was wrong with the one that was sent, or with its connection, no route decides.
            if let details = logged.details, Self.decidedBeforeRoutes.contains(details) {
                self = .same
                return
            }
            if logged.status == nil || logged.details.map({ Self.ofTheMoment.contains($0) }) == true {
                self = logged.route == destination.route ? .same : .changes(to: now)
                return
            }
        }
        switch destination.target {
        case .answer(let status, let code):
            self = logged.upstream == nil && (logged.details == code || logged.status == status) ? .same : .changes(to: now)
        case .login:
            self = logged.upstream == nil && logged.route == nil ? .same : .changes(to: now)
        case .commandLineAPI:
            self = logged.upstream == nil && logged.route == destination.route ? .same : .changes(to: now)
        case .upstream(let name):
            let isThere = logged.upstream == name && logged.route == destination.route
            switch Self.admission(logged, destination, policy, client) {
            case .passes: self = isThere ? .same : .changes(to: now)
            case .refused(let why): self = logged.upstream == nil && !logged.isAllowed && logged.route == destination.route ? .same : .changes(to: why)
            case .unknown(let what): self = .depends(on: what, to: now)
            }
        }
    }

    private static let decidedBeforeRoutes: Set<String> = [
        "redirect_to_https", "redirect_to_canonical", "path_not_canonical", "misdirected_request", "body_too_large", "request_head_timeout",
    ]
    /// What failed then and need not fail again.
    private static let ofTheMoment: Set<String> = [
        "request_body_timeout", "origin_refused", "token_undecidable", "no_healthy_upstream", "upstream_overloaded", "internal_error",
    ]

    private enum Admission { case passes, refused(String), unknown(String) }

    private static func admission(
        _ logged: LoggedRequest, _ destination: SketchedDestination, _ policy: Configuration.Policy?, _ client: Configuration.Client?
    ) -> Admission {
        if destination.credentials.isEmpty { return .passes }
        guard logged.isAllowed, let credential = logged.credential else { return refusal(logged, destination, policy) }
        let isLogin = credential == "login_session"
        // A bearer token came by Authorization or x-api-key; the line does not tell.
        let taken: Bool? = isLogin ? destination.credentials.contains(.loginSession)
            : destination.credentials.contains(.bearer) && destination.credentials.contains(.apiKey) ? true
            : destination.credentials.contains(.bearer) || destination.credentials.contains(.apiKey) ? nil : false
        if taken == false { return .refused("401 as it takes no \(credential)") }
        if taken == nil, destination.credentials.contains(.apiKey) { return .unknown("credentials") }
        if !isLogin {
            guard let rule = logged.client.flatMap({ destination.clients[$0] }) else { return .refused("401 client_not_allowed") }
            if let client {
                let demanded = Configuration.Policy(groups: rule.groups, scopes: rule.scopes)
                if !Configuration.Policy(groups: client.groups, scopes: client.scopes).isAtLeastAsStrict(as: demanded) { return .unknown("the client's demands") }
            } else if !rule.groups.isEmpty || !rule.scopes.isEmpty { return .unknown("the client's demands") }
        }
        let demanded = Configuration.Policy(groups: destination.groups, scopes: destination.scopes)
        // Who passed what was at least as strict passes this.
        if (policy ?? .none).isAtLeastAsStrict(as: demanded) { return .passes }
        let groupsHold = (policy ?? .none).isAtLeastAsStrict(as: Configuration.Policy(groups: destination.groups, scopes: []))
        return .unknown(groupsHold ? "scopes" : "groups")
    }

    /// It was refused, or nobody asked who sent it.
    private static func refusal(_ logged: LoggedRequest, _ destination: SketchedDestination, _ policy: Configuration.Policy?) -> Admission {
        guard let reason = logged.reason ?? logged.details, logged.upstream == nil else { return .unknown("credentials") }
        // Whom a policy refused, one that is as strict refuses too.
        let isAsStrict = policy.map { Configuration.Policy(groups: destination.groups, scopes: destination.scopes).isAtLeastAsStrict(as: $0) } ?? false
        if reason.hasPrefix("group_missing") { return isAsStrict ? .refused("403 \(reason)") : destination.groups.isEmpty ? .passes : .unknown("groups") }
        if reason.hasPrefix("insufficient_scope") { return isAsStrict ? .refused("403 \(reason)") : destination.scopes.isEmpty ? .passes : .unknown("scopes") }
        // It was asked for credentials then, and is now.
        if logged.credential != nil, logged.route == destination.route { return .refused("401 \(reason)") }
        return .unknown("credentials")
    }
}

extension SketchedDestination {
    var outcome: String {
        switch target {
        case .upstream(let name): "upstream \(name) by \(route ?? "no route")"
        case .commandLineAPI: "the command-line API"
        case .login: "the login"
        case .answer(let status, let code): "\(status) \(code)"
        }
    }
}
