@testable import GatewayConfiguration
import GatewayTerms
import Testing

@Suite struct PolicyFaultTests {
    @Test("A route that demands less than its stage must say why", arguments: cases)
    func reports(change: Change) {
        #expect(change.diagnostics == change.expected)
    }

    static let cases: [Change] = [
        .stage("A route that drops the stage's groups", "stage: alpha", "stage: alpha\npolicy: { groups: [science, ops], scopes: [metaflow/read] }", and: "credentials: [bearer] }", "credentials: [bearer], policy: { groups: [] } }", ["stage.yaml:10:66: routes[0].policy: lets in callers whom the stage's policy refuses. Demand what the stage demands, or say why: widens: \"reason\"."]),
        .stage("A route that adds a group", "stage: alpha", "stage: alpha\npolicy: { groups: [science, ops], scopes: [metaflow/read] }", and: "credentials: [bearer] }", "credentials: [bearer], policy: { groups: [science, guests] } }", ["stage.yaml:10:66: routes[0].policy: lets in callers whom the stage's policy refuses. Demand what the stage demands, or say why: widens: \"reason\"."]),
        .stage("A route that names another group", "stage: alpha", "stage: alpha\npolicy: { groups: [science, ops], scopes: [metaflow/read] }", and: "credentials: [bearer] }", "credentials: [bearer], policy: { groups: [guests] } }", ["stage.yaml:10:66: routes[0].policy: lets in callers whom the stage's policy refuses. Demand what the stage demands, or say why: widens: \"reason\"."]),
        .stage("A route that drops a scope", "stage: alpha", "stage: alpha\npolicy: { groups: [science, ops], scopes: [metaflow/read] }", and: "credentials: [bearer] }", "credentials: [bearer], policy: { scopes: [] } }", ["stage.yaml:10:66: routes[0].policy: lets in callers whom the stage's policy refuses. Demand what the stage demands, or say why: widens: \"reason\"."]),
        .stage("A route that changes a scope", "stage: alpha", "stage: alpha\npolicy: { groups: [science, ops], scopes: [metaflow/read] }", and: "credentials: [bearer] }", "credentials: [bearer], policy: { scopes: [metaflow/write] } }", ["stage.yaml:10:66: routes[0].policy: lets in callers whom the stage's policy refuses. Demand what the stage demands, or say why: widens: \"reason\"."]),
        .stage("A route that widens with an empty reason", "stage: alpha", "stage: alpha\npolicy: { groups: [science, ops], scopes: [metaflow/read] }", and: "credentials: [bearer] }", "credentials: [bearer], policy: { groups: [], widens: \"\" } }", ["stage.yaml:10:88: routes[0].policy.widens: \"\" is not text of at most 200 bytes."]),
        .stage("A route's policy with a misspelt key", "stage: alpha", "stage: alpha\npolicy: { groups: [science, ops], scopes: [metaflow/read] }", and: "credentials: [bearer] }", "credentials: [bearer], policy: { groups: [science], widen: \"x\" } }", ["stage.yaml:10:87: routes[0].policy.widen: is not a setting. Did you mean widens?"]),
        .stage("A route's policy that is a list", "stage: alpha", "stage: alpha\npolicy: { groups: [science, ops], scopes: [metaflow/read] }", and: "credentials: [bearer] }", "credentials: [bearer], policy: [science] }", ["stage.yaml:10:66: routes[0].policy: must be a mapping, KEY: VALUE."]),
    ]
    @Test("Rules that cannot be asked are reported where they stand", arguments: ruleCases)
    func reportsRules(change: Change) {
        #expect(change.diagnostics == change.expected)
    }

    static let ruleCases: [Change] = [
        .stage("A rule that asks nothing", "stage: alpha", "stage: alpha\npolicy: { rules: [{ name: a, decision: allow, when: {} }] }", ["stage.yaml:2:53: policy.rules[0].when: asks nothing; a condition has exactly one of any, all, not, group, scope, client, claim, address, and any and all join several."]),
        .stage("A condition with two questions", "stage: alpha", "stage: alpha\npolicy: { rules: [{ name: a, decision: allow, when: { group: x, scope: y } }] }", ["stage.yaml:2:53: policy.rules[0].when: asks for group and scope; a condition has exactly one of any, all, not, group, scope, client, claim, address, and any and all join several."]),
        .stage("A decision that is none", "stage: alpha", "stage: alpha\npolicy: { rules: [{ name: a, decision: permit, when: { group: x } }] }", ["stage.yaml:2:40: policy.rules[0].decision: permit is not one of allow | deny."]),
        .stage("A rule without a name", "stage: alpha", "stage: alpha\npolicy: { rules: [{ decision: allow, when: { group: x } }] }", ["stage.yaml:2:19: policy.rules[0].name: is missing. It takes a name of letters, digits, '-', '_' and '.', at most 64 bytes."]),
        .stage("A rule without a condition", "stage: alpha", "stage: alpha\npolicy: { rules: [{ name: a, decision: allow }] }", ["stage.yaml:2:19: policy.rules[0].when: is missing. It takes a mapping with exactly one question."]),
        .stage("Two rules of one name", "stage: alpha", "stage: alpha\npolicy: { rules: [{ name: a, decision: allow, when: { group: x } }, { name: \"a\", decision: deny, when: { group: y } }] }", ["stage.yaml:2:77: policy.rules[1].name: a is the name of the rule on line 2 already. A refusal names its rule; choose another."]),
        .stage("A claim that is compared with nothing", "stage: alpha", "stage: alpha\npolicy: { rules: [{ name: a, decision: allow, when: { claim: team } }] }", ["stage.yaml:2:62: policy.rules[0].when.claim: needs exactly one of equals: TEXT and in: [TEXT, …]."]),
        .stage("A claim that is compared twice", "stage: alpha", "stage: alpha\npolicy: { rules: [{ name: a, decision: allow, when: { claim: team, equals: b, in: [c] } }] }", ["stage.yaml:2:62: policy.rules[0].when.claim: needs exactly one of equals: TEXT and in: [TEXT, …]."]),
        .stage("A comparison without a claim", "stage: alpha", "stage: alpha\npolicy: { rules: [{ name: a, decision: allow, when: { group: team, equals: bb } }] }", ["stage.yaml:2:76: policy.rules[0].when.equals: goes with claim only. Take it away."]),
        .stage("A client of nobody", "stage: alpha", "stage: alpha\npolicy: { rules: [{ name: a, decision: allow, when: { client: comand-line } }] }", ["stage.yaml:2:63: policy.rules[0].when.client: comand-line is no client of this stage. Did you mean command-line?"]),
        .stage("A range that is none", "stage: alpha", "stage: alpha\npolicy: { rules: [{ name: a, decision: allow, when: { address: 10.0.0.1/8 } }] }", ["stage.yaml:2:64: policy.rules[0].when.address: 10.0.0.1/8 is not an address range, 10.0.0.0/8 or 2001:db8::/32; no bits may stand behind the prefix."]),
        .stage("A misspelt question in the depth", "stage: alpha", "stage: alpha\npolicy: { rules: [{ name: a, decision: allow, when: { any: [{ not: { grup: x } }] } }] }", ["stage.yaml:2:68: policy.rules[0].when.any[0].not: asks nothing; a condition has exactly one of any, all, not, group, scope, client, claim, address, and any and all join several.", "stage.yaml:2:70: policy.rules[0].when.any[0].not.grup: is not a setting. Did you mean group?"]),
        .stage("Conditions that nest too deep", "stage: alpha", "stage: alpha\npolicy: { rules: [{ name: a, decision: allow, when: { not: { not: { not: { not: { not: { not: { not: { not: { group: x } } } } } } } } } }] }", ["stage.yaml:2:109: policy.rules[0].when.not.not.not.not.not.not.not.not: stands 9 deep; conditions may stand 8 deep. Split the rule."]),
        .stage("Rules that let nobody in", "stage: alpha", "stage: alpha\npolicy: { rules: [{ name: a, decision: deny, when: { group: x } }] }", ["stage.yaml:2:18: warning: policy.rules: let nobody in: whom no rule fits is refused, and none of these allows. Add a rule that does."]),
    ]

    @Test("A stage whose policies ask for more claims than a cookie has room for is refused")
    func tooManyClaims() throws {
        let conditions = (0..<17).map { "{ claim: c\($0), equals: x }" }.joined(separator: ", ")
        let change = Change.stage("", "stage: alpha", "stage: alpha\npolicy: { rules: [{ name: a, decision: allow, when: { any: [\(conditions)] } }] }", [])
        #expect(change.diagnostics.count == 1 && change.diagnostics[0].contains("the stage's policies ask for 17 claims, c0, c1, c10"), "\(change.diagnostics)")
    }

    @Test("A rule that asks too many questions is refused")
    func tooManyQuestions() {
        let group = "{ any: [" + Array(repeating: "{ group: x }", count: 20).joined(separator: ", ") + "] }"
        let change = Change.stage("", "stage: alpha", "stage: alpha\npolicy: { rules: [{ name: a, decision: allow, when: { any: [" + Array(repeating: group, count: 5).joined(separator: ", ") + "] } }] }", [])
        #expect(change.diagnostics.count == 1 && change.diagnostics[0].contains("asks 106 questions; at most 100"), "\(change.diagnostics)")
    }

    @Test("Rules are read as they are written, and a route that leaves them out has its stage's", arguments: [
        ("{ group: x }", Configuration.Policy.Condition.group("x")), ("{ scope: a/b }", .scope("a/b")), ("{ client: command-line }", .client("command-line")),
        ("{ client: client1 }", .client("client1")), ("{ address: 10.0.0.0/8 }", .address(AddressRange("10.0.0.0/8")!)), ("{ claim: \"custom:team\", equals: \"7\" }", .claim("custom:team", oneOf: ["7"])),
        ("{ claim: t, in: [a, b] }", .claim("t", oneOf: ["a", "b"])), ("{ not: { any: [{ group: x }, { all: [{ scope: y }, { group: z }] }] } }", .not(.any([.group("x"), .all([.scope("y"), .group("z")])]))),
    ])
    func reads(text: String, condition: Configuration.Policy.Condition) throws {
        let rules = [Configuration.Policy.Rule(name: "r-1", decision: .allow, condition: condition)]
        let loaded = try AcceptedConfigurationTests.load(stage: Example.stage.replacingFirst("stage: alpha", with: "stage: alpha\npolicy: { rules: [{ name: r-1, decision: allow, when: \(text) }] }"))
        #expect(loaded.warnings == [])
        #expect(loaded.configuration.stages[0].policy.rules == rules && loaded.configuration.stages[0].routes[0].policy.rules == rules)
    }

    @Test("A route with other rules than its stage's says why; the same rules, or rules of its own where the stage has none, need no reason")
    func widens() {
        let rule = "{ name: a, decision: allow, when: { group: x } }", other = "{ name: a, decision: allow, when: { group: y } }"
        func faults(stage: String, route: String) -> [String] {
            Change.stage("", "stage: alpha", "stage: alpha\npolicy: { rules: [\(stage)] }", and: "credentials: [bearer] }", "credentials: [bearer], policy: { rules: [\(route)] } }", []).diagnostics
        }
        #expect(faults(stage: rule, route: rule) == [] && faults(stage: "", route: rule) == [])
        for (stage, route) in [(rule, other), (rule, "")] {
            #expect(faults(stage: stage, route: route).contains { $0.contains("lets in callers whom the stage's policy refuses") })
        }
    }
}
