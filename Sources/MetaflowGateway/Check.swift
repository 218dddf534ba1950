internal import ArgumentParser
internal import ConfigurationJudgement
internal import ControlPlane
internal import GatewayConfiguration
internal import GatewayTerms
internal import Proxy

/// Judges a configuration without serving it.
struct Check: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check a configuration: every fault at once, each with its file, line and column; and what it changes.",
        discussion: """
            Prints what everybody can reach without credentials. With --against, what would change in words, and what becomes weaker: such a change is \
            refused unless approve in the file that it concerns repeats its sentence, as a reload and a start refuse it too.

            With --replay, every request of a recorded access log is matched anew; those whose route, upstream or outcome would change are counted. What the \
            log does not tell is said ("depends on groups"); --against, or else the configuration that was accepted last, says what its senders passed.

            Exit code 0: it would be accepted. 1: it has faults. 2: a file cannot be read, or something becomes weaker that no approve names.

            Examples:
              metaflow-gateway check --config config/gateway.yaml --format json
              metaflow-gateway check --config new/gateway.yaml --against running
              metaflow-gateway check --config new/gateway.yaml --against old/gateway.yaml
              metaflow-gateway check --config new/gateway.yaml --replay access.log
            """
    )

    @OptionGroup var file: ConfigurationOption
    @Option(help: ArgumentHelp("What to compare with: the configuration that was accepted last (running), or a gateway.yaml, whose secrets need not be there.", valueName: "running|file"))
    var against: String?
    @Option(help: ArgumentHelp("An access log to run through the configuration, - for standard input: which requests would meet something else.", valueName: "access-log|-"))
    var replay: String?
    @Option(help: "How to print what was found.") var format = OutputFormat.text

    func run() throws {
        var report = CheckReport(file: file.config)
        do throws(Diagnostics) {
            let loaded = try Configuration.load(path: file.config).get()
            let compiled = try SnapshotCompiler.compile(loaded, loops: 1, now: .current).get()
            try RevocationFile.check(loaded.configuration)
            report.accept(loaded, warnings: compiled.warnings)
            let stateDirectory = loaded.configuration.stateDirectory.value
            var old: OtherConfiguration?
            if let against {
                let other = try OtherConfiguration.named(against, stateDirectory: stateDirectory).get()
                report.compare(Judgement(of: loaded.configuration, against: other.configuration), against: other.title)
                report.warn(other.restarts(loaded.configuration, from: file.config))
                old = other
            }
            if let replay {
                old = old ?? (try? OtherConfiguration.named("running", stateDirectory: stateDirectory).get())
                try report.replayed(AccessLogReplay.replay(replay, through: compiled.snapshot, recordedUnder: old?.configuration).get())
            }
        } catch { report.refuse(error) }
        print(format == .json ? report.json : report.text)
        if report.isUnreadable { throw ExitCode(2) }
        if !report.faults.isEmpty { throw ExitCode(1) }
        if report.judgement?.refused.isEmpty == false { throw ExitCode(2) }
    }
}

extension AccessLogReplay {
    /// With a log that cannot be read as a diagnostic.
    fileprivate static func replay(_ path: String, through snapshot: Snapshot, recordedUnder old: Configuration?) -> Result<ReplayReport, Diagnostics> {
        do throws(AccessLogReplay.Fault) { return .success(try run(path, through: snapshot, recordedUnder: old)) } catch {
            let diagnostic = Diagnostic(.error, at: SourceLocation(file: path, line: 0, column: 0), setting: "", "\(error). Name an access log that this process may read.")
            return .failure(Diagnostics(faults: [diagnostic], warnings: [], isUnreadable: true))
        }
    }
}

/// The configuration that another one is compared with.
struct OtherConfiguration {
    let configuration: Configuration
    /// As reports call it.
    let title: String
    /// The file that a gateway serves, as far as its state directory tells; `nil` for one that was named.
    var servedFrom: String?

    /// What a reload would refuse since it takes a restart. A relative path of a copy somewhere else says nothing of that.
    func restarts(_ new: Configuration, from path: String) -> [Diagnostic] {
        guard let servedFrom else { return [] }
        return RestartOnly.warnings(new, against: configuration).filter { warning in
            guard path != servedFrom, let value = warning.value, value.contains("/") else { return true }
            return value.hasPrefix("/")
        }
    }

    /// - Parameter name: `running`, or the path of a `gateway.yaml`.
    static func named(_ name: String, stateDirectory: String) -> Result<OtherConfiguration, Diagnostics> {
        guard name == "running" else {
            return Configuration.load(path: name, surroundings: .machineWithoutReferences)
                .map { OtherConfiguration(configuration: $0.configuration, title: name) }
        }
        let file = AcceptedConfiguration.file(in: stateDirectory)
        func fault(_ message: String) -> Result<OtherConfiguration, Diagnostics> {
            let diagnostic = Diagnostic(.error, at: SourceLocation(file: file, line: 0, column: 0), setting: "", message)
            return .failure(Diagnostics(faults: [diagnostic], warnings: [], isUnreadable: true))
        }
        switch AcceptedConfiguration.read(stateDirectory) {
        case .none: return fault("does not exist, so nothing was accepted yet by a gateway whose state_directory this is. Compare with a file instead.")
        case .unusable(let reason): return fault("\(reason). Ask as the user that the gateway runs as, or compare with a file.")
        case .found(let accepted):
            return accepted.configuration().map { OtherConfiguration(configuration: $0, title: "the configuration \(accepted.version.prefix(12)), accepted at \(accepted.acceptedAt)", servedFrom: accepted.path) }
        }
    }
}
