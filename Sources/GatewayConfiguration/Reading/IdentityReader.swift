internal import GatewayTerms

/// Reads a stage's `identity`: one provider, and the clients that may call.
struct IdentityReader {
    let section: Section

    func read() -> Configuration.Identity? {
        let cognito = section.optionalSection("cognito")
        let provider = provider(cognito, section.optionalSection("oidc"))
        let keySetFile = section.fileReference("key_set_file")
        let browserClient = section.optionalSection("browser_client").flatMap(browserClient)
        let clients = section.sections("clients").compactMap { section in client(section).map { (client: $0, section: section) } }
        let audiences = section.list("audiences", Section.token).map(\.value)
        let clockSkew = section.duration("clock_skew")
        let tokenBytesMax = section.bytes("token_bytes_max")
        checkDistinct(clients)
        if !section.has("browser_client"), !section.hasContent("clients") {
            section.reading.fault(at: section.location, section.name,
                                  "names no client, so a token of any client of the provider would do. List clients, or give browser_client.")
        }
        if section.has("browser_client"), let cognito, !cognito.has("domain") {
            section.reading.fault(at: cognito.location, cognito.title("domain"),
                                  "is missing, and browser_client needs the login pages there. Set it to the pool's domain, https://….amazoncognito.com.")
        }
        guard let provider else { return nil }
        return Configuration.Identity(
            provider: provider, keySetFile: keySetFile, browserClient: browserClient, clients: clients.map(\.client), audiences: audiences,
            clockSkew: clockSkew, tokenBytesMax: tokenBytesMax, location: section.location
        )
    }

    private func provider(_ cognito: Section?, _ oidc: Section?) -> Configuration.Identity.Provider? {
        switch (cognito, oidc) {
        case (let cognito?, nil): return self.cognito(cognito).map { .cognito($0) }
        case (nil, let oidc?): return self.oidc(oidc).map { .oidc($0) }
        case (nil, nil):
            section.reading.fault(at: section.location, section.name, "names no provider. Give cognito: { region, user_pool } or oidc: { issuer }.")
            return nil
        case (_?, _?):
            section.fault("oidc", "stands beside cognito; a stage has one provider. Take one away.")
            return nil
        }
    }

    private func cognito(_ section: Section) -> Configuration.Cognito? {
        let region = section.value("region", Section.region)
        let userPool = section.value("user_pool", Section.userPool)
        let domain = section.value("domain", Section.safeURL)
        let endpoint = section.value("endpoint", Section.safeURL)
        let caFile = section.fileReference("ca_file")
        if let region, !Regions.known.contains(region.value) {
            let meant = EditDistance.suggestion(for: region.value, among: Regions.known).map { " Did you mean \($0)?" } ?? ""
            section.warning("region", value: region.value, "\(region.value) is no region known when this gateway was built.\(meant)")
        }
        if let region, let userPool, !userPool.value.hasPrefix(region.value + "_") {
            section.fault("user_pool", value: userPool.value, "\(userPool.value) is not a pool of region \(region.value). A pool's id begins with its region.")
            return nil
        }
        guard let region, let userPool else { return nil }
        return Configuration.Cognito(region: region, userPool: userPool, domain: domain, endpoint: endpoint, caFile: caFile)
    }

    private func oidc(_ section: Section) -> Configuration.OIDC? {
        let issuer = section.value("issuer", Section.issuer)
        let keySetURL = section.value("key_set_url", Section.safeURL)
        let caFile = section.fileReference("ca_file")
        return issuer.map { Configuration.OIDC(issuer: $0, keySetURL: keySetURL, caFile: caFile) }
    }

    private func browserClient(_ section: Section) -> Configuration.BrowserClient? {
        let id = section.value("id", Section.token), secret = section.secret("secret")
        guard let id, let secret else { return nil }
        return Configuration.BrowserClient(id: id, secret: secret)
    }

    private func client(_ section: Section) -> Configuration.Client? {
        let id = section.value("id", Section.token), name = section.value("name", Section.name)
        var tokenUse: Configuration.TokenUse = section.has("token_use") ? [] : [.access]
        for use in section.list("token_use", { $0 == "access" || $0 == "id" ? $0 : nil }) { tokenUse.insert(use.value == "id" ? .id : .access) }
        let scopes = section.list("scopes", Section.token).map(\.value)
        let groups = section.list("groups", Section.text(max: 256)).map(\.value)
        let ports = section.list("redirect_ports") { Section.number($0, in: 1...65_535).map { UInt16(clamping: $0) } }.map(\.value)
        if !scopes.isEmpty, tokenUse == [.id] {
            section.fault("scopes", "ID tokens carry no scopes, so none of this client's tokens would ever do. Take scopes away, or accept access tokens.")
        }
        guard let id, let name else { return nil }
        return Configuration.Client(
            id: id, name: name, tokenUse: tokenUse, scopes: scopes, groups: groups, redirectPorts: ports, location: section.location
        )
    }

    private func checkDistinct(_ clients: [(client: Configuration.Client, section: Section)]) {
        var ids: Set<String> = [], names: Set<String> = []
        for (client, section) in clients {
            if !ids.insert(client.id.value).inserted {
                section.fault("id", value: client.id.value, "\(client.id.value) is the id of an earlier client. List a client once.")
            }
            if !names.insert(client.name.value).inserted {
                section.fault("name", value: client.name.value, "\(client.name.value) is the name of an earlier client. Logs tell clients apart by name.")
            }
        }
    }
}
