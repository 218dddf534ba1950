package import GatewayTerms

/// What a route demands of its caller beyond a good credential; the same for bearer tokens and login sessions.
package struct RoutePolicy: Sendable, Equatable {
    /// Of the policy, for the log and the 403.
    package let name: String
    /// The caller needs one of them; empty: no demand.
    package let groups: [String]
    /// The credential needs all of them.
    package let scopes: [String]
    /// Asked after groups and scopes, in order; empty: no demand (C10).
    package let rules: [PolicyRule]
    /// Some rule asks where the caller is.
    package let asksForAddress: Bool

    package init(name: String, groups: [String] = [], scopes: [String] = [], rules: [PolicyRule] = []) {
        self.name = name
        self.groups = groups
        self.scopes = scopes
        self.rules = rules
        asksForAddress = rules.contains { $0.condition.asksForAddress }
    }

    /// Nil where the caller may pass.
    /// - Parameter address: the client's, where it is known and ``asksForAddress``.
    package func refusal(of identity: Identity, from address: IPAddress?) -> BearerRefusal? {
        if let refusal = refusal(groups: identity.groups, scopes: identity.scopes, isProgram: identity.isProgram) { return refusal }
        if rules.isEmpty { return nil }
        guard let rule = rule(for: identity, from: address) else { return .ruleDenied(rule: nil, policy: name) }
        return rule.decision == .allow ? nil : .ruleDenied(rule: rule.name, policy: name)
    }

    /// The rule that decides about the caller, either way; nil where none applies, or the policy has none.
    /// - Parameter address: as in ``refusal(of:from:)``.
    package func rule(for identity: Identity, from address: IPAddress?) -> PolicyRule? {
        rules.first { $0.applies(to: identity, from: address) }
    }

    /// The demand on groups and scopes alone. Nil where the caller may pass.
    /// - Parameter isProgram: see ``Identity/isProgram``.
    package func refusal(groups callersGroups: [String], scopes callersScopes: [String], isProgram: Bool = false) -> BearerRefusal? {
        if !scopes.isEmpty {
            let missing = scopes.filter { !callersScopes.holds($0) }
            if !missing.isEmpty { return .scopeMissing(missing, policy: name) }
        }
        if groups.isEmpty || isProgram { return nil }
        for index in groups.indices where callersGroups.holds(groups[index]) { return nil }
        return .groupMissing(groups, policy: name)
    }
}
