internal import GatewayTerms

/// Reads a stage's `command_line_api`, and what the service needs of the rest of the stage.
struct CommandLineAPIReader {
    /// The stage's file.
    let root: Section
    let identity: (section: Section, value: Configuration.Identity)?
    let name: Located<String>?
    let publicURL: Located<WebURL>?
    let policy: Configuration.Policy
    let routes: [Configuration.Route]
    /// Whether every listener tells the clients apart.
    let clientsAreKnown: Bool

    /// `nil` when no route serves it, or when it could not work, which has been reported.
    func read() -> Configuration.CommandLineAPI? {
        let section = root.section("command_line_api")
        let ownScopes = section.has("scopes") ? section.list("scopes", Section.token).map(\.value) : ["openid"]
        let settings = settings(section)
        let pool = section.optionalSection("identity_pool").flatMap(identityPool)
        let minimum = section.setting("minimum_extension_version") { ExtensionVersion($0) }
        let wheel = wheel(section, minimum: minimum)
        let requestsPerMinute = section.optionalCountOrWord("requests_per_minute")
            ?? (clientsAreKnown ? Configuration.CommandLineAPI.requestsPerMinuteUsual : nil)
        if pool != nil, !ownScopes.contains("openid") {
            section.fault(section.has("scopes") ? "scopes" : "identity_pool", "must hold openid: identity_pool takes the ID token, which no other scope brings.")
        }
        let clientName = section.value("client", Section.name)
        guard let route = routes.first(where: { $0.action == .service(.commandLineAPI) }) else {
            if root.has("command_line_api"), root.reading.faults.isEmpty {
                root.warning("command_line_api", "has no effect: no route has service: command-line-api.")
            }
            return nil
        }
        checkNames(route)
        guard let client = client(named: clientName, in: section, route), let minimum else { return nil }
        var scopes = ownScopes
        for scope in client.scopes + policy.scopes where !scopes.contains(scope) { scopes.append(scope) }
        return Configuration.CommandLineAPI(
            clientID: client.id.value, scopes: scopes, redirectPorts: client.redirectPorts, settings: settings, identityPool: pool,
            minimumExtensionVersion: minimum, wheel: wheel, requestsPerMinute: requestsPerMinute, location: section.location)
    }

    // MARK: What the extension expects of the stage

    private func checkNames(_ route: Configuration.Route) {
        for other in routes where other.action == .service(.commandLineAPI) && other.path.value.description != "/cli" {
            root.reading.fault(at: other.path.location, "routes[\(other.index)].path", value: other.path.value.description,
                               "\(other.path.value) is not /cli, where the Metaflow extension and its users look for the service. Serve it there.")
        }
        // The extension names files and profiles after the stage.
        if let name, name.value.utf8.contains(where: { !(97...122).contains($0) && !(48...57).contains($0) && $0 != UInt8(ascii: "-") })
            || name.value.hasSuffix("-") || name.value.utf8.count > 63 {
            root.fault("stage", value: name.value, "\(name.value) names a login of the Metaflow extension too, so it takes small letters, digits and '-' inside, at most 63 bytes.")
        }
        if let identity, case .cognito(let cognito) = identity.value.provider, cognito.domain == nil, !identity.section.has("browser_client") {
            root.reading.fault(at: cognito.region.location, "identity.cognito.domain",
                               "is missing, and routes[\(route.index)].service needs the login pages there. Set it to the pool's domain, https://….amazoncognito.com.")
        }
    }

    /// The client that people log in with: the one that is named, or the only one with redirect ports.
    private func client(named name: Located<String>?, in section: Section, _ route: Configuration.Route) -> Configuration.Client? {
        // Without any client there is a fault already.
        guard let clients = identity?.value.clients, !clients.isEmpty else { return nil }
        let candidates: [Configuration.Client]
        if let name {
            candidates = clients.filter { $0.name.value == name.value }
            if candidates.isEmpty {
                let meant = EditDistance.suggestion(for: name.value, among: clients.map(\.name.value)).map { " Did you mean \($0)?" } ?? ""
                section.fault("client", value: name.value, "\(name.value) is no client of this stage.\(meant)")
                return nil
            }
        } else {
            // A client that was written and refused is not here.
            if section.has("client") { return nil }
            candidates = clients.filter { !$0.redirectPorts.isEmpty }
        }
        guard let client = candidates.first, !client.redirectPorts.isEmpty else {
            let place = candidates.first?.location ?? route.location
            root.reading.fault(at: place, candidates.isEmpty ? "routes[\(route.index)].service" : "identity.clients",
                               "needs a client with redirect_ports, or nobody can log in from the command line. Give the command-line client its redirect_ports.")
            return nil
        }
        if candidates.count > 1 {
            section.fault("client", "is missing, and several clients have redirect_ports: \(candidates.map(\.name.value).joined(separator: ", ")). Name the one that people log in with.")
            return nil
        }
        if !client.tokenUse.contains(.access) {
            root.reading.fault(at: client.location, "identity.clients", value: client.name.value,
                               "\(client.name.value) is the client of the command-line login, whose access tokens must be accepted. Add access to its token_use.")
        }
        return client
    }

    // MARK: What it gives out

    /// Never in a public document: credentials, and what is each user's own affair. The extension refuses them too.
    private static let forbiddenSettings: Set<String> = [
        "METAFLOW_SERVICE_HEADERS", "METAFLOW_SERVICE_AUTH_KEY", "METAFLOW_PROFILE", "METAFLOW_HOME", "METAFLOW_USER",
    ]

    private func settings(_ section: Section) -> [String: String] {
        var settings: [String: String] = [:]
        for (name, value) in section.texts("settings") {
            let title = "\(section.title("settings")).\(name.value)"
            if CommandLineAPIReader.forbiddenSettings.contains(name.value) {
                section.reading.fault(at: name.location, title, "may not be given out: everybody can read these settings. Take it away.")
            } else if name.value == "METAFLOW_SERVICE_URL", let publicURL, WebURL(value.value)?.origin != publicURL.value.origin {
                section.reading.fault(at: value.location, title, value: value.value,
                                      "\(Section.shown(value.value)) is not an address on \(publicURL.value.origin), and tokens of this stage go nowhere else.")
            } else {
                settings[name.value] = value.value
            }
        }
        return settings
    }

    private func identityPool(_ section: Section) -> Configuration.CommandLineAPI.IdentityPool? {
        let id = section.value("id", Section.identityPool), region = section.value("region", Section.region)
        guard let id, let region else { return nil }
        guard id.value.hasPrefix(region.value + ":") else {
            section.fault("id", value: id.value, "\(id.value) is not a pool of region \(region.value). A pool's id begins with its region.")
            return nil
        }
        return Configuration.CommandLineAPI.IdentityPool(id: id.value, region: region.value)
    }

    private static let wheelRemedy = "Make it with python3 deploy/metaflow-extension/build_wheel.py --out FOLDER, or name a file that this process may read."

    private func wheel(_ section: Section, minimum: ExtensionVersion?) -> Configuration.CommandLineAPI.Wheel? {
        guard let (path, written, bytes) = section.contents("wheel", max: Configuration.CommandLineAPI.wheelBytesMax, remedy: CommandLineAPIReader.wheelRemedy) else { return nil }
        let file = path[(path.lastIndex(of: "/").map { path.index(after: $0) } ?? path.startIndex)...]
        guard let name = WheelName(file) else {
            section.fault("wheel", value: written.value, "\(Section.shown(String(file))) is not named metaflow_gateway_extension-VERSION-py3-none-any.whl, and pip goes by the name. Name the file that deploy/metaflow-extension/build_wheel.py makes.")
            return nil
        }
        guard bytes.starts(with: [0x50, 0x4b, 0x03, 0x04]) else {
            section.fault("wheel", value: written.value, "\(Section.shown(written.value)) is no zip archive, so it is no wheel. Build it again.")
            return nil
        }
        if let minimum, name.version < minimum {
            section.fault("wheel", value: written.value, "\(name.version) is older than minimum_extension_version, \(minimum), so that users could not satisfy it. Give a newer wheel, or lower that.")
        }
        return Configuration.CommandLineAPI.Wheel(name: name, bytes: bytes, location: written.location)
    }
}
