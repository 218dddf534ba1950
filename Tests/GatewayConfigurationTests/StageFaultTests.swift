import Testing

@Suite struct StageFaultTests {
    @Test("A stage without a name, a host or an address that browsers can use is refused", arguments: cases)
    func reports(change: Change) {
        #expect(change.diagnostics == change.expected)
    }

    static let cases: [Change] = [
        .stage("No name", "stage: alpha\n", "", ["stage.yaml:1:1: stage: is missing. It takes a name of letters, digits, '-', '_' and '.', at most 64 bytes."]),
        .stage("No host", "host: alpha.example.com\n", "", ["stage.yaml:1:1: host: is missing. It takes a host name such as alpha.example.com, without port."]),
        .stage("A name with a space", "stage: alpha", "stage: \"alpha beta\"", ["stage.yaml:1:8: stage: \"alpha beta\" is not a name of letters, digits, '-', '_' and '.', at most 64 bytes."]),
        .stage("A host with a port", "host: alpha.example.com", "host: alpha.example.com:8443", ["stage.yaml:2:7: host: alpha.example.com:8443 is not a host name such as alpha.example.com, without port."]),
        .stage("A host with a wildcard", "host: alpha.example.com", "host: \"*.example.com\"", ["stage.yaml:2:7: host: *.example.com is not a host name such as alpha.example.com, without port."]),
        .stage("A host in Unicode", "host: alpha.example.com", "host: älpha.example.com", ["stage.yaml:2:7: host: \"älpha.example.com\" is not a host name such as alpha.example.com, without port."]),
        .stage("A public address in plain text", "stage: alpha", "stage: alpha\npublic_url: http://alpha.example.com", ["stage.yaml:2:13: public_url: http://alpha.example.com is not https:// and the stage's host, with a port if it is not 443, without a path."]),
        .stage("A public address with a path", "stage: alpha", "stage: alpha\npublic_url: https://alpha.example.com/ui", ["stage.yaml:2:13: public_url: https://alpha.example.com/ui is not https:// and the stage's host, with a port if it is not 443, without a path."]),
        .stage("A public address on another host", "stage: alpha", "stage: alpha\npublic_url: https://beta.example.com", ["stage.yaml:2:13: public_url: https://beta.example.com is not on the stage's host, alpha.example.com. Browsers would log in somewhere else."]),
        .stage("A policy that is a list", "stage: alpha", "stage: alpha\npolicy: [science]", ["stage.yaml:2:9: policy: must be a mapping, KEY: VALUE."]),
        .stage("A policy with a misspelt key", "stage: alpha", "stage: alpha\npolicy: { group: [science] }", ["stage.yaml:2:11: policy.group: is not a setting. Did you mean groups?"]),
        .stage("A group listed twice", "stage: alpha", "stage: alpha\npolicy: { groups: [science, science] }", ["stage.yaml:2:29: policy.groups[1]: science is listed twice. Keep one."]),
        .stage("A group that is empty", "stage: alpha", "stage: alpha\npolicy: { groups: [\"\"] }", ["stage.yaml:2:20: policy.groups[0]: \"\" is not text of at most 256 bytes."]),
    ]
}
