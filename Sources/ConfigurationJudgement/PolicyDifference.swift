internal import GatewayConfiguration

/// A part of a change: what is said of a subject, and what it means.
struct Finding: Hashable {
    /// What follows the subject: `becomes public`.
    let predicate: String
    let effect: Change.Effect
    /// Said of the policy rather than of the route.
    var isOfPolicy = false

    init(_ predicate: String, _ effect: Change.Effect, isOfPolicy: Bool = false) {
        (self.predicate, self.effect, self.isOfPolicy) = (predicate, effect, isOfPolicy)
    }
}

/// What changes for callers when one demand takes another's place.
enum PolicyDifference {
    static func findings(from old: Configuration.Policy, to new: Configuration.Policy) -> [Finding] {
        groups(from: Set(old.groups), to: Set(new.groups)) + scopes(from: Set(old.scopes), to: Set(new.scopes)) + rules(from: old.rules, to: new.rules)
    }

    /// What other rules mean is not guessed: whoever changes them says that it is meant.
    static func rules(from old: [Configuration.Policy.Rule], to new: [Configuration.Policy.Rule]) -> [Finding] {
        if old == new { return [] }
        if old.isEmpty { return [Finding("now asks the rules \(new.map(\.name).joined(separator: ", "))", .stronger, isOfPolicy: true)] }
        if new.isEmpty { return [Finding("no longer asks the rules \(old.map(\.name).joined(separator: ", "))", .weaker, isOfPolicy: true)] }
        return [Finding("now asks other rules: \(new.map(\.name).joined(separator: ", "))", .weaker, isOfPolicy: true)]
    }

    static func groups(from old: Set<String>, to new: Set<String>) -> [Finding] {
        if old == new { return [] }
        if old.isEmpty { return [Finding("now requires \(Words.anyOf("group", new))", .stronger, isOfPolicy: true)] }
        if new.isEmpty { return [Finding("no longer requires \(Words.anyOf("group", old))", .weaker, isOfPolicy: true)] }
        var findings: [Finding] = []
        let added = new.subtracting(old), removed = old.subtracting(new)
        if !added.isEmpty { findings.append(Finding("now lets in \(Words.allOf("group", added)) too", .weaker, isOfPolicy: true)) }
        if !removed.isEmpty { findings.append(Finding("no longer lets in \(Words.allOf("group", removed))", .stronger, isOfPolicy: true)) }
        return findings
    }

    static func scopes(from old: Set<String>, to new: Set<String>) -> [Finding] {
        var findings: [Finding] = []
        let added = new.subtracting(old), removed = old.subtracting(new)
        if !removed.isEmpty { findings.append(Finding("no longer requires \(Words.allOf("scope", removed))", .weaker, isOfPolicy: true)) }
        if !added.isEmpty { findings.append(Finding("now requires \(Words.allOf("scope", added))", .stronger, isOfPolicy: true)) }
        return findings
    }

    static func credentials(from old: Set<Configuration.Route.Credential>, to new: Set<Configuration.Route.Credential>) -> [Finding] {
        var findings: [Finding] = []
        let added = new.subtracting(old).map(\.rawValue), removed = old.subtracting(new).map(\.rawValue)
        if !added.isEmpty { findings.append(Finding("now takes \(Words.list(added)) too", .weaker)) }
        if !removed.isEmpty { findings.append(Finding("no longer takes \(Words.list(removed))", .stronger)) }
        return findings
    }
}
