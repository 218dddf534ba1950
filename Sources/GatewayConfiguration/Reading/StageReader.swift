internal import GatewayTerms

/// Reads a stage's file, and checks what its parts say of each other.
struct StageReader {
    let root: Section
    /// Whether every listener tells the clients apart.
    let clientsAreKnown: Bool

    /// `nil` when the stage has no name, host, provider or public address that could be used; its routes are judged all the same.
    func read() -> Configuration.Stage? {
        let name = root.value("stage", Section.name)
        let host = root.value("host", Section.hostname)
        let publicURL = publicURL(host)
        let approvals = root.list("approve", Section.text(max: 8192))
        let identitySection = root.optionalSection("identity")
        let identity = identitySection.flatMap { IdentityReader(section: $0).read() }
        let clients = identity.map { identity in
            Set(identity.clients.flatMap { [$0.id.value, $0.name.value] } + (identity.browserClient.map { ["browser", $0.id.value] } ?? []))
        }
        let policy = policy(clients)
        let named = root.named("upstreams")
        let upstreams = named.compactMap { name, section in section.flatMap { UpstreamReader(name: name, section: $0).read() } }
        let routes = root.sections("routes").enumerated().compactMap { RouteReader(index: $0.offset, section: $0.element, stagePolicy: policy, clients: clients).read() }
        checkClaims(policy, routes)

        RouteChecks(root: root, identity: identitySection, routes: routes, upstreamNames: named.map(\.name)).run()
        let commandLineAPI = CommandLineAPIReader(
            root: root, identity: identitySection.flatMap { section in identity.map { (section, $0) } }, name: name, publicURL: publicURL, policy: policy, routes: routes,
            clientsAreKnown: clientsAreKnown
        ).read()
        guard let name, let host, let publicURL, let identity else { return nil }
        return Configuration.Stage(
            name: name, host: host, publicURL: publicURL, identity: identity, policy: policy, approvals: approvals, upstreams: upstreams, routes: routes,
            commandLineAPI: commandLineAPI, location: root.location
        )
    }

    private func policy(_ clients: Set<String>?) -> Configuration.Policy {
        let section = root.section("policy")
        return Configuration.Policy(
            groups: section.list("groups", Section.text(max: 256)).map(\.value), scopes: section.list("scopes", Section.token).map(\.value),
            rules: PolicyRulesReader(section: section, clients: clients).read())
    }

    /// What policies ask for travels in the browser's cookie.
    private func checkClaims(_ policy: Configuration.Policy, _ routes: [Configuration.Route]) {
        let names = Set((policy.rules + routes.flatMap(\.policy.rules)).flatMap(\.condition.claimNames))
        guard names.count > Self.claimsMax else { return }
        root.fault("routes", value: "\(names.count) claims",
                   "the stage's policies ask for \(names.count) claims, \(names.sorted().joined(separator: ", ")); the browser's cookie has room for \(Self.claimsMax). Ask for fewer.")
    }

    private static let claimsMax = 16

    private func publicURL(_ host: Located<Hostname>?) -> Located<WebURL>? {
        guard root.has("public_url") else {
            return host.flatMap { host in WebURL("https://\(host.value)").map { Located($0, at: host.location) } }
        }
        guard let url = root.value("public_url", Section.publicURL) else { return nil }
        if let host, url.value.host != host.value {
            root.fault("public_url", value: url.value.description, "\(url.value) is not on the stage's host, \(host.value). Browsers would log in somewhere else.")
            return nil
        }
        return url
    }
}

/// What a stage's routes say of each other, of its upstreams and of its clients.
struct RouteChecks {
    let root: Section
    let identity: Section?
    let routes: [Configuration.Route]
    let upstreamNames: [Located<String>]

    func run() {
        checkUpstreams()
        checkClients()
        checkShadows()
    }

    private func setting(_ route: Configuration.Route, _ key: String) -> String { "routes[\(route.index)].\(key)" }

    private func checkUpstreams() {
        let known = Set(upstreamNames.map(\.value))
        var used: Set<String> = []
        for route in routes {
            guard case .upstream(let name) = route.action else { continue }
            used.insert(name.value)
            guard !known.contains(name.value) else { continue }
            let meant = EditDistance.suggestion(for: name.value, among: known).map { " Did you mean \($0)?" }
                ?? (known.isEmpty ? " There are none." : " Known: \(known.sorted().prefix(20).joined(separator: ", ")).")
            root.reading.fault(at: name.location, setting(route, "upstream"), value: name.value, "\(name.value) is no upstream of this stage.\(meant)")
        }
        // Routes that could not be read may have named it.
        guard root.reading.faults.isEmpty else { return }
        for name in upstreamNames where !used.contains(name.value) {
            root.reading.warning(at: name.location, "upstreams.\(name.value)", "is used by no route.")
        }
    }

    private func checkClients() {
        guard let identity else { return }
        for route in routes {
            if route.credentials.contains(.loginSession), !identity.has("browser_client") {
                root.reading.fault(at: route.location, setting(route, "credentials"), value: "login_session",
                                   "login_session needs identity.browser_client, which this stage has not. Add it, or take login_session away.")
            }
            let takesTokens = route.credentials.contains(.bearer) || route.credentials.contains(.apiKey) || route.action == .service(.commandLineAPI)
            if takesTokens, !identity.hasContent("clients") {
                root.reading.fault(at: route.location, setting(route, route.credentials.isEmpty ? "service" : "credentials"),
                                   "takes bearer tokens, but identity.clients lists nobody whose tokens are accepted. List the clients.")
            }
        }
    }

    /// A route whose every request goes to another one is a slip, and perhaps a hole (B2).
    private func checkShadows() {
        var byPath: [[UInt8]: [Configuration.Route]] = [:]
        for route in routes { byPath[route.path.value.bytes, default: []].append(route) }
        for group in byPath.values where group.count > 1 {
            var owners: [Method: Configuration.Route] = [:]
            for route in group {
                guard let methods = route.methods else { continue }
                for method in Method.allCases where methods.contains(method) {
                    if let owner = owners[method] {
                        report(route, "\(method) \(route.path.value) is served by routes[\(owner.index)] on line \(owner.location.line) already, so this route never gets it. Merge the two, or name other methods.")
                        break
                    }
                    owners[method] = route
                }
            }
            let catchAll = group.filter { $0.methods == nil }
            if let first = catchAll.first {
                for route in catchAll.dropFirst() {
                    report(route, "\(route.path.value) is served by routes[\(first.index)] on line \(first.location.line) already, so this route can never match. Merge the two, or name methods.")
                }
                let routable: Set<Method> = [.get, .head, .post, .put, .patch, .delete, .options]
                if routable.isSubset(of: owners.keys) {
                    report(first, "can never match: the other routes of \(first.path.value) name every method. Take it away.")
                }
            }
        }
    }

    private func report(_ route: Configuration.Route, _ message: String) {
        root.reading.fault(at: route.path.location, setting(route, "path"), value: route.path.value.description, message)
    }
}
