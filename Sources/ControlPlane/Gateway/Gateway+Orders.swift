internal import Authentication
internal import GatewayConfiguration
internal import GatewayTerms
internal import Logging
internal import Proxy

extension Gateway {
    /// As SIGTERM. False when it has begun already.
    func requestDrain() -> Bool {
        guard !readiness.isDraining else { return false }
        logger.notice("an operator asks for a drain")
        ears.drainWanted()
        return true
    }

    var logLevel: String { level.current.rawValue }

    func setLogLevel(_ new: Configuration.Log.Level) {
        level.current = new.loggerLevel
        logger.notice("log level set by an operator", metadata: ["level": "\(new.rawValue)"])
    }

    /// Refuses what these entries name, here and after a restart. `nil`, or why the latter cannot be promised.
    func revoke(_ entries: [Revocation.Entry]) -> String? {
        endedLogins.end(entries, now: .current)
        for entry in entries { logger.notice("revoked by an operator", metadata: ["by": "\(entry.kind.rawValue)", "until": "\(entry.until)"]) }
        guard let reason = endedLoginKeeper.keepNow() else { return nil }
        logger.error("revocations are not kept over a restart: \(reason)")
        return "this holds until the process ends: \(reason)"
    }

    /// SIGUSR1: the access log was moved away.
    package func reopenLogs() {
        logWriter.reopen()
        logger.notice("access log reopened")
    }
}
