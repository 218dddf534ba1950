package import GatewayConfiguration

/// What a configuration changes against another one, and what an operator has to answer for.
///
/// A change that makes something weaker is refused unless `approve` of the file that it concerns repeats its sentence. The approvals count
/// for the configuration that they stand in; once the change is live they approve nothing more and are to be taken away.
package struct Judgement: Sendable {
    package let changes: [Change]
    /// Weaker, and approved by nobody.
    package let refused: [Change]
    /// Approvals that no change asks for, with the stage that they stand in.
    private let unused: [(approval: Located<String>, setting: String)]

    /// - Parameters:
    ///   - new: what is to be served.
    ///   - old: what is served, or was accepted last.
    package init(of new: Configuration, against old: Configuration) {
        changes = Self.difference(from: old, to: new)
        var used: Set<SourceLocation> = []
        var approvals: [String?: [String: SourceLocation]] = [nil: Self.places(new.approvals)]
        for stage in new.stages { approvals[stage.name.value] = Self.places(stage.approvals) }
        var refused: [Change] = []
        for change in changes where change.effect == .weaker {
            if let place = approvals[change.stage]?[Self.words(change.sentence)] { used.insert(place) } else { refused.append(change) }
        }
        self.refused = refused
        unused = ([new.approvals] + new.stages.map(\.approvals)).flatMap { list in
            list.enumerated().filter { !used.contains($0.element.location) }.map { ($0.element, "approve[\($0.offset)]") }
        }
    }

    /// Each refused change as a fault, with the line that would approve it.
    package var faults: [Diagnostic] {
        refused.map { change in
            Diagnostic(
                .error, at: change.location, setting: change.setting,
                "\(change), which is weaker than what was accepted last. If that is meant, add to \(change.location.file): approve: [\(Self.quoted(change.sentence))]")
        }
    }

    /// Approvals that approve nothing.
    package var warnings: [Diagnostic] {
        unused.map { approval, setting in
            Diagnostic(
                .warning, at: approval.location, setting: setting, value: approval.value,
                "approves nothing: the change is live, or is none. Take it away, so that it cannot approve the same change another time.")
        }
    }

    // MARK: Details

    private static func difference(from old: Configuration, to new: Configuration) -> [Change] {
        var changes = ProcessDifference.changes(from: old, to: new)
        let before = Dictionary(old.stages.map { ($0.host.value, $0) }, uniquingKeysWith: { first, _ in first })
        for stage in new.stages {
            if let was = before[stage.host.value] {
                if was != stage { changes += StageDifference.changes(from: was, to: stage) }
            } else { changes += StageDifference.changes(adding: stage) }
        }
        let hosts = Set(new.stages.map(\.host.value))
        for stage in old.stages where !hosts.contains(stage.host.value) {
            changes.append(Change(stage: nil, setting: "stages", "stage \(stage.name.value) is no longer served at \(stage.host.value)", .stronger, at: new.stateDirectory.location))
        }
        return changes
    }

    private static func places(_ approvals: [Located<String>]) -> [String: SourceLocation] {
        Dictionary(approvals.map { (words($0.value), $0.location) }, uniquingKeysWith: { first, _ in first })
    }

    /// A long sentence may be folded over lines in YAML.
    private static func words(_ sentence: String) -> String { sentence.split(whereSeparator: \.isWhitespace).joined(separator: " ") }

    /// In double quotes, as YAML and JSON both read it.
    package static func quoted(_ sentence: String) -> String {
        var text = "\""
        for scalar in sentence.unicodeScalars {
            if scalar == "\"" || scalar == "\\" { text += "\\" }
            text.unicodeScalars.append(scalar)
        }
        return text + "\""
    }
}
