internal import ConfigurationJudgement
package import GatewayConfiguration
internal import GatewayTerms
internal import Proxy

/// What a configuration must pass before it takes another's place, at a start as in a reload: nothing becomes weaker unless `approve` names it.
enum ChangeGate {
    struct Passage {
        /// Every change, a sentence each.
        var changes: [String] = []
        /// Approvals that approve nothing any more.
        var warnings: [Diagnostic] = []
    }

    /// - Parameter old: what is served, or was accepted last.
    static func pass(_ new: Configuration, against old: Configuration) throws(Diagnostics) -> Passage {
        let judgement = Judgement(of: new, against: old)
        guard judgement.refused.isEmpty else { throw Diagnostics(faults: judgement.faults, warnings: judgement.warnings) }
        return Passage(changes: judgement.changes.map(\.description), warnings: judgement.warnings)
    }

    /// At a start, against what the state directory says was accepted last.
    static func passAtStart(_ new: Configuration, surroundings: Surroundings) throws(Diagnostics) -> Passage {
        let directory = new.stateDirectory
        let place = SourceLocation(file: AcceptedConfiguration.file(in: directory.value), line: 0, column: 0)
        let remedy = "so this start is measured by nothing."
        switch AcceptedConfiguration.read(directory.value, surroundings: surroundings) {
        case .none: return Passage()
        case .unusable(let reason): return Passage(warnings: [Diagnostic(.warning, at: place, setting: "", "\(reason), \(remedy)")])
        case .found(let accepted):
            switch accepted.configuration() {
            case .failure(let diagnostics):
                // Kept by a version whose settings this one does not know.
                let first = diagnostics.faults.first.map { " (\($0))" } ?? ""
                return Passage(warnings: [Diagnostic(.warning, at: place, setting: "", "the configuration that was accepted last can no longer be read\(first), \(remedy)")])
            case .success(let old): return try pass(new, against: old)
            }
        }
    }

    /// Keeps what was accepted for the next start; `nil`, or why it could not.
    static func keep(_ loaded: LoadedConfiguration, path: String) -> String? {
        AcceptedConfiguration(path: path, version: loaded.version, acceptedAt: .current, texts: loaded.texts)
            .write(loaded.configuration.stateDirectory.value)
            .map { "the accepted configuration is not kept, so the next start is not measured by it: \($0)" }
    }
}

/// An operator's way past the gate in an emergency: what the file says counts as accepted, whatever it makes weaker. The next start is
/// measured by it, and so passes.
package enum UnapprovedChanges {
    /// - Returns: a sentence for each change that nobody approved.
    package static func accept(path: String, surroundings: Surroundings = .machine) throws(Diagnostics) -> [String] {
        let loaded = try Configuration.load(path: path, surroundings: surroundings).get()
        var sentences: [String] = []
        let directory = loaded.configuration.stateDirectory.value
        if case .found(let accepted) = AcceptedConfiguration.read(directory, surroundings: surroundings), case .success(let old) = accepted.configuration() {
            sentences = Judgement(of: loaded.configuration, against: old).refused.map(\.description)
        }
        if let reason = ChangeGate.keep(loaded, path: path) {
            let place = SourceLocation(file: AcceptedConfiguration.file(in: directory), line: 0, column: 0)
            throw Diagnostics(faults: [Diagnostic(.error, at: place, setting: "", "\(reason)")], warnings: [])
        }
        return sentences
    }
}
