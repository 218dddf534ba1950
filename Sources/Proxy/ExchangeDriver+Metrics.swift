internal import Authentication
internal import GatewayTerms
internal import HTTPWire
internal import NIOCore

/// What an exchange adds to its loop's counters: numbers into arrays, once, when it is over.
extension ExchangeDriver {
    /// The exchange is over; `record.ended` is set.
    func countEnd() {
        let codeClass = CodeClass(record.status)
        worker.counters.ended &+= 1
        if codeClass == .serverError { worker.counters.errors &+= 1 }
        let series = stage?.series
        let route = destination?.route.series ?? (record.isLogin ? series?.login : series?.unrouted) ?? SeriesNames.none
        let method: GatewayTerms.Method? = record.isUnreadable ? nil : head.method
        worker.counters.requestSeries.add(RequestSeries(
            listener: connection?.client.rules.index ?? 0, route: route, method: method, codeClass: codeClass, flag: record.flags.first).key)
        if record.status != 101, let ended = record.ended {
            worker.counters.lasted((ended - record.started).nanoseconds, stage: series?.stage ?? SeriesNames.none)
        }
        countUpstreamAnswer()
        countDecision(series?.issuer ?? SeriesNames.none)
    }

    private func countUpstreamAnswer() {
        guard let status = record.upstreamStatus, let series = upstreamSeries else { return }
        let duration = record.forwarded.flatMap { forwarded in record.responded.map { ($0 - forwarded).nanoseconds } }
        worker.counters.upstream(series) { counts in
            counts.answered(CodeClass(status))
            if let duration { counts.duration.record(duration) }
        }
    }

    private func countDecision(_ issuer: Int) {
        let known: AuthenticationSeries.Method = record.isLogin ? .loginSession : .bearer
        let series: AuthenticationSeries
        if let refusal = record.refusal {
            series = AuthenticationSeries(
                issuer: issuer, method: known, result: refusal.status == 503 ? .undecidable : .refused, reason: AuthenticationSeries.reason(refusal.code))
        } else if record.isCredentialMissing {
            series = AuthenticationSeries(issuer: issuer, method: .none, result: .refused, reason: AuthenticationSeries.reason(record.absence?.code ?? record.details ?? "login_required"))
        } else if identity != nil {
            series = AuthenticationSeries(issuer: issuer, method: known, result: .allowed, reason: 0)
        } else if record.isLogin, record.details == "provider_unavailable" {
            series = AuthenticationSeries(issuer: issuer, method: .loginSession, result: .undecidable, reason: AuthenticationSeries.reason(record.details))
        } else if record.isLogin, record.details == "origin_refused" {
            series = AuthenticationSeries(issuer: issuer, method: .loginSession, result: .refused, reason: AuthenticationSeries.reason(record.details))
        } else {
            return
        }
        worker.counters.decisions.add(series.key)
    }

    /// In ``MetricNames/upstreams``; `nil` for an exchange without an upstream.
    private var upstreamSeries: Int? {
        guard let destination, case .upstream(let index, _) = destination.route.target else { return nil }
        return snapshot.upstreams[index].series
    }

    /// A try that got no answer of the upstream's.
    func countFailure(_ fault: Fault) {
        guard let failure = UpstreamCounts.Failure(fault), let series = upstreamSeries else { return }
        if failure == .overloaded { worker.counters.pendingRefused &+= 1 }
        worker.counters.upstream(series) { $0.failed(failure) }
    }

    func countRetry() {
        guard let series = upstreamSeries else { return }
        worker.counters.upstream(series) { $0.retries &+= 1 }
    }
}
