internal import GatewayConfiguration
internal import GatewayTerms
internal import Logging
internal import NIOCore
internal import NIOPosix
internal import Proxy
internal import Synchronization

extension Gateway {
    func restoreEndedLogins() {
        do { endedLogins.restore(try endedLoginKeeper.store.read(), now: .current) } catch {
            logger.error("which logins had ended before the restart is not known: \(error)")
        }
    }

    /// What the control plane does beside the loops follows a configuration.
    func follow(_ configuration: Configuration) throws(Diagnostics) {
        let (sources, fixed) = try KeySetSources.of(configuration, surroundings)
        let revoked = try revocationFile.prepare(configuration.revocationFile)
        revocationFile.follow(configuration.revocationFile, revoked)
        revocationFile.start()
        readiness.awaitKeys(of: sources.map(\.issuer))
        custody.follow(sources, fixed: fixed)
        discovery.follow(KeySetSources.discoveries(configuration))
        endpointHealth.follow(configuration)
    }

    func accept(_ loaded: LoadedConfiguration, _ snapshot: Snapshot) {
        let certificates = CertificateStanding.all(loaded.configuration, snapshot)
        state.withLock { state in
            state.loaded = loaded
            state.snapshot = snapshot
            state.certificates = certificates
            state.certificateWarnings.follow(certificates, at: .current)
        }
    }

    func checkCertificates(at now: WallTime) {
        let warnings = state.withLock { $0.certificateWarnings.due($0.certificates, at: now) }
        for warning in warnings {
            let place: Logger.Metadata = ["chain": "\(warning.certificate.chain)", "not_after": "\(warning.certificate.notAfter)"]
            if warning.daysLeft < 0 {
                logger.error("the certificate of \(warning.certificate.name) has expired: clients refuse it. Renew it.", metadata: place)
            } else {
                logger.warning("the certificate of \(warning.certificate.name) expires in \(warning.daysLeft) days. Renew it.", metadata: place)
            }
        }
    }

    /// Notes the traffic every other second, and looks at the certificates once a day.
    func keepHistory() {
        let loop = group.next()
        loop.scheduleRepeatedTask(initialDelay: .zero, delay: TimeAmount(TrafficHistory.interval)) { [weak self] _ in
            guard let self else { return }
            workers.traffic(on: loop).whenSuccess { self.traffic.add($0, at: .now) }
        }
        loop.scheduleRepeatedTask(initialDelay: .hours(24), delay: .hours(24)) { [weak self] _ in self?.checkCertificates(at: .current) }
    }

    func watch(_ stamps: FileStamps) throws {
        let watcher = try FileWatcher(
            baseline: stamps, changed: { [weak self] in self?.filesChanged() }, complain: { [logger] in logger.warning("\($0)") })
        state.withLock { $0.watcher = watcher }
    }
}
