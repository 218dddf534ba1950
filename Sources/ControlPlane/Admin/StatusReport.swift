internal import GatewayTerms
internal import Proxy

/// "Is it well?": one screen for people, one object for programs.
struct StatusReport {
    let reading: GatewayReading

    // MARK: For people

    /// Lines of at most about 120 characters; the first one is the answer.
    var screen: String {
        let troubles = reading.troubles
        let counters = reading.worker.counters
        var lines = [troubles.isEmpty ? "well" : "NOT WELL: " + troubles.joined(separator: "; ")]
        func line(_ title: String, _ parts: [String]) {
            lines.append(title + String(repeating: " ", count: max(1, 15 - title.count)) + parts.joined(separator: "   "))
        }
        line("gateway", ["version \(GatewayVersion.text)", "pid \(reading.processID)", "up \(Self.span(reading.uptime.components.seconds))", reading.isDraining ? "draining" : reading.obstacle == nil ? "ready" : "NOT READY"])
        line("configuration", ["\(reading.configurationPath)", "version \(reading.reloads.version)", "accepted \(ago(reading.reloads.acceptedAt))"])
        if let last = reading.reloads.recent.last {
            line("last reload", ["\(last.isAccepted ? "accepted" : "REFUSED")", "\(ago(last.at)), by \(last.cause.rawValue)", "\(reading.reloads.accepted) accepted, \(reading.reloads.refused) refused in all"])
            if !last.isAccepted { for diagnostic in last.diagnostics.prefix(5) { lines.append("  \(diagnostic)") } }
        }
        if let window = reading.window {
            line("traffic", [
                "\(Self.decimal(window.requestsPerSecond, 1)) requests/s", "p50 \(Self.milliseconds(window.duration.quantile(0.5)))",
                "p99 \(Self.milliseconds(window.duration.quantile(0.99)))", "5xx \(Self.decimal(window.errorShare * 100, 2)) %", "over the last \(Int(window.seconds.rounded())) s",
            ])
        }
        line("requests", ["\(counters.requests) in all", "\(counters.requests &- counters.ended) under way", "\(counters.errors) answered with 5xx"])
        line("connections", ["\(counters.downstreamConnections) open", "\(counters.openTunnels) WebSockets", "\(counters.connectionsRefused &+ counters.handshakesRefused) refused at a limit", "\(counters.handshakeFailures) failed handshakes"])
        for upstream in reading.upstreams {
            let up = upstream.endpoints.count(where: \.isUp)
            let active = upstream.endpoints.reduce(0) { $0 + $1.active }, idle = upstream.endpoints.reduce(0) { $0 + $1.idle }
            line("upstream", ["\(upstream.stage)/\(upstream.name)", "\(up) of \(upstream.endpoints.count) up", "\(active) busy, \(idle) idle connections"])
            for endpoint in upstream.endpoints where !endpoint.isUp {
                lines.append("  \(endpoint.name) is DOWN: \(endpoint.isUnhealthy ? "its health check fails" : "it takes no connections")")
            }
        }
        for keySet in reading.keySets {
            let age = keySet.isFromFile ? "from a file" : keySet.age.map { "confirmed \(Self.span($0.components.seconds)) ago" } ?? "MISSING"
            line("key set", ["\(keySet.keyIDs.count) key\(keySet.keyIDs.count == 1 ? "" : "s")", age, "\(keySet.issuer)"])
            if let failure = keySet.lastFailure { lines.append("  \(failure)") }
        }
        for certificate in reading.certificates {
            let days = certificate.daysLeft(at: reading.at)
            line("certificate", ["\(certificate.name)", days < 0 ? "EXPIRED" : "\(days) day\(days == 1 ? "" : "s") left", "until \(certificate.notAfter)"])
        }
        let logins = reading.logins
        line("logins", ["\(logins.redemptions &- logins.redemptionsFailed) begun", "\(logins.refreshes) refreshes, \(logins.refreshesFailed) failed", "\(reading.endedLogins) ended here"])
        if let path = reading.revocationFile.path {
            line("revocations", [path, "\(reading.revocationFile.entries) entries"])
            if let fault = reading.revocationFile.fault { lines.append("  \(fault)") }
        }
        line("log", ["level \(reading.logLevel)", "\(counters.logLinesDropped) access log lines lost"])
        return lines.joined(separator: "\n") + "\n"
    }

    private func ago(_ time: WallTime) -> String { "\(Self.span(reading.at.seconds - time.seconds)) ago" }

    /// `3 d 4 h`, `12 min`, `40 s`.
    static func span(_ seconds: Int64) -> String {
        let seconds = max(0, seconds)
        if seconds < 120 { return "\(seconds) s" }
        if seconds < 7200 { return "\(seconds / 60) min" }
        if seconds < 2 * 86_400 { return "\(seconds / 3600) h \(seconds / 60 % 60) min" }
        return "\(seconds / 86_400) d \(seconds / 3600 % 24) h"
    }

    static func decimal(_ number: Double, _ digits: Int) -> String {
        guard number.isFinite, abs(number) < 1e12 else { return "-" }
        var factor: Int64 = 1
        for _ in 0..<digits { factor *= 10 }
        let scaled = Int64((number * Double(factor)).rounded())
        let fraction = String(abs(scaled) % factor)
        return (scaled < 0 ? "-" : "") + "\(abs(scaled) / factor)" + (digits == 0 ? "" : "." + String(repeating: "0", count: digits - fraction.count) + fraction)
    }

    private static func milliseconds(_ seconds: Double?) -> String {
        guard let seconds else { return "-" }
        return seconds < 0.1 ? "\(decimal(seconds * 1000, 1)) ms" : "\(decimal(seconds * 1000, 0)) ms"
    }

    // MARK: For programs

    var json: String {
        let counters = reading.worker.counters
        return JSONText.object { object in
            object.member("well", json: reading.troubles.isEmpty ? "true" : "false")
            object.member("troubles", reading.troubles)
            object.member("version", GatewayVersion.text)
            object.member("pid", reading.processID)
            object.member("uptime_seconds", reading.uptime.components.seconds)
            object.member("ready", json: reading.obstacle == nil ? "true" : "false")
            object.member("obstacle", reading.obstacle)
            object.member("draining", json: reading.isDraining ? "true" : "false")
            object.member("configuration", json: JSONText.object { part in
                part.member("path", reading.configurationPath)
                part.member("version", reading.reloads.version)
                part.member("accepted_at", reading.reloads.acceptedAt.description)
            })
            object.member("reloads", json: JSONText.object { part in
                part.member("accepted", reading.reloads.accepted)
                part.member("refused", reading.reloads.refused)
                part.member("last", json: reading.reloads.recent.last?.json ?? "null")
            })
            object.member("traffic", json: reading.window.map { window in
                JSONText.object { part in
                    part.member("seconds", json: Self.decimal(window.seconds, 3))
                    part.member("requests_per_second", json: Self.decimal(window.requestsPerSecond, 3))
                    part.member("error_share", json: Self.decimal(window.errorShare, 6))
                    part.member("p50_seconds", json: window.duration.quantile(0.5).map { Self.decimal($0, 6) } ?? "null")
                    part.member("p99_seconds", json: window.duration.quantile(0.99).map { Self.decimal($0, 6) } ?? "null")
                }
            } ?? "null")
            object.member("requests", counters.requests)
            object.member("requests_active", counters.requests &- counters.ended)
            object.member("errors", counters.errors)
            object.member("connections", counters.downstreamConnections)
            object.member("tunnels", counters.openTunnels)
            object.member("connections_refused", counters.connectionsRefused &+ counters.handshakesRefused)
            object.member("log_lines_lost", counters.logLinesDropped)
            object.member("log_level", reading.logLevel)
            object.member("upstreams", json: AdminListing.upstreams(reading))
            object.member("revocations", json: JSONText.object { part in
                part.member("file", reading.revocationFile.path)
                part.member("entries", reading.revocationEntries)
                part.member("fault", reading.revocationFile.fault)
            })
            object.member("key_sets", json: AdminListing.keySets(reading))
            object.member("certificates", json: AdminListing.certificates(reading))
        }
    }
}
