internal import GatewayTerms

/// Reads one of a stage's `routes`.
struct RouteReader {
    let index: Int
    let section: Section
    let stagePolicy: Configuration.Policy
    /// Names and ids of those who may call; nil where they could not be read.
    let clients: Set<String>?

    private static let actions = ["upstream", "service", "respond", "redirect"]

    func read() -> Configuration.Route? {
        let path = section.value("path", Section.routePath)
        let methods = section.has("methods") ? Set(section.list("methods", Section.method).map(\.value)) : nil
        let action = action()
        let credentials = Set(section.list("credentials") { Configuration.Route.Credential(rawValue: $0) }.map(\.value))
        let publicReason = section.value("public", Section.text(max: 200))?.value
        let (policy, widens) = policy()
        let route = path.flatMap { path in
            action.map { action in
                Configuration.Route(
                    index: index, path: path, methods: methods, action: action, credentials: credentials, publicReason: publicReason,
                    policy: policy, policyLocation: section.has("policy") ? section.location(of: "policy") : nil, widensReason: widens,
                    stripPrefix: section.flag("strip_prefix"),
                    failures: section.value("failures") { Configuration.FailureProfile(rawValue: $0) }?.value,
                    bodyBytesMax: section.optionalBytes("body_bytes"), timeout: section.optionalDuration("timeout"),
                    forwardAuthorization: section.flag("forward_authorization"), allowPathParameters: section.flag("allow_path_parameters"),
                    allowTrailers: section.list("allow_trailers", Section.fieldName).map(\.value), compress: section.flag("compress"), location: section.location
                )
            }
        }
        checkCredentials()
        checkFit()
        if let route { check(route) }
        return route
    }

    // MARK: What happens

    private func action() -> Configuration.Route.Action? {
        let named = RouteReader.actions.filter(section.has)
        guard named.count == 1 else {
            let what = named.isEmpty ? "does nothing" : "has both \(named.joined(separator: " and "))"
            section.reading.fault(at: section.location, section.name, "\(what); a route has exactly one of upstream, service, respond, redirect.")
            return nil
        }
        switch named[0] {
        case "upstream": return section.value("upstream", Section.name).map { .upstream($0) }
        case "service": return section.value("service") { Configuration.Route.Service(rawValue: $0) }.map { .service($0.value) }
        case "respond": return section.value("respond", Section.status).map { .respond($0.value) }
        default: return redirect().map { .redirect($0) }
        }
    }

    private func redirect() -> Configuration.Route.Redirect? {
        if let text = section.scalarForm("redirect") {
            guard let target = Section.redirectTarget(text.value) else {
                section.fault("redirect", value: text.value, "\(Section.shown(text.value)) is not \(Setting.Form.redirectTarget.allowed).")
                return nil
            }
            return Configuration.Route.Redirect(status: 308, location: Located(target, at: text.location))
        }
        let details = section.section("redirect")
        let status = details.setting("status") { text in Section.number(text, in: 301...308).flatMap { [301, 302, 303, 307, 308].contains($0) ? $0 : nil } } ?? 308
        return details.value("to", Section.redirectTarget).map { Configuration.Route.Redirect(status: status, location: $0) }
    }

    // MARK: Who may

    /// The route's policy, completed from the stage's. One that demands less must say why (DESIGN §6).
    private func policy() -> (Configuration.Policy, widens: String?) {
        guard let details = section.optionalSection("policy") else { return (stagePolicy, nil) }
        let policy = Configuration.Policy(
            groups: details.has("groups") ? details.list("groups", Section.text(max: 256)).map(\.value) : stagePolicy.groups,
            scopes: details.has("scopes") ? details.list("scopes", Section.token).map(\.value) : stagePolicy.scopes,
            rules: details.has("rules") ? PolicyRulesReader(section: details, clients: clients).read() : stagePolicy.rules
        )
        let reason = details.value("widens", Section.text(max: 200))
        let isNarrow = policy.isAtLeastAsStrict(as: stagePolicy)
        if !isNarrow, !details.has("widens") {
            details.reading.fault(at: details.location, details.name,
                                  "lets in callers whom the stage's policy refuses. Demand what the stage demands, or say why: widens: \"reason\".")
        }
        if isNarrow, let reason {
            details.reading.warning(at: reason.location, details.title("widens"), "is not needed: the policy demands all that the stage's does. Take it away.")
        }
        return (policy, isNarrow ? nil : reason?.value)
    }

    private func checkCredentials() {
        let isForwarded = section.has("upstream")
        if section.has("credentials"), section.has("public") {
            section.fault("public", "stands beside credentials: a route is public or asks who calls. Take one away.")
        }
        if isForwarded, !section.has("credentials"), !section.has("public") {
            section.reading.fault(at: section.location, section.name,
                                  "asks for no credentials. Name credentials: [bearer, login_session], or say why nobody has to prove who they are: public: \"reason\".")
        }
        if section.has("public"), section.has("policy") {
            section.fault("policy", "a public route asks nobody who they are, so a policy cannot hold. Take one away.")
        }
    }

    /// Settings that do nothing on a route of this kind.
    private func checkFit() {
        let named = RouteReader.actions.filter(section.has)
        guard named.count == 1, named[0] != "upstream" else { return }
        let idle: [String] = named[0] == "service"
            ? ["credentials", "public", "strip_prefix", "failures", "forward_authorization", "allow_path_parameters", "allow_trailers"]
            : ["credentials", "public", "policy", "strip_prefix", "failures", "body_bytes", "timeout", "forward_authorization", "allow_path_parameters", "allow_trailers"]
        for key in idle where section.has(key) {
            let reason = named[0] == "service" ? "the service decides that itself" : "\(named[0]) answers everybody alike"
            section.fault(key, "has no effect beside \(named[0]): \(reason). Take it away.")
        }
    }

    private func check(_ route: Configuration.Route) {
        let path = route.path.value
        if path.description == "/oauth2" || path.description.hasPrefix("/oauth2/") {
            section.fault("path", value: path.description, "\(path) can never match: /oauth2 belongs to the gateway's login. Choose another path.")
        }
        guard case .upstream = route.action else { return }
        if route.stripPrefix, path.description == "/" {
            section.warning("strip_prefix", "has no effect on /: nothing stands before it.")
        }
        if route.forwardAuthorization, !route.credentials.contains(.bearer), !route.credentials.contains(.apiKey), route.publicReason == nil {
            section.warning("forward_authorization", "has no effect: the route takes no bearer token.")
        }
        for name in route.allowTrailers where RouteReader.isForbiddenTrailer(name) {
            section.fault("allow_trailers", value: name, "\(name) frames, routes or authenticates a message and may not come after it. Leave it out.")
        }
    }

    /// RFC 9110 §6.5.1: a trailer may not change what was decided from the head.
    private static func isForbiddenTrailer(_ name: String) -> Bool {
        let names: Set<String> = [
            "transfer-encoding", "content-length", "host", "authorization", "cookie", "set-cookie", "connection", "te", "trailer", "upgrade",
            "content-type", "content-encoding", "content-range", "expect", "range", "cache-control", "location", "x-api-key", "x-request-id",
            "forwarded", "origin", "keep-alive", "proxy-authorization", "proxy-authenticate", "www-authenticate",
        ]
        return names.contains(name) || FieldName.forwardedPrefixes.contains { name.hasPrefix($0.description) }
    }
}
