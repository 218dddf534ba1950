import Testing

@Suite struct KeyFaultTests {
    @Test("A key that is unknown, doubled or no word is refused with its place", arguments: cases)
    func reports(change: Change) {
        #expect(change.diagnostics == change.expected)
    }

    static let cases: [Change] = [
        .adding("A misspelt section", "limit: { fields: 50 }", ["g.yaml:5:1: limit: is not a setting. Did you mean limits?"]),
        .adding("A misspelt key", "limits: { feilds: 50 }", ["g.yaml:5:11: limits.feilds: is not a setting. Did you mean fields?"]),
        .adding("A key in another spelling", "limits: { Head-Bytes: 32KiB }", ["g.yaml:5:11: limits.Head-Bytes: is not a setting. Did you mean head_bytes?"]),
        .adding("A key of another section", "timeouts: { head_bytes: 32KiB }", ["g.yaml:5:13: timeouts.head_bytes: is not a setting here. It belongs in limits."]),
        .adding("A key of another section at the top", "head_bytes: 32KiB", ["g.yaml:5:1: head_bytes: is not a setting here. It belongs in limits."]),
        .adding("A key of a stage in the process", "routes: []", ["g.yaml:5:1: routes: is not a setting of the process. It belongs in a stage's file, which stages names."]),
        .stage("A key of the process in a stage", "stage: alpha", "stage: alpha\nlisteners: []", ["stage.yaml:2:1: listeners: is not a setting of a stage. It belongs in gateway.yaml."]),
        .adding("A key that nothing resembles", "frobnication: 3", ["g.yaml:5:1: frobnication: is not a setting. Known here: access_log, admin, approve, compression, drain, event_loops, health, limits, listeners, log, login_sessions, reload, revocation, stages, state_directory, timeouts."]),
        .adding("An unknown key whose value could be a secret", "password: hunter2", ["g.yaml:5:1: password: is not a setting. Known here: access_log, admin, approve, compression, drain, event_loops, health, limits, listeners, log, login_sessions, reload, revocation, stages, state_directory, timeouts."]),
        .adding("A key that is a list", "? [a, b]\n: c", ["g.yaml:5:3: a key must be a word, not a list or a mapping."]),
        .adding("A key that is a mapping", "? { a: b }\n: c", ["g.yaml:5:3: a key must be a word, not a list or a mapping."]),
        .adding("A number as a key", "1: 2", ["g.yaml:5:1: 1: is not a setting. Known here: access_log, admin, approve, compression, drain, event_loops, health, limits, listeners, log, login_sessions, reload, revocation, stages, state_directory, timeouts."]),
        .adding("A merge key", "<<: { fields: 3 }", ["g.yaml:5:1: <<: is not a setting. Known here: access_log, admin, approve, compression, drain, event_loops, health, limits, listeners, log, login_sessions, reload, revocation, stages, state_directory, timeouts."]),
        .adding("A key written twice", "log: { level: info }\nlog: { level: debug }", ["g.yaml:6:1: log: is written twice; the first stands on line 5. Keep one."]),
        .adding("A key written three times", "limits:\n  fields: 50\n  fields: 60\n  fields: 70", [
            "g.yaml:7:3: limits.fields: is written twice; the first stands on line 6. Keep one.",
            "g.yaml:8:3: limits.fields: is written twice; the first stands on line 6. Keep one.",
        ]),
        .adding("Two keys written twice in two sections", "limits: { fields: 50, fields: 60 }\ntimeouts: { head: 5s, head: 6s }", [
            "g.yaml:5:23: limits.fields: is written twice; the first stands on line 5. Keep one.",
            "g.yaml:6:23: timeouts.head: is written twice; the first stands on line 6. Keep one.",
        ]),
        .adding("A quoted key written twice", "limits: { \"fields\": 50, fields: 60 }", ["g.yaml:5:25: limits.fields: is written twice; the first stands on line 5. Keep one."]),
        .adding("A key written twice beside another fault", "limits: { fields: 50, fields: 60, head_bytes: 1 }", [
            "g.yaml:5:23: limits.fields: is written twice; the first stands on line 5. Keep one.",
            "g.yaml:5:47: limits.head_bytes: 1 is outside 1KiB…64KiB. Set a value in that range.",
        ]),
        .stage("An upstream written twice", "routes:", "  service: { endpoints: [\"http://10.0.0.2:8080\"] }\nroutes:", ["stage.yaml:8:3: upstreams.service: is written twice; the first stands on line 7. Keep one."]),
        .stage("A setting of a route written twice", "upstream: service,", "upstream: service, path: /b,", ["stage.yaml:9:35: routes[0].path: is written twice; the first stands on line 9. Keep one."]),
        .adding("An unknown key that is written twice", "nothing: { a: 1, a: 2 }", ["g.yaml:5:1: nothing: is not a setting. Known here: access_log, admin, approve, compression, drain, event_loops, health, limits, listeners, log, login_sessions, reload, revocation, stages, state_directory, timeouts."]),
    ]
}
