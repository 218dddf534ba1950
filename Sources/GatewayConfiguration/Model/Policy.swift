package import GatewayTerms

extension Configuration {
    /// What a route demands of its caller beyond being somebody.
    package struct Policy: Sendable, Equatable {
        /// The caller must be in one of these; empty: no demand.
        package var groups: [String]
        /// The caller's token must carry each of these.
        package var scopes: [String]
        /// The first that fits decides, and a caller whom none fits is refused; empty: no demand.
        package var rules: [Rule]

        package init(groups: [String] = [], scopes: [String] = [], rules: [Rule] = []) {
            (self.groups, self.scopes, self.rules) = (groups, scopes, rules)
        }

        package static let none = Policy()

        /// True when every caller that `self` admits is admitted by `other` too. Of rules only the plain cases are seen: the same rules, or
        /// rules where the other has none; whoever writes other ones says why.
        package func isAtLeastAsStrict(as other: Policy) -> Bool {
            let groupsHold = other.groups.isEmpty || (!groups.isEmpty && Set(groups).isSubset(of: other.groups))
            return groupsHold && Set(other.scopes).isSubset(of: scopes) && (other.rules.isEmpty || rules == other.rules)
        }

        package struct Rule: Sendable, Equatable {
            package enum Decision: String, Sendable, Equatable, CaseIterable { case allow, deny }

            /// Told to the caller whom it refuses, and logged.
            package var name: String
            package var decision: Decision
            package var condition: Condition
        }

        /// What a rule asks about the caller.
        package indirect enum Condition: Sendable, Equatable {
            case any([Condition])
            case all([Condition])
            case not(Condition)
            case group(String)
            case scope(String)
            /// By name or id; `browser` is the browser client.
            case client(String)
            case claim(String, oneOf: [String])
            case address(AddressRange)

            /// The claims that it asks for.
            package var claimNames: Set<String> {
                switch self {
                case .any(let conditions), .all(let conditions): conditions.reduce(into: []) { $0.formUnion($1.claimNames) }
                case .not(let condition): condition.claimNames
                case .claim(let name, _): [name]
                case .group, .scope, .client, .address: []
                }
            }
        }
    }
}
