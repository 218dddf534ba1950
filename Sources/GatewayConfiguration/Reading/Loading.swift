internal import GatewayTerms

/// An accepted configuration, what is doubtful about it, and the files that it came from.
package struct LoadedConfiguration: Sendable {
    package let configuration: Configuration
    package let warnings: [Diagnostic]
    /// Every file that was read or referred to, in order, each once: what a watcher watches (F4).
    package let files: [String]
    /// Equal text gives an equal version: FNV-1a over names and bytes of the YAML files, 16 hexadecimal digits.
    package let version: String
    /// The YAML files as they were read, the process's first: they hold no secret, and are all that ``Surroundings/texts(_:)`` needs.
    package let texts: [ConfigurationText]
}

/// One YAML file of a configuration.
package struct ConfigurationText: Sendable, Equatable {
    /// As the command line or the file that names it gave it.
    package let path: String
    package let bytes: [UInt8]

    package init(path: String, bytes: [UInt8]) { (self.path, self.bytes) = (path, bytes) }
}

extension Configuration {
    /// Reads the process's file, the stage files that it names and the secrets that they name, and reports every fault
    /// of all of them at once.
    ///
    /// - Parameter path: of `gateway.yaml`; other files are resolved against the folder of the file that names them.
    package static func load(
        path: String, surroundings: Surroundings = .machine
    ) -> Result<LoadedConfiguration, Diagnostics> {
        let reading = Reading(surroundings: surroundings)
        let file = SourceFile(path: path)
        reading.remember(path)
        let bytes: [UInt8]
        switch surroundings.read(path, YAMLDocument.bytesMax) {
        case .success(let read): bytes = read
        case .failure(let fault):
            let diagnostic = Diagnostic(.error, at: file.whole, setting: "", "\(fault). Name the gateway's configuration file.")
            return .failure(Diagnostics(faults: [diagnostic], warnings: [], isUnreadable: true, files: [path]))
        }
        reading.digest(path, bytes)
        guard let root = root(of: bytes, path: "", file: file, reading: reading) else { return .failure(reading.diagnostics) }
        let process = ProcessReader(root: root).read()
        let stages = readStages(process.stageFiles, listeners: process.listeners, reading: reading)
        StageChecks(stages: stages.map(\.stage), listeners: process.listeners, limits: process.limits, reading: reading).run()

        guard reading.faults.isEmpty, stages.count == process.stageFiles.count else { return .failure(reading.diagnostics) }
        let configuration = Configuration(
            listeners: process.listeners, health: process.health, admin: process.admin, accessLog: process.accessLog, log: process.log,
            stateDirectory: process.stateDirectory, eventLoops: process.eventLoops, reload: process.reload, drain: process.drain,
            loginSessions: process.loginSessions, revocationFile: process.revocationFile, limits: process.limits, timeouts: process.timeouts,
            compression: process.compression, approvals: process.approvals, stages: stages.map(\.stage)
        )
        return .success(LoadedConfiguration(
            configuration: configuration, warnings: reading.diagnostics.warnings, files: reading.files, version: reading.version, texts: reading.texts
        ))
    }

    private static func readStages(_ named: [Located<String>], listeners: [Listener], reading: Reading) -> [(file: SourceFile, stage: Stage)] {
        var places: [String: SourceLocation] = [:]
        return named.enumerated().compactMap { index, path in
            let file = SourceFile(path: path.value)
            if let first = places.updateValue(path.location, forKey: path.value) {
                reading.fault(at: path.location, "stages[\(index)]", value: path.value, "\(Section.shown(path.value)) is the file that line \(first.line) names already. Name a stage once.")
                return nil
            }
            reading.remember(path.value)
            switch reading.surroundings.read(path.value, YAMLDocument.bytesMax) {
            case .failure(let fault):
                reading.fault(at: path.location, "stages[\(index)]", value: path.value, "\(Section.shown(path.value)) \(fault). Name a stage's file, relative to this one.")
                return nil
            case .success(let bytes):
                reading.digest(path.value, bytes)
                guard let root = root(of: bytes, path: "stage", file: file, reading: reading),
                      let stage = StageReader(root: root, clientsAreKnown: listeners.allSatisfy(\.knowsClients)).read() else { return nil }
                return (file, stage)
            }
        }
    }

    private static func root(of bytes: [UInt8], path: String, file: SourceFile, reading: Reading) -> Section? {
        guard let document = YAMLDocument.parse(bytes, file: file, reading: reading) else { return nil }
        let faultsBefore = reading.faults.count
        let section = Section(document.root, of: document, name: "", path: path, file: file, reading: reading)
        if section == nil, reading.faults.count == faultsBefore { reading.fault(at: file.whole, "", "the file holds no settings.") }
        return section
    }
}

/// What the stages say of each other and of the process.
struct StageChecks {
    let stages: [Configuration.Stage]
    let listeners: [Configuration.Listener]
    let limits: Configuration.Limits
    let reading: Reading

    func run() {
        var hosts: [Hostname: Configuration.Stage] = [:], names: [String: Configuration.Stage] = [:], issuers: [String: Configuration.Stage] = [:]
        for stage in stages {
            if let other = hosts[stage.host.value] {
                reading.fault(at: stage.host.location, "host", value: stage.host.value.description,
                              "\(stage.host.value) is the host of stage \(other.name.value) (\(other.host.location)). A host belongs to one stage.")
            }
            if let other = names[stage.name.value] {
                reading.fault(at: stage.name.location, "stage", value: stage.name.value, "\(stage.name.value) is the name of another stage (\(other.name.location)). Choose another.")
            }
            if let other = issuers[stage.identity.issuer] {
                reading.warning(at: stage.identity.location, "identity",
                                "has the issuer of stage \(other.name.value), so that only their clients tell the two stages' tokens apart. Give each stage a user pool of its own.")
            }
            // A load balancer in front would be one client, and its limit everybody's (F8).
            if let service = stage.commandLineAPI, service.requestsPerMinute != nil,
               !listeners.allSatisfy(\.knowsClients) {
                reading.fault(at: service.location, "command_line_api.requests_per_minute",
                              "needs to know the clients, and a listener takes the TCP peer for one. Set its client_address to proxy_protocol or x_forwarded_for, or take the limit away.")
            }
            hosts[stage.host.value] = stage
            names[stage.name.value] = stage
            issuers[stage.identity.issuer] = stage
            // "authorization: Bearer " and CR LF surround the token.
            if stage.identity.tokenBytesMax.bytes + 24 > limits.authorizationBytes.bytes {
                reading.fault(at: stage.identity.location, "identity.token_bytes_max", value: stage.identity.tokenBytesMax.description,
                              "a token of \(stage.identity.tokenBytesMax) does not fit into limits.authorization_bytes, \(limits.authorizationBytes). Raise that or lower this.")
            }
        }
    }
}
