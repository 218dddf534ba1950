import Testing

@Suite struct WarningTests {
    @Test("What is doubtful is accepted with a warning", arguments: cases)
    func reports(change: Change) {
        #expect(change.diagnostics == change.expected)
    }

    static let cases: [Change] = [
        .process("A short drain on a public address", "address: 127.0.0.1:8443", "address: \"[::]:8443\"", adding: "drain: { accept_for: 60s }", ["g.yaml:5:22: warning: drain.accept_for: 1m is short: an NLB sends new connections for three to five minutes after readiness has failed. Set 240s."]),
        .adding("A short drain on loopback", "drain: { accept_for: 0s }", []),
        .adding("A keep-alive longer than the NLB's", "timeouts: { keep_alive: 350s }", ["g.yaml:5:25: warning: timeouts.keep_alive: 350s is not below the 350 s after which an NLB forgets a connection and answers with a reset. Set 340s."]),
        .adding("A keep-alive just below the NLB's", "timeouts: { keep_alive: 349s }", []),
        .stage("A region that is unknown", "cognito: { region: us-west-2, user_pool: us-west-2_Pool1 }", "cognito: { region: us-west-3, user_pool: us-west-3_Pool1 }", ["stage.yaml:4:22: warning: identity.cognito.region: us-west-3 is no region known when this gateway was built. Did you mean us-west-1?"]),
        .stage("An upstream that no route uses", "routes:", "  spare: { endpoints: [\"http://10.0.0.2:80\"] }\nroutes:", ["stage.yaml:8:3: warning: upstreams.spare: is used by no route."]),
        .stage("A prefix stripped from /", "credentials: [bearer] }", "credentials: [bearer], strip_prefix: true }", ["stage.yaml:9:72: warning: routes[0].strip_prefix: has no effect on /: nothing stands before it."]),
        .stage("A policy that says it widens and does not", "credentials: [bearer] }", "credentials: [bearer], policy: { groups: [a], widens: \"why\" } }", ["stage.yaml:9:89: warning: routes[0].policy.widens: is not needed: the policy demands all that the stage's does. Take it away."]),
        .stage("A token to forward on a route that takes none", "  clients: [{ id: client1, name: command-line }]\n", "  clients: [{ id: client1, name: command-line }]\n  browser_client: { id: b, secret: { env: SET } }\n", and: "  - { path: /, upstream: service, credentials: [bearer] }\n", "  - { path: /, upstream: service, credentials: [login_session], forward_authorization: true }\n", [
            "stage.yaml:4:12: identity.cognito.domain: is missing, and browser_client needs the login pages there. Set it to the pool's domain, https://….amazoncognito.com.",
            "stage.yaml:10:88: warning: routes[0].forward_authorization: has no effect: the route takes no bearer token.",
        ]),
    ]
}
