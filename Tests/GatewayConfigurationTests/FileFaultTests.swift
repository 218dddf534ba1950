import Testing

@Suite struct FileFaultTests {
    @Test("A file or secret that cannot be read is refused at the place that names it", arguments: cases)
    func reports(change: Change) {
        #expect(change.diagnostics == change.expected)
    }

    static let cases: [Change] = [
        .process("No stages", "stages: [stage.yaml]\n", "", ["g.yaml:1:1: stages: is missing. It takes a list of 1…64, each the path of a file, relative to this one."]),
        .process("An empty list of stages", "[stage.yaml]", "[]", ["g.yaml:4:9: stages: is empty. It takes a list of 1…64, each the path of a file, relative to this one."]),
        .process("A stage file that is missing", "[stage.yaml]", "[stage.yaml, prod.yaml]", ["g.yaml:4:22: stages[1]: prod.yaml does not exist. Name a stage's file, relative to this one."]),
        .process("A stage file named twice", "[stage.yaml]", "[stage.yaml, stage.yaml]", ["g.yaml:4:22: stages[1]: stage.yaml is listed twice. Keep one."]),
        .process("A stage written in place of its file", "[stage.yaml]", "[{ stage: alpha }]", ["g.yaml:4:10: stages[0]: takes a single value: the path of a file, relative to this one."]),
        .process("The same stage under two names", "[stage.yaml]", "[stage.yaml, ./stage.yaml]", ["g.yaml:4:22: stages[1]: stage.yaml is the file that line 4 names already. Name a stage once."]),
        .adding("A key ring that is missing", "login_sessions: { keys: { file: ring.json } }", ["g.yaml:5:33: login_sessions.keys: ring.json does not exist. Name a file that this process may read."]),
        .adding("A key ring in a variable that is not set", "login_sessions: { keys: { env: RING } }", ["g.yaml:5:32: login_sessions.keys: the environment variable RING is not set. Set it, or name a file."]),
        .adding("A key ring in an empty variable", "login_sessions: { keys: { env: EMPTY } }", ["g.yaml:5:32: login_sessions.keys: the environment variable EMPTY is not set. Set it, or name a file."]),
        .adding("A key ring in an empty file", "login_sessions: { keys: { file: empty } }", ["g.yaml:5:33: login_sessions.keys: empty is empty. Write the secret into it."]),
        .adding("A key ring written out", "login_sessions: { keys: hunter2-hunter2 }", ["g.yaml:5:25: login_sessions.keys: a secret may not be written into the configuration. Name where it is: { file: PATH } or { env: NAME }."]),
        .adding("A key ring in a list", "login_sessions: { keys: [hunter2-hunter2] }", ["g.yaml:5:25: login_sessions.keys: a secret may not be written into the configuration. Name where it is: { file: PATH } or { env: NAME }."]),
        .adding("A key ring from two sources", "login_sessions: { keys: { file: secret, env: SET } }", ["g.yaml:5:25: login_sessions.keys: must name exactly one source. Name where it is: { file: PATH } or { env: NAME }."]),
        .adding("A key ring from an unknown source", "login_sessions: { keys: { vault: hunter2-hunter2 } }", ["g.yaml:5:25: login_sessions.keys: must name exactly one source. Name where it is: { file: PATH } or { env: NAME }."]),
        .adding("A key ring from no source", "login_sessions: { keys: {} }", ["g.yaml:5:25: login_sessions.keys: must name exactly one source. Name where it is: { file: PATH } or { env: NAME }."]),
    ]
}
