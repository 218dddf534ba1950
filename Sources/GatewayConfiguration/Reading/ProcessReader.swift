internal import GatewayTerms
internal import Yams

/// Reads `gateway.yaml`: everything but the stages, whose files it names.
struct ProcessReader {
    /// What a readable file gave; listeners that were wrong are missing.
    struct Result {
        let listeners: [Configuration.Listener]
        let health: Configuration.Health
        let admin: Configuration.Admin
        let accessLog: Configuration.AccessLog
        let log: Configuration.Log
        let stateDirectory: Located<String>
        let eventLoops: Int?
        let reload: Configuration.Reload
        let drain: Configuration.Drain
        let loginSessions: Configuration.LoginSessions
        let revocationFile: Configuration.FileReference?
        let limits: Configuration.Limits
        let timeouts: Configuration.Timeouts
        let compression: Configuration.Compression
        let approvals: [Located<String>]
        let stageFiles: [Located<String>]
    }

    let root: Section

    func read() -> Result {
        let named = root.sections("listeners").compactMap { section in listener(section).map { (name: section.name, listener: $0) } }
        let listeners = named.map(\.listener)
        let healthSection = root.section("health"), adminSection = root.section("admin")
        let health = Configuration.Health(address: address("address", of: healthSection))
        let admin = admin(adminSection)
        let drain = readDrain()
        var claims: [Claim] = named.map { Claim(address: $0.listener.address, setting: "\($0.name).address", isWritten: true) }
        claims.append(Claim(address: health.address, setting: "health.address", isWritten: healthSection.has("address")))
        if let metrics = admin.metricsAddress {
            claims.append(Claim(address: metrics, setting: "admin.metrics_address", isWritten: adminSection.has("metrics_address")))
        }
        checkAddresses(claims)
        checkListeners(listeners, drain: drain)
        return Result(
            listeners: listeners, health: health, admin: admin, accessLog: accessLog(), log: log(),
            stateDirectory: root.pathToMake("state_directory"), eventLoops: root.countOrWord("event_loops"),
            reload: Configuration.Reload(watchesFiles: root.section("reload").flag("watch_files")), drain: drain,
            loginSessions: loginSessions(), revocationFile: root.section("revocation").fileReference("file", isFollowedApart: true), limits: limits(),
            timeouts: timeouts(), compression: compression(), approvals: root.list("approve", Section.text(max: 8192)), stageFiles: stageFiles()
        )
    }

    // MARK: Listeners

    private func listener(_ section: Section) -> Configuration.Listener? {
        let clientAddress = clientAddress(section)
        let tracing = ranges("trace_context_from", of: section)
        let redirects = section.flag("redirect_to_https")
        let tls = section.optionalSection("tls").map(tls)
        let publicPort = section.count("public_port")
        guard let address = section.value("address", SocketAddress.init) else { return nil }
        let role: Configuration.Listener.Role
        switch (tls, redirects) {
        case (let tls?, false): role = .stages(tls)
        case (nil, true): role = .redirectToHTTPS
        case (_?, true):
            section.fault("redirect_to_https", "a listener that speaks TLS has nothing to redirect. Take redirect_to_https or tls away.")
            return nil
        case (nil, false):
            // A value that is neither true nor false has been reported.
            if let written = section.scalarForm("redirect_to_https"), Section.boolean(written.value) == nil { return nil }
            section.reading.fault(at: section.location, section.name, "must have tls with certificates, or redirect_to_https: true; requests are never served in plain text.")
            return nil
        }
        return Configuration.Listener(
            address: address, role: role, publicPort: UInt16(clamping: publicPort), clientAddress: clientAddress, traceContextFrom: tracing,
            location: section.location
        )
    }

    private func tls(_ section: Section) -> Configuration.Listener.TLS {
        let certificates = section.sections("certificates").compactMap { section -> Configuration.Listener.Certificate? in
            let chain = section.fileReference("chain"), key = section.fileReference("key")
            guard let chain, let key else { return nil }
            return Configuration.Listener.Certificate(chain: chain, key: key)
        }
        return Configuration.Listener.TLS(certificates: certificates, minimumVersion: section.word("minimum_version", as: Configuration.Listener.TLSVersion.self) ?? .tls12)
    }

    private func clientAddress(_ section: Section) -> Configuration.ClientAddress {
        if let word = section.scalarForm("client_address") {
            if word.value != "peer" {
                let remedy = word.value == "proxy_protocol" || word.value == "x_forwarded_for" ? " Say who is trusted: { \(word.value): { trusted: [10.0.0.0/8] } }." : ""
                section.fault("client_address", value: word.value, "\(Section.shown(word.value)) is not one of peer, { proxy_protocol: … } or { x_forwarded_for: … }.\(remedy)")
            }
            return .peer
        }
        guard section.has("client_address"), let (key, choice) = section.choice("client_address") else { return .peer }
        let details = choice.section(key)
        let ranges = ranges("trusted", of: details)
        return key == "proxy_protocol" ? .proxyProtocol(trusted: ranges) : .forwardedFor(trusted: ranges)
    }

    /// Whom something is believed; never everybody.
    private func ranges(_ key: String, of section: Section) -> [AddressRange] {
        let trusted = section.list(key) { AddressRange($0) }
        for range in trusted where range.value.prefixLength == 0 {
            section.fault(key, value: range.value.description, "\(range.value) trusts everybody, so anybody may say to be anybody. Name the proxies' own networks.")
        }
        return trusted.map(\.value)
    }

    /// An address that the process wants to itself.
    private struct Claim {
        let address: Located<SocketAddress>
        let setting: String
        let isWritten: Bool
    }

    private func checkAddresses(_ claims: [Claim]) {
        var owners: [SocketAddress: String] = [:]
        // A default stands in nobody's file, so what is written is blamed.
        for claim in claims.filter({ !$0.isWritten }) + claims.filter(\.isWritten) where claim.address.value.port != 0 {
            let address = claim.address.value
            if let owner = owners[address] {
                root.reading.fault(at: claim.address.location, claim.setting, value: address.description, "\(address) is taken by \(owner). Choose another port.")
            } else {
                owners[address] = claim.setting
            }
        }
    }

    private func checkListeners(_ listeners: [Configuration.Listener], drain: Configuration.Drain) {
        let secure = listeners.filter { if case .stages = $0.role { true } else { false } }
        if !listeners.isEmpty, secure.isEmpty {
            root.fault("listeners", "none of them speaks TLS, so no stage can be reached. Give one tls with certificates.")
        }
        // A local run stops when it is told to; behind a load balancer that loses requests.
        if drain.acceptFor < .seconds(180), secure.contains(where: { !$0.address.value.address.isLoopback }) {
            root.reading.warning(at: drain.location, "drain.accept_for", value: DurationText.print(drain.acceptFor),
                                 "\(DurationText.print(drain.acceptFor)) is short: an NLB sends new connections for three to five minutes after readiness has failed. Set 240s.")
        }
    }

    // MARK: Operations

    private func admin(_ section: Section) -> Configuration.Admin {
        let metrics: Located<SocketAddress>?
        if let word = section.scalarForm("metrics_address"), word.value == "off" { metrics = nil } else { metrics = address("metrics_address", of: section) }
        return Configuration.Admin(socket: section.pathToMake("socket"), metricsAddress: metrics)
    }

    private func address(_ key: String, of section: Section) -> Located<SocketAddress> {
        let address = section.setting(key, SocketAddress.init) ?? SocketAddress(address: IPAddress(ipv4: 0x7f00_0001), port: 0)
        return Located(address, at: section.location(of: key))
    }

    private func accessLog() -> Configuration.AccessLog {
        let section = root.section("access_log")
        let path = section.setting("path", Section.text(max: 4096)) ?? "stdout"
        return Configuration.AccessLog(
            destination: path == "stdout" ? .standardOutput : .file(section.file.resolve(path)), location: section.location(of: "path")
        )
    }

    private func log() -> Configuration.Log {
        Configuration.Log(level: root.section("log").word("level", as: Configuration.Log.Level.self) ?? .info)
    }

    private func readDrain() -> Configuration.Drain {
        let section = root.section("drain")
        return Configuration.Drain(
            acceptFor: section.duration("accept_for"), finishFor: section.duration("finish_for"), quietFor: section.duration("quiet_for"),
            location: section.location(of: "accept_for")
        )
    }

    private func loginSessions() -> Configuration.LoginSessions {
        let section = root.section("login_sessions")
        let sessions = Configuration.LoginSessions(keys: section.secret("keys"), lifetime: section.duration("lifetime"), idle: section.duration("idle"))
        if sessions.idle > sessions.lifetime {
            section.fault("idle", value: DurationText.print(sessions.idle),
                          "\(DurationText.print(sessions.idle)) is longer than lifetime, \(DurationText.print(sessions.lifetime)), and would never end a login. Set less.")
        }
        return sessions
    }

    // MARK: Limits and timeouts

    private func limits() -> Configuration.Limits {
        let section = root.section("limits")
        let limits = Configuration.Limits(
            headBytes: section.bytes("head_bytes"), fieldLineBytes: section.bytes("field_line_bytes"), cookieBytes: section.bytes("cookie_bytes"),
            authorizationBytes: section.bytes("authorization_bytes"), fields: section.count("fields"), targetBytes: section.bytes("target_bytes"),
            bodyBytes: section.bytes("body_bytes"), connections: section.count("connections"), handshakes: section.count("handshakes"),
            http2Streams: section.count("http2_streams"), requestsPerConnection: section.countOrWord("requests_per_connection"), connectionAge: section.durationOrWord("connection_age")
        )
        let parts: [(key: String, value: ByteCount)] = [
            ("field_line_bytes", limits.fieldLineBytes), ("cookie_bytes", limits.cookieBytes),
            ("authorization_bytes", limits.authorizationBytes), ("target_bytes", limits.targetBytes),
        ]
        for part in parts where part.value > limits.headBytes {
            section.fault(section.has(part.key) ? part.key : "head_bytes", value: part.value.description,
                          "\(part.key), \(part.value), is more than head_bytes, \(limits.headBytes), which holds it. Raise head_bytes or lower \(part.key).")
        }
        return limits
    }

    private func timeouts() -> Configuration.Timeouts {
        let section = root.section("timeouts")
        let timeouts = Configuration.Timeouts(
            head: section.duration("head"), handshake: section.duration("handshake"), proxyProtocol: section.duration("proxy_protocol"),
            keepAlive: section.duration("keep_alive"), http2Ping: section.duration("http2_ping"), bodyIdle: section.duration("body_idle"), streamIdle: section.duration("stream_idle"), streamAge: section.duration("stream_age"),
            sendIdle: section.duration("send_idle")
        )
        if timeouts.keepAlive >= .seconds(350) {
            section.warning("keep_alive", value: DurationText.print(timeouts.keepAlive),
                            "\(DurationText.print(timeouts.keepAlive)) is not below the 350 s after which an NLB forgets a connection and answers with a reset. Set 340s.")
        }
        return timeouts
    }

    private func compression() -> Configuration.Compression {
        let section = root.section("compression")
        return Configuration.Compression(
            isEnabled: section.flag("enabled"), level: section.count("level"), minimumBytes: section.bytes("minimum_bytes"), streams: section.count("streams"))
    }

    private func stageFiles() -> [Located<String>] {
        root.list("stages", Section.text(max: 4096)).map { Located(root.file.resolve($0.value), at: $0.location) }
    }
}
