internal import GatewayConfiguration
internal import GatewayTerms

/// What changes in who vouches for the callers of a stage, and in whose tokens are accepted.
struct IdentityDifference {
    private let old: Configuration.Identity
    private let new: Configuration.Identity
    private let stage: String
    private var changes: [Change] = []

    static func changes(from old: Configuration.Identity, to new: Configuration.Identity, stage: String) -> [Change] {
        guard old != new else { return [] }
        var difference = IdentityDifference(old: old, new: new, stage: stage)
        difference.compareProvider()
        difference.compareLogin()
        difference.compareClients()
        difference.compareLeniency()
        return difference.changes
    }

    private init(old: Configuration.Identity, new: Configuration.Identity, stage: String) { (self.old, self.new, self.stage) = (old, new, stage) }

    private mutating func add(_ setting: String, _ sentence: String, _ effect: Change.Effect, at location: SourceLocation? = nil) {
        changes.append(Change(stage: stage, setting: "identity.\(setting)", sentence, effect, at: location ?? new.location))
    }

    private mutating func compareProvider() {
        if old.issuer != new.issuer {
            // The keys of another issuer come from another place, of course.
            return add("issuer", "callers are vouched for by \(new.issuer) instead of \(old.issuer)", .weaker)
        }
        if old.keySetFile?.path != new.keySetFile?.path {
            if let file = new.keySetFile { add("key_set_file", "tokens are checked with the keys of \(file.path)", .weaker, at: file.location) } else {
                add("key_set_file", "tokens are checked with the keys that the provider publishes", .neutral)
            }
        } else if new.keySetFile == nil, old.keySetURL != new.keySetURL {
            add("key_set_url", "tokens are checked with the keys of \(new.keySetURL ?? new.discoveryURL)", .weaker)
        }
        if old.caFile?.path != new.caFile?.path {
            add("ca_file", "the provider is believed on the word of \(new.caFile?.path ?? "the system's authorities")", .weaker, at: new.caFile?.location)
        }
        if domain(old) != domain(new), old.browserClient != nil || new.browserClient != nil {
            add("cognito.domain", "browsers log in at \(domain(new) ?? "no address")", domain(new) == nil ? .stronger : .weaker)
        }
    }

    private func domain(_ identity: Configuration.Identity) -> String? {
        if case .cognito(let cognito) = identity.provider { cognito.domain?.value.description } else { nil }
    }

    private mutating func compareLogin() {
        switch (old.browserClient, new.browserClient) {
        case (nil, let client?): add("browser_client", "browsers can log in, by client \(client.id.value)", .neutral, at: client.id.location)
        case (_?, nil): add("browser_client", "browsers cannot log in any more", .stronger)
        case (let was?, let client?) where was.id != client.id:
            add("browser_client.id", "browsers log in by client \(client.id.value) instead of \(was.id.value)", .weaker, at: client.id.location)
        case (let was?, let client?) where was.secret.source != client.secret.source:
            add("browser_client.secret", "the browser client's secret comes from another place", .neutral, at: client.secret.location)
        case (nil, nil), (_?, _?): break
        }
    }

    private mutating func compareClients() {
        let before = Dictionary(old.clients.map { ($0.id.value, $0) }, uniquingKeysWith: { first, _ in first })
        for (index, client) in new.clients.enumerated() {
            let setting = "clients[\(index)]"
            let title = "client \(client.name.value)"
            guard let was = before[client.id.value] else {
                let uses = uses(client.tokenUse)
                add(setting, "\(title) (\(client.id.value)) may call with its \(uses) tokens", .weaker, at: client.location)
                continue
            }
            if was.name != client.name { add(setting, "\(title) was called \(was.name.value)", .neutral, at: client.location) }
            let usesAdded = client.tokenUse.subtracting(was.tokenUse), usesRemoved = was.tokenUse.subtracting(client.tokenUse)
            if !usesAdded.isEmpty { add("\(setting).token_use", "\(title) may call with its \(uses(usesAdded)) tokens too", .weaker, at: client.location) }
            if !usesRemoved.isEmpty { add("\(setting).token_use", "\(title) may no longer call with its \(uses(usesRemoved)) tokens", .stronger, at: client.location) }
            for finding in PolicyDifference.groups(from: Set(was.groups), to: Set(client.groups)) { add("\(setting).groups", "\(title) \(finding.predicate)", finding.effect, at: client.location) }
            for finding in PolicyDifference.scopes(from: Set(was.scopes), to: Set(client.scopes)) { add("\(setting).scopes", "\(title) \(finding.predicate)", finding.effect, at: client.location) }
            // A token of a client that demands scopes and has no user counts as a program's, of whom no policy asks for groups.
            if was.scopes.isEmpty, !client.scopes.isEmpty {
                add("\(setting).scopes", "\(title) now admits programs without a user, of whom no groups are asked", .weaker, at: client.location)
            }
            let ports = Set(client.redirectPorts).subtracting(was.redirectPorts), portsRemoved = Set(was.redirectPorts).subtracting(client.redirectPorts)
            if !ports.isEmpty { add("\(setting).redirect_ports", "\(title) may be sent back to the loopback ports \(numbers(ports))", .weaker, at: client.location) }
            if !portsRemoved.isEmpty { add("\(setting).redirect_ports", "\(title) is no longer sent back to the loopback ports \(numbers(portsRemoved))", .stronger, at: client.location) }
        }
        let ids = Set(new.clients.map(\.id.value))
        for client in old.clients where !ids.contains(client.id.value) { add("clients", "client \(client.name.value) (\(client.id.value)) may no longer call", .stronger) }
    }

    private func uses(_ uses: Configuration.TokenUse) -> String {
        [(Configuration.TokenUse.access, "access"), (.id, "ID")].filter { uses.contains($0.0) }.map(\.1).joined(separator: " and ")
    }

    private func numbers(_ ports: Set<UInt16>) -> String { ports.sorted().map(String.init).joined(separator: ", ") }

    private mutating func compareLeniency() {
        let audiences = Set(new.audiences).subtracting(old.audiences), removed = Set(old.audiences).subtracting(new.audiences)
        if !audiences.isEmpty { add("audiences", "access tokens may be made for \(Words.list(audiences))", .weaker) }
        if !removed.isEmpty { add("audiences", "access tokens may no longer be made for \(Words.list(removed))", .stronger) }
        if old.clockSkew != new.clockSkew {
            add("clock_skew", "tokens are accepted \(DurationText.print(new.clockSkew)) after their end, and were \(DurationText.print(old.clockSkew))", new.clockSkew > old.clockSkew ? .weaker : .stronger)
        }
        if old.tokenBytesMax != new.tokenBytesMax { add("token_bytes_max", "tokens are read up to \(new.tokenBytesMax)", .neutral) }
    }
}
