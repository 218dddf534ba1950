internal import GatewayTerms
internal import NIOCore
internal import Proxy

/// GET /metrics: what the gateway knows of itself, under the names of ``MetricTable``. Label values come from the configuration and from
/// closed lists, never from a client.
struct MetricsExposition {
    let gateway: Gateway

    func answer(_ request: LocalRequest, on loop: any EventLoop) -> EventLoopFuture<LocalAnswer> {
        guard request.path == "/metrics" else { return loop.makeSucceededFuture(.text(404, "here is /metrics")) }
        // Beside the event loops: a text of thousands of lines must not keep requests waiting.
        return loop.makeFutureWithTask {
            var answer = LocalAnswer.text(200, MetricsExposition.text(try await gateway.read(on: loop).get(), gateway.names))
            answer.contentType = "text/plain; version=0.0.4; charset=utf-8"
            return answer
        }
    }

    static func text(_ reading: GatewayReading, _ names: MetricNames) -> String {
        var text = ExpositionText()
        requests(reading, names, &text)
        upstreams(reading, names, &text)
        authentication(reading, names, &text)
        configuration(reading, &text)
        connections(reading, &text)
        process(reading, &text)
        return text.text
    }

    private static func requests(_ reading: GatewayReading, _ names: MetricNames, _ text: inout ExpositionText) {
        let counters = reading.worker.counters
        let routes = names.routes.all
        text.family(MetricTable.requests) { samples in
            var rows: [(labels: ExpositionText.Labels, order: String, count: UInt64)] = []
            counters.requestSeries.forEach { key, count in
                let series = RequestSeries(key)
                let route = series.route < routes.count ? routes[series.route] : ("", "other")
                let listener = series.listener < reading.listeners.count ? reading.listeners[series.listener] : "other"
                let method = series.method.map { $0 == .connect || $0 == .trace ? "other" : $0.description } ?? "other"
                let flag = series.flag.map { AccessLogFlags.letters($0) } ?? "none"
                rows.append((
                    ["listener": listener, "stage": route.0, "route": route.1, "method": method, "code_class": series.codeClass.label, "flag": flag],
                    "\(listener) \(route) \(method) \(series.codeClass.label) \(flag)", count))
            }
            // Methods that share the word "other" are one sample.
            var merged: [String: (labels: ExpositionText.Labels, count: UInt64)] = [:]
            for row in rows { merged[row.order] = (row.labels, (merged[row.order]?.count ?? 0) + row.count) }
            for (_, row) in merged.sorted(by: { $0.key < $1.key }) { samples.add(row.labels, row.count) }
            if counters.requestSeries.others > 0 {
                samples.add(["listener": "other", "stage": "", "route": "other", "method": "other", "code_class": "none", "flag": "none"], counters.requestSeries.others)
            }
        }
        let stages = names.stages.all
        text.family(MetricTable.requestDuration) { samples in
            for (number, duration) in counters.durations.enumerated() where duration.count > 0 && number < stages.count {
                samples.add([("stage", stages[number].scope)], duration)
            }
        }
        text.value(MetricTable.requestsActive, counters.requests &- counters.ended)
    }

    private static func upstreams(_ reading: GatewayReading, _ names: MetricNames, _ text: inout ExpositionText) {
        let known = names.upstreams.all
        // Number 0 is none; number 1, for what found no room, is left out while there is nothing of it.
        let counted = reading.worker.counters.upstreams.enumerated().filter { $0.offset > 1 && $0.offset < known.count || $0.offset == 1 && $0.element.answersAll > 0 }
            .map { (stage: known[$0.offset].scope, name: known[$0.offset].name, counts: $0.element) }
        text.family(MetricTable.upstreamRequests) { samples in
            for row in counted {
                for codeClass in CodeClass.allCases where row.counts.answers(codeClass) > 0 {
                    samples.add(["stage": row.stage, "upstream": row.name, "code_class": codeClass.label], row.counts.answers(codeClass))
                }
            }
        }
        text.family(MetricTable.upstreamDuration) { samples in
            for row in counted where row.counts.duration.count > 0 { samples.add([("stage", row.stage), ("upstream", row.name)], row.counts.duration) }
        }
        text.family(MetricTable.upstreamFailures) { samples in
            for row in counted {
                for failure in UpstreamCounts.Failure.allCases where row.counts.failures(failure) > 0 {
                    samples.add(["stage": row.stage, "upstream": row.name, "reason": failure.label], row.counts.failures(failure))
                }
            }
        }
        text.family(MetricTable.upstreamRetries) { samples in
            for row in counted { samples.add(["stage": row.stage, "upstream": row.name], row.counts.retries) }
        }
        func endpoints(_ family: MetricFamily, _ add: (inout ExpositionText.Samples, String, String, GatewayReading.Upstream.Endpoint) -> Void) {
            text.family(family) { samples in
                for upstream in reading.upstreams {
                    var seen: Set<String> = []
                    for endpoint in upstream.endpoints where seen.insert(endpoint.name).inserted { add(&samples, upstream.stage, upstream.name, endpoint) }
                }
            }
        }
        endpoints(MetricTable.endpointUp) { $0.add(["stage": $1, "upstream": $2, "endpoint": $3.name], $3.isUp ? 1 : 0) }
        endpoints(MetricTable.upstreamConnections) { samples, stage, upstream, endpoint in
            samples.add(["stage": stage, "upstream": upstream, "endpoint": endpoint.name, "state": "active"], endpoint.active)
            samples.add(["stage": stage, "upstream": upstream, "endpoint": endpoint.name, "state": "idle"], endpoint.idle)
        }
        endpoints(MetricTable.upstreamPending) { $0.add(["stage": $1, "upstream": $2, "endpoint": $3.name], $3.pending) }
    }

    private static func authentication(_ reading: GatewayReading, _ names: MetricNames, _ text: inout ExpositionText) {
        let issuers = names.issuers.all
        text.family(MetricTable.decisions) { samples in
            var rows: [(order: String, labels: ExpositionText.Labels, count: UInt64)] = []
            reading.worker.counters.decisions.forEach { key, count in
                let series = AuthenticationSeries(key)
                let issuer = series.issuer < issuers.count ? issuers[series.issuer] : ("", "other")
                let method = switch series.method {
                case .none: "none"
                case .bearer: "bearer"
                case .loginSession: "login_session"
                }
                let result = switch series.result {
                case .allowed: "allowed"
                case .refused: "refused"
                case .undecidable: "undecidable"
                }
                let reason = series.reason < AuthenticationSeries.reasons.count ? AuthenticationSeries.reasons[series.reason] : "other"
                rows.append(("\(issuer) \(method) \(result) \(reason)", ["stage": issuer.0, "issuer": issuer.1, "method": method, "result": result, "reason": reason], count))
            }
            for row in rows.sorted(by: { $0.order < $1.order }) { samples.add(row.labels, row.count) }
        }
        let counters = reading.worker.counters
        text.family(MetricTable.tokens) { samples in
            samples.add(["result": "known"], counters.tokensKnown)
            samples.add(["result": "verified"], counters.tokensVerified)
        }
        text.family(MetricTable.logins) { samples in
            samples.add(["result": "known"], counters.loginsKnown)
            samples.add(["result": "opened"], counters.loginsOpened)
        }
        text.family(MetricTable.loginKeys) { samples in
            for (key, count) in reading.worker.loginCookiesByKey.sorted(by: { $0.key < $1.key }) { samples.add(["key": key], count) }
        }
        text.family(MetricTable.keySetAge) { samples in
            for keySet in reading.keySets { if let age = keySet.age { samples.add(["issuer": keySet.issuer], age.components.seconds) } }
        }
        text.family(MetricTable.keySetKeys) { samples in
            for keySet in reading.keySets { samples.add(["issuer": keySet.issuer], keySet.keyIDs.count) }
        }
        text.family(MetricTable.keySetFetches) { samples in
            for keySet in reading.keySets where !keySet.isFromFile {
                samples.add(["issuer": keySet.issuer, "result": "succeeded"], keySet.fetchesSucceeded)
                samples.add(["issuer": keySet.issuer, "result": "failed"], keySet.fetchesFailed)
            }
        }
        let logins = reading.logins
        func outcomes(_ family: MetricFamily, _ all: UInt64, _ failed: UInt64, shared: UInt64? = nil) {
            text.family(family) { samples in
                samples.add(["result": "succeeded"], all >= failed ? all - failed : 0)
                samples.add(["result": "failed"], failed)
                if let shared { samples.add(["result": "shared"], shared) }
            }
        }
        outcomes(MetricTable.redemptions, logins.redemptions, logins.redemptionsFailed)
        outcomes(MetricTable.refreshes, logins.refreshes, logins.refreshesFailed, shared: logins.refreshesShared)
        outcomes(MetricTable.revocations, logins.revocations, logins.revocationsFailed)
        text.value(MetricTable.sessionsEnded, reading.endedLogins)
        text.value(MetricTable.revocationEntries, reading.revocationEntries)
        text.value(MetricTable.revocationFile, reading.revocationFile.fault == nil ? 1 : 0)
    }

    private static func configuration(_ reading: GatewayReading, _ text: inout ExpositionText) {
        let reloads = reading.reloads
        text.family(MetricTable.version) { $0.add(["version": reloads.version], 1) }
        text.family(MetricTable.reloads) { samples in
            samples.add(["result": "accepted"], reloads.accepted)
            samples.add(["result": "refused"], reloads.refused)
        }
        text.value(MetricTable.lastReload, reloads.recent.last.map { $0.isAccepted ? 1 : 0 } ?? 1)
        text.value(MetricTable.lastSuccess, reloads.acceptedAt.seconds)
        text.family(MetricTable.certificateNotAfter) { samples in
            for certificate in reading.certificates {
                samples.add(["certificate": certificate.name, "fingerprint": certificate.shortFingerprint], certificate.notAfter.seconds)
            }
        }
        text.family(MetricTable.certificateReloads) { samples in
            samples.add(["result": "accepted"], reloads.certificatesAccepted)
            samples.add(["result": "rejected"], reloads.certificatesRejected)
        }
    }

    private static func connections(_ reading: GatewayReading, _ text: inout ExpositionText) {
        let counters = reading.worker.counters
        text.family(MetricTable.handshakes) { samples in
            samples.add(["result": "succeeded"], counters.handshakes)
            samples.add(["result": "failed"], counters.handshakeFailures)
        }
        text.value(MetricTable.connectionsOpen, counters.downstreamConnections)
        text.value(MetricTable.connectionsAccepted, counters.connectionsAccepted)
        text.value(MetricTable.tunnelsOpen, counters.openTunnels)
        text.value(MetricTable.http2Failures, counters.http2Failures)
        text.value(MetricTable.proxyProtocolRefused, counters.proxyProtocolRefused)
        text.family(MetricTable.overload) { samples in
            samples.add(["limit": "connections"], counters.connectionsRefused)
            samples.add(["limit": "handshakes"], counters.handshakesRefused)
            samples.add(["limit": "upstream_pending"], counters.pendingRefused)
            samples.add(["limit": "rate"], counters.rateRefused)
        }
        text.value(MetricTable.logDropped, counters.logLinesDropped)
    }

    private static func process(_ reading: GatewayReading, _ text: inout ExpositionText) {
        text.value(MetricTable.ready, reading.obstacle == nil ? 1 : 0)
        text.value(MetricTable.draining, reading.isDraining ? 1 : 0)
        text.family(MetricTable.build) { $0.add(["version": GatewayVersion.text], 1) }
        text.family(MetricTable.processCPU) { $0.add([:], reading.process.cpuSeconds) }
        text.value(MetricTable.processResident, reading.process.residentBytes)
        text.value(MetricTable.processFiles, reading.process.openFiles)
        text.value(MetricTable.processFilesMax, reading.process.openFilesMax)
        text.value(MetricTable.processStart, reading.at.seconds - reading.uptime.components.seconds)
    }
}
