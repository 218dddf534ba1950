import GatewayConfiguration
import Testing

/// The example, changed in one place, and what is then reported: every fault and warning, in order.
struct Change: Sendable, CustomTestStringConvertible {
    let title: String
    let process: String
    let stage: String
    let expected: [String]

    var testDescription: String { title }

    var result: Result<LoadedConfiguration, Diagnostics> {
        Configuration.load(path: "g.yaml", surroundings: .memory(Example.files(process: process, stage: stage), environment: Example.environment))
    }

    var diagnostics: [String] {
        switch result {
        case .success(let loaded): loaded.warnings.map(\.description)
        case .failure(let diagnostics): diagnostics.all.map(\.description)
        }
    }

    /// Lines added to the end of `gateway.yaml`, from line 5 on.
    static func adding(_ title: String, _ lines: String, _ expected: [String]) -> Change {
        Change(title: title, process: Example.process + lines + "\n", stage: Example.stage, expected: expected)
    }

    static func process(_ title: String, _ old: String, _ new: String, adding lines: String? = nil, _ expected: [String]) -> Change {
        Change(title: title, process: Example.process.replacingFirst(old, with: new) + (lines.map { $0 + "\n" } ?? ""), stage: Example.stage, expected: expected)
    }

    static func stage(_ title: String, _ old: String, _ new: String, _ expected: [String]) -> Change {
        Change(title: title, process: Example.process, stage: Example.stage.replacingFirst(old, with: new), expected: expected)
    }

    /// Lines added to a stage that serves the command-line API, from line 11 on.
    static func serving(_ title: String, adding lines: String, process: String = Example.process, _ expected: [String]) -> Change {
        Change(title: title, process: process, stage: Example.serving + lines + "\n", expected: expected)
    }

    /// A stage that serves the command-line API, changed in one place.
    static func serving(_ title: String, _ old: String, _ new: String, adding lines: String = "", _ expected: [String]) -> Change {
        Change(title: title, process: Example.process, stage: Example.serving.replacingFirst(old, with: new) + lines, expected: expected)
    }

    static func stage(_ title: String, _ old: String, _ new: String, and alsoOld: String, _ alsoNew: String, _ expected: [String]) -> Change {
        Change(title: title, process: Example.process, stage: Example.stage.replacingFirst(old, with: new).replacingFirst(alsoOld, with: alsoNew), expected: expected)
    }
}

extension String {
    /// A change that changes nothing would test nothing.
    func replacingFirst(_ old: String, with new: String) -> String {
        guard let range = firstRange(of: old) else {
            Issue.record("The example has no \(old) to change.")
            return self
        }
        return replacingCharacters(in: range, with: new)
    }

    private func replacingCharacters(in range: Range<Index>, with new: String) -> String {
        String(self[..<range.lowerBound]) + new + String(self[range.upperBound...])
    }
}
