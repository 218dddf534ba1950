internal import GatewayTerms

/// Reads one of a stage's `upstreams`.
struct UpstreamReader {
    let name: Located<String>
    let section: Section

    func read() -> Configuration.Upstream? {
        let endpoints = section.list("endpoints", Section.endpoint).map {
            Configuration.Upstream.Endpoint(scheme: $0.value.scheme, host: $0.value.host, port: $0.value.port, location: $0.location)
        }
        let caFile = section.fileReference("ca_file")
        let serverName = section.value("server_name", Section.hostname)
        let isSecure = endpoints.contains { $0.scheme == .https }
        if isSecure, let plain = endpoints.first(where: { $0.scheme == .http }) {
            section.reading.fault(at: plain.location, section.title("endpoints"), value: "http://\(plain.host):\(plain.port)",
                                  "http://\(plain.host):\(plain.port) stands beside https endpoints. All of an upstream's endpoints are https, or none.")
        }
        if !endpoints.isEmpty, !isSecure {
            for key in ["ca_file", "server_name"] where section.has(key) {
                section.fault(key, "belongs to https endpoints, and these are http. Take it away, or write https.")
            }
        }
        let upstream = Configuration.Upstream(
            name: name, endpoints: endpoints, caFile: caFile, serverName: serverName, health: health(),
            failures: section.word("failures", as: Configuration.FailureProfile.self) ?? .browser, balance: balance(),
            connectTimeout: section.duration("connect_timeout"), responseTimeout: section.duration("response_timeout"),
            idleTimeout: section.duration("idle_timeout"), connectionsMax: section.count("connections_max"),
            pendingMax: section.count("pending_max"),
            pendingTimeout: section.duration("pending_timeout"), keepAlive: section.flag("keep_alive"), location: section.location
        )
        return endpoints.isEmpty ? nil : upstream
    }

    private func health() -> Configuration.Upstream.HealthCheck? {
        guard section.has("health") else { return nil }
        if let text = section.scalarForm("health") {
            guard let path = Section.canonicalPath(text.value) else {
                section.fault("health", value: text.value, "\(Section.shown(text.value)) is not \(Setting.Form.healthPath.allowed)\(Section.pathRemedy(text.value))")
                return nil
            }
            return Configuration.Upstream.HealthCheck(path: Located(path, at: text.location), interval: .seconds(5), timeout: .seconds(1), unhealthyAfter: 3, healthyAfter: 2)
        }
        let details = section.section("health")
        let interval = details.duration("interval"), timeout = details.duration("timeout")
        let unhealthyAfter = details.count("unhealthy_after"), healthyAfter = details.count("healthy_after")
        if timeout > interval {
            details.fault("timeout", value: DurationText.print(timeout),
                          "\(DurationText.print(timeout)) is longer than interval, \(DurationText.print(interval)), so that checks would overtake each other. Set less.")
        }
        return details.value("path", Section.canonicalPath).map {
            Configuration.Upstream.HealthCheck(path: $0, interval: interval, timeout: timeout, unhealthyAfter: unhealthyAfter, healthyAfter: healthyAfter)
        }
    }

    private func balance() -> Configuration.Upstream.Balance {
        if let word = section.scalarForm("balance") {
            switch word.value {
            case "round_robin": return .roundRobin
            case "least_requests": return .leastRequests
            default:
                let meant = EditDistance.suggestion(for: word.value, among: ["round_robin", "least_requests"]).map { " Did you mean \($0)?" } ?? ""
                section.fault("balance", value: word.value, "\(Section.shown(word.value)) is not one of round_robin, least_requests or { hash: … }.\(meant)")
                return .roundRobin
            }
        }
        guard let details = section.optionalSection("balance"),
              let hash = details.value("hash", { ["login_session", "client_address"].contains($0) ? $0 : nil }) else { return .roundRobin }
        return hash.value == "login_session" ? .hashLoginSession : .hashClientAddress
    }
}
