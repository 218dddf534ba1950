internal import GatewayTerms

/// One thing that is wrong, or doubtful, in a configuration: where, which setting, what was written, what is allowed and
/// what to do. Never holds a secret's value.
package struct Diagnostic: Sendable, Equatable, CustomStringConvertible {
    package enum Severity: String, Sendable, Equatable {
        /// The configuration is refused.
        case error
        /// The configuration is accepted; somebody should look.
        case warning
    }

    package let severity: Severity
    package let location: SourceLocation
    /// As an operator would look for it: `limits.head_bytes`, `routes[3].strip_prefix`; empty when the whole file is meant.
    package let setting: String
    /// What was written, shortened to 80 characters and without control characters; `nil` when nothing was, or when it
    /// may be a secret.
    package let value: String?
    /// One or more sentences: what is wrong, what is allowed, the remedy.
    package let message: String

    package init(_ severity: Severity, at location: SourceLocation, setting: String, value: String? = nil, _ message: String) {
        self.severity = severity
        self.location = location
        self.setting = setting
        self.value = value.map(Diagnostic.printable)
        self.message = message
    }

    /// `config/gateway.yaml:12:15: limits.head_bytes: 1MiB is outside 1KiB…64KiB. Set a value in that range.`
    package var description: String {
        let kind = severity == .warning ? "warning: " : ""
        return "\(location): \(kind)\(setting.isEmpty ? "" : setting + ": ")\(message)"
    }

    /// One JSON object, members in a fixed order; `value` is null when there is none.
    package var json: String {
        JSONText.object { object in
            object.member("file", location.file)
            object.member("line", location.line)
            object.member("column", location.column)
            object.member("severity", severity.rawValue)
            object.member("setting", setting)
            object.member("value", value)
            object.member("message", message)
        }
    }

    /// A value as messages show it: one line, at most 80 characters, and without the user part of an address, which may be
    /// a password.
    static func printable(_ text: String) -> String {
        var shown = text.unicodeScalars[...]
        if let scheme = text.firstRange(of: "://"), let at = text[scheme.upperBound...].lastIndex(of: "@") {
            shown = (String(text[..<scheme.upperBound]) + Secret("").description + text[at...]).unicodeScalars[...]
        }
        var result = ""
        for (count, scalar) in shown.enumerated() {
            if count == 80 { return result + "…" }
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator, .unassigned, .privateUse, .surrogate: result += "\\u{\(String(scalar.value, radix: 16))}"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}

/// Everything that is wrong with a configuration, in the order of its files and lines, and what is doubtful beside it.
package struct Diagnostics: Error, Sendable, Equatable, CustomStringConvertible {
    /// Not empty where a configuration was refused.
    package let faults: [Diagnostic]
    package let warnings: [Diagnostic]
    /// The configuration file itself could not be read: an input fault, nothing was judged (F2: exit code 2).
    package let isUnreadable: Bool
    /// The files that were read or looked for: when one of them changes, it is worth another try.
    @Incidental package var files: [String]

    package init(faults: [Diagnostic], warnings: [Diagnostic], isUnreadable: Bool = false, files: [String] = []) {
        (self.faults, self.warnings, self.isUnreadable, self.files) = (faults, warnings, isUnreadable, files)
    }

    package var all: [Diagnostic] { faults + warnings }

    package var description: String { all.map(\.description).joined(separator: "\n") }

    /// A JSON array of every diagnostic, one a line.
    package var json: String { Diagnostics.json(all) }

    package static func json(_ diagnostics: [Diagnostic]) -> String {
        diagnostics.isEmpty ? "[]" : "[\n" + diagnostics.map { "  " + $0.json }.joined(separator: ",\n") + "\n]"
    }
}
