import Testing

@Suite struct YAMLFaultTests {
    @Test("What is not YAML, or more of YAML than a configuration needs, is refused with its place", arguments: cases)
    func reports(change: Change) {
        #expect(change.diagnostics == change.expected)
    }

    static let cases: [Change] = [
        .process("An empty file", Example.process, "", ["g.yaml: the file holds no settings. Write at least the required ones."]),
        .process("A file of comments", Example.process, "# nothing\n", ["g.yaml: the file holds no settings. Write at least the required ones."]),
        .process("A file that is a list", Example.process, "- a\n- b\n", ["g.yaml:1:1: must be a mapping, KEY: VALUE."]),
        .process("A file that is a word", Example.process, "hello\n", ["g.yaml:1:1: must be a mapping, KEY: VALUE."]),
        .adding("A flow mapping that is not closed", "limits: { fields: 50", ["g.yaml:6:1: this is not YAML: did not find expected ',' or '}' (while parsing a flow mapping that began on line 5)."]),
        .adding("A flow list that is not closed", "log: [a, b\nlimits: {}", ["g.yaml:6:7: this is not YAML: did not find expected ',' or ']' (while parsing a flow sequence that began on line 5)."]),
        .adding("A tab as indentation", "limits:\n\tfields: 50", ["g.yaml:6:1: a tab stands here. YAML indents with spaces."]),
        .adding("A quote that is not closed", "log: { level: \"info }", ["g.yaml:6:1: this is not YAML: found unexpected end of stream (while scanning a quoted scalar that began on line 5)."]),
        .adding("A colon missing", "limits\n", ["g.yaml:7:1: this is not YAML: could not find expected ':' (while scanning a simple key that began on line 5)."]),
        .adding("Wrong indentation", "limits:\n    fields: 50\n  head_bytes: 32KiB", ["g.yaml:7:3: this is not YAML: did not find expected key (while parsing a block mapping that began on line 1)."]),
        .adding("A second document", "---\nlimits: {}", ["g.yaml:5:1: a second document begins here. A file holds one; name other files in stages."]),
        .adding("An anchor", "limits: &limits { fields: 50 }", ["g.yaml:5:9: an anchor stands here. Anchors are not supported; write the value out."]),
        .adding("An anchor and an alias", "limits: &limits { fields: 50 }\ntimeouts: *limits", ["g.yaml:6:11: an alias stands here. Aliases are not supported; write the value out."]),
        .adding("An alias of nothing", "timeouts: *limits", ["g.yaml:5:11: an alias stands here. Aliases are not supported; write the value out."]),
        .adding("An alias in a list", "stages2: [*a]", ["g.yaml:5:11: an alias stands here. Aliases are not supported; write the value out."]),
        .adding("A tag of its own", "limits: !limits { fields: 50 }", ["g.yaml:5:9: the tag !limits stands here. Tags are not supported; leave it out."]),
        .adding("A tag on a value", "limits: { fields: !!int 50 }", ["g.yaml:5:19: the tag tag:yaml.org,2002:int stands here. Tags are not supported; leave it out."]),
        .adding("A control byte", "log: { level: in\u{1}fo }", ["g.yaml:5:17: a character here may not stand in YAML (control characters are not allowed)."]),
        .adding("A directive that is unknown", "%FOO", ["g.yaml:5:5: this is not YAML: found unknown directive name (while scanning a directive that began on line 5)."]),
        .stage("A fault of syntax in a stage's file", "routes:", "routes: }", ["stage.yaml:8:9: this is not YAML: did not find expected node content (while parsing a block node that began on line 8)."]),
    ]
}
