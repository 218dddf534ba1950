internal import GatewayConfiguration
internal import GatewayTerms

/// What changes at one path for one method when the routes of a stage take the place of older ones. Judged by what is in force there, the
/// longest prefix with its policy completed from the stage's, never by the text of the routes.
struct RouteDifference {
    let old: StageRoutes
    let new: StageRoutes
    let path: CanonicalPath

    /// - Parameters:
    ///   - before: what a request with this path and one of the methods met.
    ///   - after: what it meets now.
    func findings(_ before: EffectiveRoute, _ after: EffectiveRoute) -> [Finding] {
        // Both come from a shorter path, of which the same is told.
        if before.route?.path.value != path, after.route?.path.value != path, before.access != .methodExcluded || !old.hasRoute(at: path) { return [] }
        let findings = before == after ? [] : accessFindings(before, after)
        return findings.contains { $0.effect == .weaker } ? findings : findings + reachFindings(before, after)
    }

    private func accessFindings(_ before: EffectiveRoute, _ after: EffectiveRoute) -> [Finding] {
        switch (before.access, after.access) {
        case (.nothing, .nothing), (.methodExcluded, .methodExcluded), (.nothing, .methodExcluded), (.methodExcluded, .nothing): return []
        case (.denied, .nothing), (.answered, .nothing), (.denied, .methodExcluded), (.answered, .methodExcluded):
            return [Finding("is no longer answered by the gateway itself", .neutral)]
        case (.service, .nothing), (.open, .nothing), (.asks, .nothing), (.service, .methodExcluded), (.open, .methodExcluded), (.asks, .methodExcluded):
            return [Finding("is no longer served", .stronger)]
        case (.denied(let was), .denied(let status)):
            return was == status ? [] : [Finding("is answered with \(status) instead of \(was)", .neutral)]
        case (.answered(let was), .answered(let answer)):
            return was == answer ? [] : [Finding("is answered with \(answer) instead of \(was)", .neutral)]
        case (.nothing, .denied(let status)), (.methodExcluded, .denied(let status)), (.answered, .denied(let status)):
            return [Finding("is answered with \(status)", .neutral)]
        case (.nothing, .answered(let answer)), (.methodExcluded, .answered(let answer)), (.denied, .answered(let answer)):
            return [Finding("is answered with \(answer)", .neutral)]
        case (.service, .denied(let status)), (.open, .denied(let status)), (.asks, .denied(let status)):
            return [Finding("is answered with \(status) and no longer served", .stronger)]
        case (.service, .answered(let answer)), (.open, .answered(let answer)), (.asks, .answered(let answer)):
            return [Finding("is answered with \(answer) and no longer served", .stronger)]
        case (.open(let was), .open(let reason)):
            let reasons = was == reason ? [] : [Finding("is public for another reason: \(reason)", .neutral)]
            return reasons + routeFindings(before.route, after.route)
        case (_, .open): return [Finding("becomes public", .weaker)]
        case (.open, .asks(let credentials, _)):
            return [Finding("is no longer public: it asks for \(Words.list(credentials.map(\.rawValue)))", .stronger)] + targetFindings(before.route, after.route)
        case (.open, .service): return [Finding("is no longer public: the command-line API serves it", .stronger)]
        case (.denied(let status), .asks), (.denied(let status), .service):
            return [Finding("is served, and was answered with \(status)", .weaker)]
        case (.methodExcluded, .asks) where old.hasRoute(at: path), (.methodExcluded, .service) where old.hasRoute(at: path):
            return [Finding("is served, and the method was refused", .weaker)]
        case (.nothing, .asks), (.methodExcluded, .asks), (.answered, .asks), (.nothing, .service), (.methodExcluded, .service), (.answered, .service):
            return newlyServed(after)
        case (.service, .asks), (.asks, .service), (.service, .service), (.asks, .asks):
            return demandFindings(before, after) + routeFindings(before.route, after.route)
        }
    }

    /// A path behind the stage's own policy is nothing new to anybody; one that lets in others is.
    private func newlyServed(_ after: EffectiveRoute) -> [Finding] {
        guard let demand = after.access.demand else { return [] }
        let target = after.route.map(Self.target) ?? ""
        let served = Finding("is served by \(target) for \(Words.list(demand.credentials.map(\.rawValue)))", .neutral)
        if after.inheritsPolicy || demand.policy.isAtLeastAsStrict(as: old.stage.policy) { return [served] }
        return [Finding("is served to callers whom the stage's policy refuses", .weaker), served]
    }

    private func demandFindings(_ before: EffectiveRoute, _ after: EffectiveRoute) -> [Finding] {
        guard let was = before.access.demand, let demand = after.access.demand else { return [] }
        let credentials = PolicyDifference.credentials(from: was.credentials, to: demand.credentials)
        // What follows the stage's policy is told once, of the stage.
        if before.inheritsPolicy, after.inheritsPolicy { return credentials }
        return credentials + PolicyDifference.findings(from: was.policy, to: demand.policy)
    }

    // MARK: What else a route says

    private func routeFindings(_ before: Configuration.Route?, _ after: Configuration.Route?) -> [Finding] {
        guard let before, let after else { return [] }
        var findings = targetFindings(before, after)
        if after.forwardAuthorization != before.forwardAuthorization {
            findings.append(after.forwardAuthorization ? Finding("passes the caller's token to \(Self.target(after))", .weaker) : Finding("no longer passes the caller's token on", .stronger))
        }
        if after.allowPathParameters != before.allowPathParameters {
            findings.append(after.allowPathParameters ? Finding("lets ';' in paths through", .weaker) : Finding("no longer lets ';' in paths through", .stronger))
        }
        let trailers = Set(after.allowTrailers).subtracting(before.allowTrailers)
        if !trailers.isEmpty { findings.append(Finding("lets trailers through: \(Words.list(trailers))", .neutral)) }
        if after.bodyBytesMax != before.bodyBytesMax {
            findings.append(Finding("takes bodies of \(after.bodyBytesMax.map { "at most \($0)" } ?? "limits.body_bytes")", .neutral))
        }
        if after.timeout != before.timeout { findings.append(Finding("waits \(after.timeout.map(DurationText.print) ?? "its upstream's response_timeout") for an answer", .neutral)) }
        if after.failures != before.failures { findings.append(Finding("fails as \(after.failures?.rawValue ?? "its upstream says")", .neutral)) }
        return findings
    }

    private func targetFindings(_ before: Configuration.Route?, _ after: Configuration.Route?) -> [Finding] {
        guard let before, let after else { return [] }
        let was = Self.target(before), target = Self.target(after)
        if was != target { return [Finding("goes to \(target) instead of \(was)", .neutral)] }
        if before.stripPrefix != after.stripPrefix || (after.stripPrefix && before.path.value != after.path.value) {
            return [Finding(after.stripPrefix ? "is forwarded without \(after.path.value)" : "is forwarded with its whole path", .neutral)]
        }
        return []
    }

    private static func target(_ route: Configuration.Route) -> String {
        switch route.action {
        case .upstream(let name): "upstream \(name.value)"
        case .service(let service): "service \(service.rawValue)"
        case .respond(let status): "\(status)"
        case .redirect(let redirect): redirect.location.value
        }
    }

    // MARK: What lies behind

    /// A path that leads to an upstream which could be reached only with more until now.
    private func reachFindings(_ before: EffectiveRoute, _ after: EffectiveRoute) -> [Finding] {
        guard let upstream = new.upstream(of: after.route) else { return [] }
        if let was = old.upstream(of: before.route), was.sharesEndpoint(with: upstream) { return [] }
        let guards = old.accesses(toEndpointsOf: upstream)
        let isCovered = guards.contains { guarding in
            // A policy that follows the stage's is judged with the stage's.
            after.access.demand.map { guarding.admitsAll($0.credentials, after.inheritsPolicy ? old.stage.policy : $0.policy) } ?? guarding.isOpen
        }
        guard !guards.isEmpty, !isCovered else { return [] }
        return [Finding("leads to upstream \(upstream.name.value), which asked for more until now", .weaker)]
    }
}

extension Configuration.Upstream {
    func sharesEndpoint(with other: Configuration.Upstream) -> Bool {
        endpoints.contains { endpoint in other.endpoints.contains { $0.host == endpoint.host && $0.port == endpoint.port } }
    }
}
