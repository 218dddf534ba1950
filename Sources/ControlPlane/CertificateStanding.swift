internal import GatewayConfiguration
internal import GatewayTerms
internal import Proxy
internal import TLS

/// One certificate that serves, as operators see it.
struct CertificateStanding: Sendable, Equatable {
    /// The listeners that offer it.
    var listeners: [String]
    var chain: String
    var names: [String]
    var notBefore: WallTime
    var notAfter: WallTime
    /// SHA-256 over the leaf, 64 hexadecimal digits.
    var fingerprint: String
    var keyKind: String

    /// What people call it.
    var name: String { names.first ?? chain }

    /// Whole days until it expires; negative once it has.
    func daysLeft(at now: WallTime) -> Int64 {
        let seconds = notAfter.seconds - now.seconds
        return seconds >= 0 ? seconds / 86_400 : -((-seconds + 86_399) / 86_400)
    }

    /// A sentence for each that has come in another's place: the settings name files, and do not tell.
    static func changes(from old: [CertificateStanding], to new: [CertificateStanding]) -> [String] {
        let known = Set(old.map(\.fingerprint))
        return new.filter { !known.contains($0.fingerprint) }.map { "the certificate of \($0.name) in \($0.chain) is a new one, until \($0.notAfter)" }
    }

    var shortFingerprint: String { String(fingerprint.prefix(16)) }

    /// Those of a configuration and what was compiled of it, each once.
    static func all(_ configuration: Configuration, _ snapshot: Snapshot) -> [CertificateStanding] {
        var standings: [CertificateStanding] = []
        for (listener, rules) in zip(configuration.listeners, snapshot.listeners) {
            guard case .stages(let tls) = listener.role, let context = rules.tls else { continue }
            for (pair, certificate) in zip(tls.certificates, context.certificates) {
                if let index = standings.firstIndex(where: { $0.fingerprint == certificate.fingerprint }) {
                    standings[index].listeners.append(rules.name)
                } else {
                    standings.append(CertificateStanding(
                        listeners: [rules.name], chain: pair.chain.path, names: certificate.names, notBefore: certificate.notBefore,
                        notAfter: certificate.notAfter, fingerprint: certificate.fingerprint, keyKind: certificate.isECDSA ? "ecdsa" : "rsa"))
                }
            }
        }
        return standings
    }
}

/// Remembers which warnings an operator has had (A4): one when a certificate has 30, 7 and 1 days left, and one when it has expired.
/// Pure; the caller has the clock.
struct CertificateWarnings {
    struct Warning: Equatable {
        let certificate: CertificateStanding
        /// Negative: it has expired.
        let daysLeft: Int64
    }

    /// Days left at which a warning is due; below 0 it has expired.
    static let thresholds: [Int64] = [30, 7, 1, -1]

    /// By fingerprint, how many thresholds have been passed and told.
    private var told: [String: Int] = [:]

    /// A configuration came into use; what its own check has said of its certificates is not said again.
    mutating func follow(_ certificates: [CertificateStanding], at now: WallTime) {
        var kept: [String: Int] = [:]
        for certificate in certificates { kept[certificate.fingerprint] = told[certificate.fingerprint] ?? Self.passed(certificate.daysLeft(at: now)) }
        told = kept
    }

    /// What is to be said now.
    mutating func due(_ certificates: [CertificateStanding], at now: WallTime) -> [Warning] {
        var warnings: [Warning] = []
        for certificate in certificates {
            let days = certificate.daysLeft(at: now)
            let passed = Self.passed(days)
            guard passed > told[certificate.fingerprint] ?? 0 else { continue }
            told[certificate.fingerprint] = passed
            warnings.append(Warning(certificate: certificate, daysLeft: days))
        }
        return warnings
    }

    private static func passed(_ days: Int64) -> Int { thresholds.count { days <= $0 } }
}
