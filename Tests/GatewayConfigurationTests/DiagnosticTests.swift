import Foundation
@testable import GatewayConfiguration
import Testing

@Suite struct DiagnosticTests {
    @Test("A diagnostic prints place, setting, value, what is allowed and the remedy in one line")
    func printsOneLine() {
        let diagnostic = Diagnostic(.error, at: SourceLocation(file: "config/gateway.yaml", line: 12, column: 15), setting: "limits.head_bytes", value: "1MiB",
                                    "1MiB is outside 1KiB…64KiB. Set a value in that range.")
        #expect(diagnostic.description == "config/gateway.yaml:12:15: limits.head_bytes: 1MiB is outside 1KiB…64KiB. Set a value in that range.")
        #expect(diagnostic.json == #"{"file":"config/gateway.yaml","line":12,"column":15,"severity":"error","setting":"limits.head_bytes","value":"1MiB","message":"1MiB is outside 1KiB…64KiB. Set a value in that range."}"#)
    }

    @Test("A fault of a whole file has no line, and one without a value says null")
    func printsWholeFile() {
        let diagnostic = Diagnostic(.warning, at: SourceLocation(file: "a.yaml", line: 0, column: 0), setting: "", "the file holds no settings.")
        #expect(diagnostic.description == "a.yaml: warning: the file holds no settings.")
        #expect(diagnostic.json == #"{"file":"a.yaml","line":0,"column":0,"severity":"warning","setting":"","value":null,"message":"the file holds no settings."}"#)
    }

    @Test("The JSON form is JSON, whatever the value holds", arguments: ["plain", "a\"b\\c", "tab\there", "nul\u{0}", "line\u{2028}end", "é😀", "\u{7f}\u{85}", String(repeating: "x", count: 500)])
    func writesJSON(value: String) throws {
        let diagnostic = Diagnostic(.error, at: SourceLocation(file: value, line: 1, column: 2), setting: value, value: value, value)
        let text = Diagnostics(faults: [diagnostic, diagnostic], warnings: [diagnostic], isUnreadable: false).json
        let list = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [[String: Any]])
        #expect(list.count == 3)
        #expect(list[0]["file"] as? String == value)
        #expect(list[0]["message"] as? String == value)
        #expect(list[0]["line"] as? Int == 1)
        #expect(text.split(separator: "\n").count == 5)
    }

    @Test("No diagnostics are an empty JSON list")
    func writesEmptyJSON() {
        #expect(Diagnostics.json([]) == "[]")
    }

    @Test("A value is shown on one line, shortened, and without an address's password", arguments: [
        ("plain", "plain"), ("a\nb", "a\\u{a}b"), ("\u{1b}[31m", "\\u{1b}[31m"), ("a\u{202e}b", "a\\u{202e}b"),
        (String(repeating: "x", count: 81), String(repeating: "x", count: 80) + "…"), (String(repeating: "x", count: 80), String(repeating: "x", count: 80)),
        ("https://user:pass@example.com/x", "https://«secret»@example.com/x"), ("https://a@b@example.com", "https://«secret»@example.com"), ("user@example.com", "user@example.com"),
        (String(repeating: "x", count: 2000) + "://a@b", String(repeating: "x", count: 80) + "…"), ("\u{1b}[31m://a@b", "\\u{1b}[31m://«secret»@b"),
    ])
    func showsValues(value: String, shown: String) {
        #expect(Diagnostic(.error, at: SourceLocation(file: "", line: 1, column: 1), setting: "", value: value, "").value == shown)
    }

    @Test("No fault shows a secret, wherever it was written", arguments: FileFaultTests.cases + IdentityFaultTests.cases + KeyFaultTests.cases + UpstreamFaultTests.cases)
    func hidesSecrets(change: Change) {
        guard case .failure(let diagnostics) = change.result else { return }
        #expect(!diagnostics.description.contains("hunter2"))
        #expect(!diagnostics.json.contains("hunter2"))
    }

    @Test("A file that cannot be read is told apart from one that is wrong")
    func tellsUnreadableApart() {
        guard case .failure(let diagnostics) = Configuration.load(path: "/nowhere/g.yaml", surroundings: .memory([:])) else {
            Issue.record("There is no such file.")
            return
        }
        #expect(diagnostics.isUnreadable)
        #expect(diagnostics.description == "/nowhere/g.yaml: does not exist. Name the gateway's configuration file.")
        guard case .failure(let wrong) = Configuration.load(path: "g.yaml", surroundings: .memory(["g.yaml": "x: 1"])) else {
            Issue.record("The file lacks everything.")
            return
        }
        #expect(!wrong.isUnreadable)
    }

    @Test("Faults of several files come in the order of the files, then by line and column")
    func ordersFaults() {
        let process = Example.process.replacingFirst("[stage.yaml]", with: "[b.yaml, a.yaml]") + "limits: { fields: 1, nothing: 2 }\n"
        let stage = Example.stage.replacingFirst("upstream: service", with: "upstream: x")
        var files = Example.files(process: process, stage: stage)
        files["a.yaml"] = stage.replacingFirst("alpha.example.com", with: "beta.example.com").replacingFirst("stage: alpha", with: "stage: be ta")
        files["b.yaml"] = stage.replacingFirst("region: us-west-2", with: "region: x")
        guard case .failure(let diagnostics) = Configuration.load(path: "g.yaml", surroundings: .memory(files)) else {
            Issue.record("Every file has a fault.")
            return
        }
        #expect(diagnostics.faults.map { "\($0.location) \($0.setting)" } == [
            "g.yaml:5:19 limits.fields", "g.yaml:5:22 limits.nothing",
            "b.yaml:4:22 identity.cognito.region", "b.yaml:9:26 routes[0].upstream",
            "a.yaml:1:8 stage", "a.yaml:9:26 routes[0].upstream",
        ])
    }

    @Test("Two stages of one host, name or issuer are told apart by their places")
    func comparesStages() {
        var files = Example.files(process: Example.process.replacingFirst("[stage.yaml]", with: "[stage.yaml, other.yaml]"), stage: Example.stage)
        files["other.yaml"] = Example.stage
        guard case .failure(let diagnostics) = Configuration.load(path: "g.yaml", surroundings: .memory(files)) else {
            Issue.record("The stages are the same.")
            return
        }
        #expect(diagnostics.faults.map(\.description) == [
            "other.yaml:1:8: stage: alpha is the name of another stage (stage.yaml:1:8). Choose another.",
            "other.yaml:2:7: host: alpha.example.com is the host of stage alpha (stage.yaml:2:7). A host belongs to one stage.",
        ])
        #expect(diagnostics.warnings.map(\.description) == [
            "other.yaml:4:3: warning: identity: has the issuer of stage alpha, so that only their clients tell the two stages' tokens apart. Give each stage a user pool of its own.",
        ])
    }

    @Test("A token must fit into the field that carries it", arguments: [("9KiB", "8KiB", false), ("8KiB", "8KiB", true), ("17KiB", "16KiB", false)])
    func comparesTokenAndField(field: String, token: String, isFault: Bool) {
        let result = Configuration.load(path: "g.yaml", surroundings: .memory(Example.files(
            process: Example.process + "limits: { authorization_bytes: \(field) }\n",
            stage: Example.stage.replacingFirst("  clients:", with: "  token_bytes_max: \(token)\n  clients:")
        )))
        switch result {
        case .success: #expect(!isFault)
        case .failure(let diagnostics):
            #expect(isFault)
            #expect(diagnostics.faults.map(\.setting) == ["identity.token_bytes_max"])
        }
    }

    @Test("A file with thousands of faults reports the first thousand")
    func limitsFaults() {
        let stage = Example.stage + (0..<3000).map { "  - { path: bad\($0), respond: 404 }\n" }.joined()
        guard case .failure(let diagnostics) = Configuration.load(path: "g.yaml", surroundings: .memory(Example.files(process: Example.process, stage: stage))) else {
            Issue.record("Every route is wrong.")
            return
        }
        #expect(diagnostics.faults.count == 1000)
    }
}
