internal import GatewayConfiguration
internal import GatewayTerms

/// What changes in the process's part: who is believed about addresses, TLS, logins' lives, limits.
struct ProcessDifference {
    private let old: Configuration
    private let new: Configuration
    private var changes: [Change] = []

    static func changes(from old: Configuration, to new: Configuration) -> [Change] {
        var difference = ProcessDifference(old: old, new: new)
        difference.compareListeners()
        difference.compareLogins()
        difference.compareOperations()
        difference.compareLimits()
        return difference.changes
    }

    private init(old: Configuration, new: Configuration) { (self.old, self.new) = (old, new) }

    private mutating func add(_ setting: String, _ sentence: String, _ effect: Change.Effect, at location: SourceLocation? = nil) {
        let file = SourceLocation(file: new.stateDirectory.location.file, line: 0, column: 0)
        changes.append(Change(stage: nil, setting: setting, sentence, effect, at: location ?? file))
    }

    // MARK: Listeners

    private mutating func compareListeners() {
        // By address; of several with port 0, which tests use, by their order.
        var before = Dictionary(grouping: old.listeners, by: \.address.value)
        for (index, listener) in new.listeners.enumerated() {
            let setting = "listeners[\(index)]", title = "listener \(listener.address.value)"
            guard let was = before[listener.address.value]?.first else {
                add(setting, "\(title) is new", .neutral, at: listener.location)
                compareNew(listener, setting, title)
                continue
            }
            before[listener.address.value]?.removeFirst()
            guard was != listener else { continue }
            compareTLS(was, listener, setting, title)
            compareTrust(trusted(was), trusted(listener), setting, title, at: listener.location)
            if was.traceContextFrom != listener.traceContextFrom {
                add("\(setting).trace_context_from", "\(title) goes on with the traces of \(listener.traceContextFrom.isEmpty ? "nobody" : Words.list(listener.traceContextFrom.map(\.description)))", .neutral, at: listener.location)
            }
            if was.publicPort != listener.publicPort { add("\(setting).public_port", "\(title) is seen by clients at port \(listener.publicPort)", .neutral, at: listener.location) }
        }
        for listener in before.values.joined() { add("listeners", "listener \(listener.address.value) is gone", .neutral) }
    }

    /// Clients choose where they connect, so a new listener is measured by the most lenient one that there was.
    private mutating func compareNew(_ listener: Configuration.Listener, _ setting: String, _ title: String) {
        let versions = old.listeners.compactMap(version)
        if version(listener) == .tls12, !versions.isEmpty, !versions.contains(.tls12) { add("\(setting).tls.minimum_version", "\(title) speaks TLS 1.2", .weaker, at: listener.location) }
        let trustedBefore = old.listeners.map(trusted).reduce(Trust()) { Trust(kind: $0.kind ?? $1.kind, ranges: $0.ranges + $1.ranges) }
        let trust = trusted(listener)
        let added = trust.ranges.filter { range in !trustedBefore.ranges.contains { $0.covers(range) } }
        if !added.isEmpty { add("\(setting).client_address", "\(title) believes \(Words.list(added.map(\.description))) about client addresses", .weaker, at: listener.location) }
    }

    private func version(_ listener: Configuration.Listener) -> Configuration.Listener.TLSVersion? {
        if case .stages(let tls) = listener.role { tls.minimumVersion } else { nil }
    }

    private mutating func compareTLS(_ was: Configuration.Listener, _ listener: Configuration.Listener, _ setting: String, _ title: String) {
        switch (was.role, listener.role) {
        case (.redirectToHTTPS, .redirectToHTTPS): break
        case (.stages, .redirectToHTTPS): add(setting, "\(title) only redirects to https", .stronger, at: listener.location)
        case (.redirectToHTTPS, .stages): add(setting, "\(title) serves every stage over TLS", .neutral, at: listener.location)
        case (.stages(let before), .stages(let after)):
            if before.minimumVersion != after.minimumVersion {
                add("\(setting).tls.minimum_version", "\(title) \(after.minimumVersion == .tls12 ? "speaks TLS 1.2 too" : "no longer speaks TLS 1.2")",
                    after.minimumVersion == .tls12 ? .weaker : .stronger, at: listener.location)
            }
            if before.certificates != after.certificates {
                add("\(setting).tls.certificates", "\(title) shows the certificates \(Words.list(after.certificates.map(\.chain.path)))", .neutral, at: listener.location)
            }
        }
    }

    /// Who is believed about a client's address, and by which means.
    private struct Trust: Equatable {
        var kind: String?
        var ranges: [AddressRange] = []
    }

    private func trusted(_ listener: Configuration.Listener) -> Trust {
        switch listener.clientAddress {
        case .peer: Trust()
        case .proxyProtocol(let ranges): Trust(kind: "the PROXY protocol", ranges: ranges)
        case .forwardedFor(let ranges): Trust(kind: "X-Forwarded-For", ranges: ranges)
        }
    }

    private mutating func compareTrust(_ was: Trust, _ trust: Trust, _ setting: String, _ title: String, at location: SourceLocation) {
        guard was != trust else { return }
        if let kind = trust.kind, kind != was.kind {
            return add("\(setting).client_address", "\(title) believes \(kind) of \(Words.list(trust.ranges.map(\.description))) about client addresses", .weaker, at: location)
        }
        guard trust.kind != nil else { return add("\(setting).client_address", "\(title) takes the TCP peer for the client", .stronger, at: location) }
        let added = trust.ranges.filter { range in !was.ranges.contains { $0.covers(range) } }
        let removed = was.ranges.filter { range in !trust.ranges.contains { $0.covers(range) } }
        if !added.isEmpty { add("\(setting).client_address", "\(title) believes \(Words.list(added.map(\.description))) too about client addresses", .weaker, at: location) }
        if !removed.isEmpty { add("\(setting).client_address", "\(title) no longer believes \(Words.list(removed.map(\.description))) about client addresses", .stronger, at: location) }
    }

    // MARK: Logins

    private mutating func compareLogins() {
        let (before, after) = (old.loginSessions, new.loginSessions)
        if before.lifetime != after.lifetime {
            add("login_sessions.lifetime", "a login lives \(DurationText.print(after.lifetime)) at the longest, and lived \(DurationText.print(before.lifetime))", after.lifetime > before.lifetime ? .weaker : .stronger)
        }
        if before.idle != after.idle {
            add("login_sessions.idle", "an unused login lives \(DurationText.print(after.idle)), and lived \(DurationText.print(before.idle))", after.idle > before.idle ? .weaker : .stronger)
        }
        if old.revocationFile?.path != new.revocationFile?.path {
            if let file = new.revocationFile { add("revocation.file", "revocations are read from \(file.path)", .neutral, at: file.location) } else {
                add("revocation.file", "revocations of \(old.revocationFile?.path ?? "") no longer hold", .weaker)
            }
        }
        if before.keys?.source != after.keys?.source { add("login_sessions.keys", "logins are sealed with another key ring", .neutral, at: after.keys?.location) }
    }

    // MARK: Operations

    private mutating func compareOperations() {
        if old.admin.metricsAddress != new.admin.metricsAddress {
            if let address = new.admin.metricsAddress {
                let wasLocal = old.admin.metricsAddress?.value.address.isLoopback ?? true
                add("admin.metrics_address", "metrics are served at \(address.value)", wasLocal && !address.value.address.isLoopback ? .weaker : .neutral, at: address.location)
            } else { add("admin.metrics_address", "metrics are not served any more", .stronger) }
        }
        if old.admin.socket != new.admin.socket { add("admin.socket", "the operators' socket is \(new.admin.socket.value)", .neutral, at: new.admin.socket.location) }
        if old.health != new.health { add("health.address", "probes are answered at \(new.health.address.value)", .neutral, at: new.health.address.location) }
        if old.accessLog != new.accessLog { add("access_log.path", "the access log goes elsewhere", .neutral, at: new.accessLog.location) }
        if old.log != new.log { add("log.level", "messages from \(new.log.level.rawValue) on are written", .neutral) }
        if old.drain != new.drain { add("drain", "draining accepts for \(DurationText.print(new.drain.acceptFor)) and finishes for \(DurationText.print(new.drain.finishFor))", .neutral, at: new.drain.location) }
        if old.eventLoops != new.eventLoops { add("event_loops", "\(new.eventLoops.map(String.init) ?? "as many as cores") event loops serve", .neutral) }
        if old.stateDirectory != new.stateDirectory { add("state_directory", "state is kept in \(new.stateDirectory.value)", .neutral, at: new.stateDirectory.location) }
    }

    // MARK: Limits

    private mutating func compareLimits() {
        let (before, after) = (old.limits, new.limits)
        let sizes: [(String, ByteCount, ByteCount)] = [
            ("head_bytes", before.headBytes, after.headBytes), ("field_line_bytes", before.fieldLineBytes, after.fieldLineBytes),
            ("cookie_bytes", before.cookieBytes, after.cookieBytes), ("authorization_bytes", before.authorizationBytes, after.authorizationBytes),
            ("target_bytes", before.targetBytes, after.targetBytes), ("body_bytes", before.bodyBytes, after.bodyBytes),
        ]
        for (name, was, now) in sizes where was != now { add("limits.\(name)", "limits.\(name) is \(now) instead of \(was)", .neutral) }
        let counts: [(String, Int, Int)] = [
            ("fields", before.fields, after.fields), ("connections", before.connections, after.connections), ("handshakes", before.handshakes, after.handshakes),
        ]
        for (name, was, now) in counts where was != now { add("limits.\(name)", "limits.\(name) is \(now) instead of \(was)", .neutral) }
        switch (before.requestsPerConnection, after.requestsPerConnection) {
        case (let was?, nil): add("limits.requests_per_connection", "a connection carries any number of requests, and carried \(was)", .weaker)
        case (let was, let now?) where was != now: add("limits.requests_per_connection", "a connection carries \(now) requests", .neutral)
        case (nil, nil), (_?, _?), (nil, _?): break
        }
        switch (before.connectionAge, after.connectionAge) {
        case (let was?, nil): add("limits.connection_age", "a connection lives without end, and lived \(DurationText.print(was))", .weaker)
        case (let was, let now?) where was != now: add("limits.connection_age", "a connection lives \(DurationText.print(now))", .neutral)
        case (nil, nil), (_?, _?), (nil, _?): break
        }
        if old.timeouts != new.timeouts { add("timeouts", "clients have other times", .neutral) }
    }
}

extension AddressRange {
    /// Every address of `other` is one of this.
    func covers(_ other: AddressRange) -> Bool { prefixLength <= other.prefixLength && contains(other.base) }
}
