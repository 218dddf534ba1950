internal import ConfigurationJudgement
internal import ControlPlane
internal import GatewayConfiguration
internal import GatewayTerms

/// What `check` found, as text for people and as one JSON object for programs.
struct CheckReport {
    private let file: String
    private(set) var faults: [Diagnostic] = []
    private(set) var warnings: [Diagnostic] = []
    private(set) var isUnreadable = false
    private var summary: String?
    private var version: String?
    private var surface: PublicSurface?
    private(set) var judgement: Judgement?
    private var other = ""
    private var replay: ReplayReport?

    init(file: String) { self.file = file }

    mutating func accept(_ loaded: LoadedConfiguration, warnings: [Diagnostic]) {
        self.warnings = warnings
        let stages = loaded.configuration.stages
        let routes = stages.reduce(0) { $0 + $1.routes.count }
        version = String(loaded.version.prefix(12))
        summary = "\(file): ok, \(stages.count) stages, \(routes) routes, version \(loaded.version.prefix(12))"
        surface = PublicSurface(of: loaded.configuration)
    }

    mutating func compare(_ judgement: Judgement, against other: String) {
        self.judgement = judgement
        self.other = other
        warnings += judgement.warnings
    }

    mutating func warn(_ more: [Diagnostic]) { warnings += more }

    mutating func replayed(_ report: ReplayReport) { replay = report }

    mutating func refuse(_ diagnostics: Diagnostics) {
        faults = diagnostics.faults
        warnings += diagnostics.warnings
        isUnreadable = diagnostics.isUnreadable
    }

    private var isAccepted: Bool { faults.isEmpty && !isUnreadable && judgement?.refused.isEmpty != false }

    // MARK: Text

    var text: String {
        var lines = (faults + warnings).map(\.description)
        if faults.isEmpty, let surface { lines += self.surface(surface) }
        if let judgement { lines += comparison(judgement) }
        if let replay { lines.append(replay.text) }
        if !faults.isEmpty || isUnreadable {
            lines.append("\(file): refused, \(faults.count) fault\(faults.count == 1 ? "" : "s")")
        } else if let judgement, !judgement.refused.isEmpty {
            lines.append("\(file): refused, \(judgement.refused.count) change\(judgement.refused.count == 1 ? "" : "s") without approval")
        } else if let summary { lines.append(summary) }
        return lines.joined(separator: "\n")
    }

    private func surface(_ surface: PublicSurface) -> [String] {
        if surface.entries.isEmpty { return ["Without credentials: nothing"] }
        return ["Without credentials:"] + surface.entries.map { entry in
            let methods = entry.methods.isEmpty ? "" : entry.methods.joined(separator: ", ") + " "
            return "  \(entry.stage): \(methods)https://\(entry.host)\(entry.path) → \(entry.target): \(entry.reason)"
        }
    }

    private func comparison(_ judgement: Judgement) -> [String] {
        if judgement.changes.isEmpty { return ["Nothing changes against \(other)"] }
        var lines = ["Against \(other):"]
        for effect in [Change.Effect.weaker, .stronger, .neutral] {
            for change in judgement.changes where change.effect == effect {
                let verdict = effect != .weaker ? "" : judgement.refused.contains(change) ? "" : " (approved)"
                lines.append("  \(effect.rawValue): \(change)\(verdict)")
            }
        }
        return lines + judgement.faults.map(\.description)
    }

    // MARK: JSON

    var json: String {
        JSONText.object { object in
            object.member("file", file)
            object.member("accepted", json: isAccepted ? "true" : "false")
            object.member("version", version)
            object.member("diagnostics", json: Diagnostics.json(faults + warnings + (judgement?.faults ?? [])))
            object.member("public", json: array(surface?.entries ?? []) { entry in
                JSONText.object { object in
                    object.member("stage", entry.stage)
                    object.member("host", entry.host)
                    object.member("path", entry.path)
                    object.member("methods", entry.methods)
                    object.member("target", entry.target)
                    object.member("reason", entry.reason)
                }
            })
            if let replay { object.member("replay", json: replay.json) }
            guard let judgement else { return }
            object.member("against", other)
            object.member("changes", json: array(judgement.changes) { change in
                JSONText.object { object in
                    object.member("stage", change.stage)
                    object.member("setting", change.setting)
                    object.member("change", change.sentence)
                    object.member("effect", change.effect.rawValue)
                    object.member("approved", json: change.effect != .weaker ? "null" : judgement.refused.contains(change) ? "false" : "true")
                    object.member("file", change.location.file)
                    object.member("line", change.location.line)
                    object.member("column", change.location.column)
                }
            })
        }
    }

    private func array<Item>(_ items: [Item], _ json: (Item) -> String) -> String {
        items.isEmpty ? "[]" : "[\n" + items.map { "  " + json($0) }.joined(separator: ",\n") + "\n]"
    }
}
