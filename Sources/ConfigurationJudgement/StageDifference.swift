internal import GatewayConfiguration
internal import GatewayTerms

/// What changes on one host.
struct StageDifference {
    private let old: StageRoutes
    private let new: StageRoutes
    private var changes: [Change] = []

    static func changes(from old: Configuration.Stage, to new: Configuration.Stage) -> [Change] {
        var difference = StageDifference(old: StageRoutes(old), new: StageRoutes(new))
        difference.compare()
        return difference.changes
    }

    /// A stage that was not there: its public paths and those that widen its own policy are news to somebody, the rest is not.
    static func changes(adding new: Configuration.Stage) -> [Change] {
        let added = Change(stage: new.name.value, setting: "stage", "is served at \(new.host.value)", .neutral, at: new.location)
        var empty = new
        (empty.routes, empty.upstreams) = ([], [])
        var difference = StageDifference(old: StageRoutes(empty), new: StageRoutes(new))
        difference.compareRoutes()
        return [added] + difference.changes.filter { $0.effect == .weaker }
    }

    private init(old: StageRoutes, new: StageRoutes) { (self.old, self.new) = (old, new) }

    private mutating func compare() {
        let (before, after) = (old.stage, new.stage)
        if before.name != after.name { add("stage", "has another name, \(after.name.value) instead of \(before.name.value)", .neutral, at: after.name.location) }
        if before.publicURL != after.publicURL { add("public_url", "has another public address, \(after.publicURL.value)", .neutral, at: after.publicURL.location) }
        changes += IdentityDifference.changes(from: before.identity, to: after.identity, stage: after.name.value)
        compareUpstreams()
        compareRoutes()
        compareService()
    }

    private mutating func add(_ setting: String, _ sentence: String, _ effect: Change.Effect, at location: SourceLocation) {
        changes.append(Change(stage: new.stage.name.value, setting: setting, sentence, effect, at: location))
    }

    // MARK: Routes

    private mutating func compareRoutes() {
        let (before, after) = (old.stage, new.stage)
        if before.routes == after.routes, before.policy == after.policy, before.upstreams == after.upstreams { return }
        let methods = old.namesMethods || new.namesMethods ? Method.routable : [.get]
        var seen: Set<[UInt8]> = []
        var inherits = false
        for route in after.routes + before.routes where seen.insert(route.path.value.bytes).inserted {
            compare(route.path.value, methods, &inherits)
        }
        comparePolicy(inherits: inherits)
    }

    private mutating func compare(_ path: CanonicalPath, _ methods: [Method], _ inherits: inout Bool) {
        let difference = RouteDifference(old: old, new: new, path: path)
        // In the order in which they were found; the methods of each.
        var found: [(finding: Finding, methods: [Method], route: Configuration.Route?)] = []
        for method in methods {
            let before = old.effective(path, method), after = new.effective(path, method)
            if after.inheritsPolicy { inherits = inherits || before.inheritsPolicy || !old.hasRoute(at: path) }
            for finding in difference.findings(before, after) {
                if let index = found.firstIndex(where: { $0.finding == finding }) { found[index].methods.append(method) } else { found.append((finding, [method], after.route)) }
            }
        }
        for (finding, concerned, route) in found {
            let subject = concerned.count == methods.count ? "\(path)" : concerned.map(\.description).joined(separator: ", ") + " \(path)"
            let location = (finding.isOfPolicy ? route?.policyLocation : nil) ?? route?.location ?? new.stage.location
            add(route.map { "routes[\($0.index)]" } ?? "routes", "\(subject) \(finding.predicate)", finding.effect, at: location)
        }
    }

    private mutating func comparePolicy(inherits: Bool) {
        for finding in PolicyDifference.findings(from: old.stage.policy, to: new.stage.policy) {
            // Where every route has a policy of its own, nobody is concerned.
            add("policy", "every route without a policy of its own \(finding.predicate)", inherits ? finding.effect : .neutral, at: new.stage.location)
        }
    }

    // MARK: Upstreams

    private mutating func compareUpstreams() {
        let before = Dictionary(old.stage.upstreams.map { ($0.name.value, $0) }, uniquingKeysWith: { first, _ in first })
        for upstream in new.stage.upstreams {
            let setting = "upstreams.\(upstream.name.value)"
            guard let was = before[upstream.name.value] else {
                add(setting, "upstream \(upstream.name.value) is new", .neutral, at: upstream.location)
                continue
            }
            guard was != upstream else { continue }
            for (sentence, effect) in UpstreamDifference.sentences(from: was, to: upstream) {
                add(setting, "upstream \(upstream.name.value) \(sentence)", effect, at: upstream.location)
            }
        }
        let names = Set(new.stage.upstreams.map(\.name.value))
        for upstream in old.stage.upstreams where !names.contains(upstream.name.value) {
            add("upstreams", "upstream \(upstream.name.value) is gone", .neutral, at: new.stage.location)
        }
    }

    // MARK: The command-line API

    private mutating func compareService() {
        guard let before = old.stage.commandLineAPI, let after = new.stage.commandLineAPI, before != after else { return }
        func add(_ sentence: String, _ effect: Change.Effect) { self.add("command_line_api", "the command-line API \(sentence)", effect, at: after.location) }
        switch (before.requestsPerMinute, after.requestsPerMinute) {
        case (let was?, nil): add("no longer limits the requests of a client (was \(was) a minute)", .weaker)
        case (let was, let now?) where was != now: add("lets a client send \(now) requests a minute", .neutral)
        case (nil, nil), (_?, _?), (nil, _?): break
        }
        if before.identityPool != after.identityPool {
            if let pool = after.identityPool { add("gives AWS credentials of identity pool \(pool.id)", .weaker) } else { add("gives no AWS credentials any more", .stronger) }
        }
        if before.clientID != after.clientID { add("logs people in by client \(after.clientID)", .neutral) }
        if before.scopes != after.scopes { add("asks for the scopes \(Words.list(after.scopes))", .neutral) }
        if before.settings != after.settings {
            let names = Set(before.settings.keys).union(after.settings.keys).filter { before.settings[$0] != after.settings[$0] }
            add("gives other settings: \(Words.list(names))", .neutral)
        }
        if before.wheel?.name != after.wheel?.name { add("offers \(after.wheel.map { "\($0.name)" } ?? "no extension")", .neutral) }
        if before.minimumExtensionVersion != after.minimumExtensionVersion { add("wants extension \(after.minimumExtensionVersion) or later", .neutral) }
    }
}

enum UpstreamDifference {
    static func sentences(from old: Configuration.Upstream, to new: Configuration.Upstream) -> [(sentence: String, effect: Change.Effect)] {
        var result: [(String, Change.Effect)] = []
        let before = Set(old.endpoints.map(name)), after = Set(new.endpoints.map(name))
        let wasSecure = old.endpoints.contains { $0.scheme == .https }, isSecure = new.endpoints.contains { $0.scheme == .https }
        if wasSecure, !isSecure {
            result.append(("is spoken to in plain text", .weaker))
        } else if !wasSecure, isSecure {
            result.append(("is spoken to over TLS", .stronger))
        } else if isSecure {
            if old.caFile?.path != new.caFile?.path { result.append(("is believed on the word of \(new.caFile?.path ?? "the system's authorities")", .weaker)) }
            if old.serverName != new.serverName { result.append(("must prove to be \(new.serverName.map { "\($0.value)" } ?? "the host of its endpoint")", .weaker)) }
        }
        if before != after { result.append(("has the endpoints \(Words.list(after))", .neutral)) }
        if old.health != new.health { result.append((new.health.map { "is checked at \($0.path.value)" } ?? "is not checked any more", .neutral)) }
        if old.balance != new.balance { result.append(("is balanced another way", .neutral)) }
        if old.failures != new.failures { result.append(("fails as \(new.failures.rawValue)", .neutral)) }
        if old.connectTimeout != new.connectTimeout || old.responseTimeout != new.responseTimeout || old.idleTimeout != new.idleTimeout || old.pendingTimeout != new.pendingTimeout {
            result.append(("has other timeouts", .neutral))
        }
        if old.connectionsMax != new.connectionsMax || old.pendingMax != new.pendingMax || old.keepAlive != new.keepAlive { result.append(("has other limits", .neutral)) }
        return result
    }

    private static func name(_ endpoint: Configuration.Upstream.Endpoint) -> String { "\(endpoint.scheme.rawValue)://\(endpoint.host):\(endpoint.port)" }
}
