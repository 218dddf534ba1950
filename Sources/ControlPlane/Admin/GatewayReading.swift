internal import GatewayConfiguration
internal import GatewayTerms
internal import Proxy

/// What the gateway knows of itself at one moment: `status` and the metrics are two ways to write it down.
struct GatewayReading: Sendable {
    struct Upstream: Sendable {
        struct Endpoint: Sendable {
            var name: String
            var active: Int
            var idle: Int
            var pending: Int
            /// Found down by health checks.
            var isUnhealthy: Bool
            /// Left alone by every loop because dials failed.
            var isEjected: Bool

            var isUp: Bool { !isUnhealthy && !isEjected }
        }
        var stage: String
        var name: String
        var endpoints: [Endpoint]
    }

    struct KeySet: Sendable {
        var issuer: String
        var keyIDs: [String]
        /// Since the provider last confirmed it; `nil` where there is none, and for one that was read from a file.
        var age: Duration?
        var isFromFile: Bool
        var failures: Int
        var lastFailure: String?
        var fetchesSucceeded: UInt64
        var fetchesFailed: UInt64
    }

    var at: WallTime
    var uptime: Duration
    var processID: Int32
    var worker: WorkerReading
    var window: TrafficHistory.Window?
    var reloads: ReloadRecord.Reading
    var upstreams: [Upstream]
    var keySets: [KeySet]
    var logins: LoginProvider.Counts
    var endedLogins: UInt64
    var revocationEntries: Int
    var revocationFile = RevocationFile.Report()
    var certificates: [CertificateStanding]
    /// Why it is not ready; `nil` when it is.
    var obstacle: String?
    var isDraining: Bool
    var configurationPath: String
    var logLevel: String
    /// By number, as in the snapshot.
    var listeners: [String]
    var process = ProcessReading()
}

extension GatewayReading {
    /// What an operator should look at; empty when it is well.
    var troubles: [String] {
        var troubles: [String] = []
        if isDraining { troubles.append("draining") } else if let obstacle { troubles.append("not ready: \(obstacle)") }
        if let last = reloads.recent.last, !last.isAccepted { troubles.append("the last reload was refused") }
        for upstream in upstreams {
            let down = upstream.endpoints.filter { !$0.isUp }
            if down.count == upstream.endpoints.count {
                troubles.append("\(upstream.stage)/\(upstream.name) has no endpoint that is up")
            } else if !down.isEmpty {
                troubles.append("\(upstream.stage)/\(upstream.name): \(down.map(\.name).joined(separator: ", ")) is down")
            }
        }
        for keySet in keySets where !keySet.isFromFile {
            if keySet.keyIDs.isEmpty { troubles.append("no key set of \(keySet.issuer)") } else if keySet.failures >= 3 { troubles.append("\(keySet.issuer) has not answered \(keySet.failures) times in a row") }
        }
        if revocationFile.fault != nil { troubles.append("the revocation file is refused, its last good version stays in force") }
        for certificate in certificates where certificate.daysLeft(at: at) <= 7 {
            let days = certificate.daysLeft(at: at)
            troubles.append(days < 0 ? "the certificate of \(certificate.name) has expired" : "the certificate of \(certificate.name) expires in \(days) day\(days == 1 ? "" : "s")")
        }
        if let window, window.requests >= 20, window.errorShare >= 0.05 { troubles.append("\(Int(window.errorShare * 100)) % of the answers are 5xx") }
        if let window, window.logLinesDropped > 0 { troubles.append("\(window.logLinesDropped) access log lines were lost in the last minute") }
        return troubles
    }
}
