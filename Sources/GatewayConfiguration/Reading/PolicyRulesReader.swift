internal import GatewayTerms

/// Reads the `rules` of a policy: of a stage, or of one of its routes.
struct PolicyRulesReader {
    /// The policy.
    let section: Section
    /// Names and ids of those who may call; nil where they could not be read.
    let clients: Set<String>?

    static let depthMax = 8
    /// Questions of one rule, so that nobody's request is asked a thousand.
    static let questionsMax = 100

    func read() -> [Configuration.Policy.Rule] {
        var places: [String: SourceLocation] = [:]
        let sections = section.sections("rules")
        let rules = sections.compactMap { section -> Configuration.Policy.Rule? in
            let name = section.value("name", Section.name)
            let decision = section.value("decision") { Configuration.Policy.Rule.Decision(rawValue: $0) }
            if let name, let first = places.updateValue(name.location, forKey: name.value) {
                section.fault("name", value: name.value, "\(name.value) is the name of the rule on line \(first.line) already. A refusal names its rule; choose another.")
            }
            var questions = 0
            let condition = section.has("when") ? condition(section.section("when"), depth: 1, &questions) : nil
            if questions > Self.questionsMax {
                section.fault("when", value: "\(questions) questions", "asks \(questions) questions; at most \(Self.questionsMax) are asked of a request. Split the rule.")
            }
            guard let name, let decision, let condition else { return nil }
            return Configuration.Policy.Rule(name: name.value, decision: decision.value, condition: condition)
        }
        if !rules.isEmpty, rules.count == sections.count, !rules.contains(where: { $0.decision == .allow }) {
            section.warning("rules", "let nobody in: whom no rule fits is refused, and none of these allows. Add a rule that does.")
        }
        return rules
    }

    private static let questions = ["any", "all", "not", "group", "scope", "client", "claim", "address"]

    private func condition(_ section: Section, depth: Int, _ count: inout Int) -> Configuration.Policy.Condition? {
        let named = Self.questions.filter(section.has)
        guard depth <= Self.depthMax else {
            section.reading.fault(at: section.location, section.name, "stands \(depth) deep; conditions may stand \(Self.depthMax) deep. Split the rule.")
            return nil
        }
        guard named.count == 1 else {
            let what = named.isEmpty ? "asks nothing" : "asks for \(named.joined(separator: " and "))"
            section.reading.fault(at: section.location, section.name, "\(what); a condition has exactly one of \(Self.questions.joined(separator: ", ")), and any and all join several.")
            return nil
        }
        count += 1
        if named[0] != "claim" {
            for key in ["equals", "in"] where section.has(key) { section.fault(key, "goes with claim only. Take it away.") }
        }
        switch named[0] {
        case "any": return conditions("any", section, depth, &count).map { .any($0) }
        case "all": return conditions("all", section, depth, &count).map { .all($0) }
        case "not": return section.nested("not").first.flatMap { condition($0, depth: depth + 1, &count) }.map { .not($0) }
        case "group": return section.value("group", Section.text(max: 256)).map { .group($0.value) }
        case "scope": return section.value("scope", Section.token).map { .scope($0.value) }
        case "client": return client(section)
        case "address": return section.value("address") { AddressRange($0) }.map { .address($0.value) }
        default: return claim(section)
        }
    }

    private func conditions(_ key: String, _ section: Section, _ depth: Int, _ count: inout Int) -> [Configuration.Policy.Condition]? {
        let sections = section.nested(key)
        var conditions: [Configuration.Policy.Condition] = []
        for section in sections {
            if let condition = condition(section, depth: depth + 1, &count) { conditions.append(condition) }
        }
        return conditions.isEmpty || conditions.count < sections.count ? nil : conditions
    }

    private func client(_ section: Section) -> Configuration.Policy.Condition? {
        guard let client = section.value("client", Section.token) else { return nil }
        if let clients, !clients.contains(client.value) {
            let meant = EditDistance.suggestion(for: client.value, among: clients).map { "Did you mean \($0)?" } ?? "Known: \(clients.sorted().prefix(20).joined(separator: ", "))."
            section.fault("client", value: client.value, "\(Section.shown(client.value)) is no client of this stage. \(meant)")
        }
        return .client(client.value)
    }

    private func claim(_ section: Section) -> Configuration.Policy.Condition? {
        guard let name = section.value("claim", Section.token) else { return nil }
        guard section.has("equals") != section.has("in") else {
            section.fault("claim", value: name.value, "needs exactly one of equals: TEXT and in: [TEXT, …].")
            return nil
        }
        if section.has("in") {
            let texts = section.list("in", Section.text(max: 256)).map(\.value)
            return texts.isEmpty ? nil : .claim(name.value, oneOf: texts)
        }
        return section.value("equals", Section.text(max: 256)).map { .claim(name.value, oneOf: [$0.value]) }
    }
}
