package import GatewayTerms

/// What a policy's rule asks about a caller (C10): a small tree of questions.
///
/// A question may have no answer: the caller's address is not known, or a claim is not one that the credential says plainly, or the login was
/// made before the policy asked for it. Then the tree has none either, unless its other parts decide, and ``PolicyRule`` takes that for
/// the answer that lets fewer in.
package indirect enum Condition: Sendable, Equatable {
    case any([Condition])
    case all([Condition])
    case not(Condition)
    case group(String)
    case scope(String)
    /// An app client, by its id or by the operators' name for it; a browser's is called `browser`.
    case client(String)
    /// A claim that is one of these texts, or a list that holds one of them.
    case claim(String, oneOf: [String])
    case address(AddressRange)

    /// - Returns: nil where it cannot be known.
    package func holds(for identity: Identity, from address: IPAddress?) -> Bool? {
        switch self {
        case .any(let conditions):
            var isOpen = false
            for condition in conditions {
                switch condition.holds(for: identity, from: address) {
                case true?: return true
                case false?: continue
                case nil: isOpen = true
                }
            }
            return isOpen ? nil : false
        case .all(let conditions):
            var isOpen = false
            for condition in conditions {
                switch condition.holds(for: identity, from: address) {
                case true?: continue
                case false?: return false
                case nil: isOpen = true
                }
            }
            return isOpen ? nil : true
        case .not(let condition): return condition.holds(for: identity, from: address).map { !$0 }
        case .group(let group): return identity.groups.holds(group)
        case .scope(let scope): return identity.scopes.holds(scope)
        case .client(let client): return identity.client.hasSameBytes(as: client) || identity.clientName.hasSameBytes(as: client)
        case .claim(let name, let texts):
            guard let values = identity.claims[name] else { return nil }
            for index in values.indices where texts.holds(values[index]) { return true }
            return false
        case .address(let range): return address.map { range.contains($0) }
        }
    }

    var asksForAddress: Bool {
        switch self {
        case .any(let conditions), .all(let conditions): conditions.contains { $0.asksForAddress }
        case .not(let condition): condition.asksForAddress
        case .address: true
        case .group, .scope, .client, .claim: false
        }
    }

    /// The claims that it asks for.
    package var claimNames: Set<String> {
        switch self {
        case .any(let conditions), .all(let conditions): conditions.reduce(into: []) { $0.formUnion($1.claimNames) }
        case .not(let condition): condition.claimNames
        case .claim(let name, _): [name]
        case .group, .scope, .client, .address: []
        }
    }

    /// The groups that it names.
    package var groupNames: Set<String> {
        switch self {
        case .any(let conditions), .all(let conditions): conditions.reduce(into: []) { $0.formUnion($1.groupNames) }
        case .not(let condition): condition.groupNames
        case .group(let group): [group]
        case .scope, .client, .claim, .address: []
        }
    }
}

/// One rule of a policy; the first whose condition holds decides, and where none does, nobody passes.
package struct PolicyRule: Sendable, Equatable {
    package enum Decision: String, Sendable, Equatable { case allow, deny }

    /// For the 403 and the log.
    package let name: String
    package let decision: Decision
    package let condition: Condition

    package init(name: String, decision: Decision, condition: Condition) {
        self.name = name
        self.decision = decision
        self.condition = condition
    }

    /// What cannot be known denies: an `allow` needs its condition, a `deny` only the doubt.
    func applies(to identity: Identity, from address: IPAddress?) -> Bool {
        condition.holds(for: identity, from: address) ?? (decision == .deny)
    }
}
