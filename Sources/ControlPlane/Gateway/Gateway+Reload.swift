internal import GatewayConfiguration
internal import GatewayTerms
internal import Logging
internal import Proxy
internal import Synchronization

extension Gateway {
    /// Sentences of one reload that the log tells.
    private static let changesLoggedMax = 20

    func filesChanged() {
        guard configuration.reload.watchesFiles, !readiness.isDraining else { return }
        Task { await self.reload(.files) }
    }

    /// Reads the configuration anew, one reload at a time: all or nothing. A refused one leaves the old one serving and says why.
    @discardableResult
    package func reload(_ cause: ReloadCause) async -> ReloadOutcome {
        await reloadTurn.run { self.reloadNow(cause) }
    }

    private func reloadNow(_ cause: ReloadCause) -> ReloadOutcome {
        notification.send(.reloading(microseconds: ServiceNotification.monotonicMicroseconds))
        defer { notification.send(.ready("serving configuration \(reloads.reading.version)")) }
        let began = ContinuousClock.now
        let (oldCertificates, watcher, oldFiles) = state.withLock { ($0.certificates, $0.watcher, $0.loaded.files) }
        // Before anything is read, so that what changes meanwhile is seen as a change.
        let stamps = FileStamps(of: Set(oldFiles).union(watcher?.files ?? []))
        var (outcome, files, times) = compileAndPublish()
        // After a refusal the old files count too: taking the change back is a change.
        if case .accepted = outcome { watcher?.follow(stamps.covering(Set(files))) } else { watcher?.follow(stamps.covering(Set(files).union(oldFiles))) }
        var entry = ReloadRecord.Entry(at: .current, cause: cause, version: nil, duration: ContinuousClock.now - began, diagnostics: [], changes: [])
        switch outcome {
        case .accepted(let version, let warnings, var changes):
            changes += CertificateStanding.changes(from: oldCertificates, to: certificates)
            outcome = .accepted(version: version, warnings: warnings, changes: changes)
            entry.version = version
            entry.diagnostics = warnings
            entry.changes = changes
            entry = reloads.add(entry, certificatesChanged: certificates.map(\.fingerprint) != oldCertificates.map(\.fingerprint))
            for warning in warnings { logger.warning("\(warning)") }
            for change in entry.changes.prefix(Self.changesLoggedMax) { logger.notice("changed: \(change)") }
            if entry.changes.count > Self.changesLoggedMax { logger.notice("changed: and more, which /reloads of the operators' socket lists") }
            var metadata = times.metadata
            metadata["version"] = "\(version)"
            metadata["cause"] = "\(cause.rawValue)"
            metadata["milliseconds"] = "\(entry.duration.milliseconds)"
            logger.notice("configuration accepted", metadata: metadata)
        case .refused(let diagnostics):
            entry.diagnostics = diagnostics.all
            reloads.add(entry, certificateRejected: diagnostics.faults.contains { $0.setting.contains(".tls.certificates") })
            for diagnostic in diagnostics.all { logger.error("\(diagnostic)") }
            logger.error("configuration refused: the old one goes on serving", metadata: [
                "version": "\(reloads.reading.version)", "cause": "\(cause.rawValue)", "faults": "\(diagnostics.faults.count)",
            ])
        }
        return outcome
    }

    /// - Returns: what became of it, and the files that it depends on, as far as they are known.
    private func compileAndPublish() -> (outcome: ReloadOutcome, files: [String], times: ReloadTimes) {
        var files: [String] = []
        var times = ReloadTimes()
        do throws(Diagnostics) {
            let loaded = try Configuration.load(path: path, surroundings: surroundings).get()
            times.read = times.sinceLast()
            files = loaded.files
            let old = configuration
            try RestartOnly.check(loaded.configuration, against: old)
            let compiled = try SnapshotCompiler.compile(loaded, loops: loopCount, now: .current, surroundings: surroundings, names: names).get()
            let (keyRing, _) = try LoginKeyRing.of(loaded.configuration, surroundings: surroundings, now: .current)
            times.compile = times.sinceLast()
            let passage = try ChangeGate.pass(loaded.configuration, against: old)
            times.judge = times.sinceLast()
            try follow(loaded.configuration)
            remember(loaded, passage)
            workers.publish(keyRing)
            workers.publish(compiled.snapshot, inPlaceOf: state.withLock { $0.snapshot })
            accept(loaded, compiled.snapshot)
            // An operator's word holds until the file says something else.
            if loaded.configuration.log != old.log { level.current = loaded.configuration.log.level.loggerLevel }
            times.publish = times.sinceLast()
            return (.accepted(version: loaded.shortVersion, warnings: compiled.warnings, changes: passage.changes), files, times)
        } catch { return (.refused(error), files + error.files, times) }
    }

    /// What is served from now on is what the next configuration is measured by.
    func remember(_ loaded: LoadedConfiguration, _ passage: ChangeGate.Passage) {
        for warning in passage.warnings { logger.warning("\(warning)") }
        if let reason = ChangeGate.keep(loaded, path: path) { logger.warning("\(reason)") }
    }
}

/// Lets one reload after the other have its way.
actor ReloadTurn {
    func run<Result: Sendable>(_ body: @Sendable () -> Result) -> Result { body() }
}

extension LoadedConfiguration {
    /// What logs and metrics call it.
    var shortVersion: String { String(version.prefix(12)) }
}
