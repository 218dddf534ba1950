import ConfigurationJudgement
import GatewayConfiguration
import Testing

@Suite("What an operator has to approve")
struct JudgementTests {
    private static let debug = routes("{ path: /debug, upstream: ui, public: \"debugging\" }")
    private static func approving(_ sentences: String...) -> Pair.Edit {
        "policy: { groups: [science, operators]" => "approve: [\(sentences.map(Judgement.quoted).joined(separator: ", "))]\npolicy: { groups: [science, operators]"
    }

    private func judge(_ edits: Pair.Edit..., before: [Pair.Edit] = []) throws -> Judgement {
        try Judgement(of: Pair.load(before + edits), against: Pair.load(before))
    }

    @Test("A weaker change without approval is a fault with its place, its sentence and the line that approves it") func refuses() throws {
        let fault = try #require(try judge(Self.debug).faults.first)
        #expect(fault.description == """
            alpha.yaml:24:5: routes[9]: alpha: /debug becomes public, which is weaker than what was accepted last. If that is meant, add to alpha.yaml: \
            approve: ["/debug becomes public"]
            """)
    }

    @Test("An approval that names exactly that change lets it pass, and warns of nothing") func approves() throws {
        let judgement = try judge(Self.debug, Self.approving("/debug becomes public"))
        #expect(judgement.refused.isEmpty)
        #expect(judgement.warnings.isEmpty)
        #expect(judgement.changes.count == 1)
    }

    @Test("An approval may be folded over lines, and no other difference is forgiven", arguments: [
        ("/debug   becomes  public", true), ("/debug becomes public.", false), ("/Debug becomes public", false), ("/debug", false), ("becomes public", false),
    ])
    func exactly(approval: String, isEnough: Bool) throws {
        let edit = "policy: { groups: [science, operators]" => "approve: [\"\(approval)\"]\npolicy: { groups: [science, operators]"
        let judgement = try judge(Self.debug, edit)
        #expect(judgement.refused.isEmpty == isEnough)
        #expect(judgement.warnings.isEmpty == isEnough)
    }

    @Test("An approval covers one change and no other") func others() throws {
        let judgement = try judge(Self.debug, Self.approving("/debug becomes public"), "[login_session, bearer] }" => "[login_session, bearer, api_key] }")
        #expect(judgement.refused.map(\.description) == ["alpha: /api now takes api_key too"])
    }

    @Test("An approval that approves nothing, because its change is live, is a warning at its place") func unused() throws {
        let judgement = try judge(before: [Self.debug, Self.approving("/debug becomes public")])
        #expect(judgement.changes.isEmpty)
        let warning = try #require(judgement.warnings.first)
        #expect((warning.location.file, warning.setting, warning.value) == ("alpha.yaml", "approve[0]", "/debug becomes public"))
        #expect(warning.message.contains("approves nothing"))
    }

    @Test("A change of the process's part is approved in gateway.yaml, one of a stage in its file") func files() throws {
        let weaker = "minimum_version: \"1.3\"" => "minimum_version: \"1.2\""
        let sentence = "listener 127.0.0.1:8443 speaks TLS 1.2 too"
        #expect(try judge(weaker, "stages:" => "approve: [\(Judgement.quoted(sentence))]\nstages:").refused.isEmpty)
        #expect(try judge(weaker, Self.approving(sentence)).refused.count == 1)
    }

    @Test("Stronger and neutral changes need nobody's word") func passes() throws {
        let judgement = try judge("policy: { groups: [operators] }" => "policy: { groups: [operators], scopes: [a] }", routes("{ path: /new, upstream: ui, credentials: [bearer] }"))
        #expect(judgement.changes.count == 2)
        #expect(judgement.refused.isEmpty)
    }

    @Test("Undoing a change in the other direction is judged in that direction") func undoing() throws {
        let pair = Pair("", Self.debug, expect: [])
        #expect(try Judgement(of: pair.old, against: pair.new).changes.map { "\($0.effect.rawValue) \($0)" } == ["stronger alpha: /debug is no longer served"])
    }

    @Test("A configuration is compared where none of its secrets, keys and certificates are, and is not served without them") func texts() throws {
        let texts = ["g.yaml": Pair.process, "alpha.yaml": Pair.stage].map { ConfigurationText(path: $0.key, bytes: Array($0.value.utf8)) }
        #expect((try? Configuration.load(path: "g.yaml", surroundings: .texts(texts)).get()) != nil)
        var served = Surroundings.texts(texts)
        served.examinesReferences = true
        #expect((try? Configuration.load(path: "g.yaml", surroundings: served).get()) == nil)
    }
}

@Suite("What everybody reaches")
struct PublicSurfaceTests {
    @Test("Public routes with their reason, the gateway's own answers, the command-line API, the login") func lists() throws {
        let entries = PublicSurface(of: try Pair.load([])).entries
        #expect(entries.map { "\($0.path) \($0.target)" } == [
            "/cli service command-line-api", "/api/metadata/auth/token answer 404", "/static upstream ui", "/old redirect to /new", "/oauth2 login",
        ])
        #expect(entries[2].reason == "pictures")
        #expect(entries.allSatisfy { $0.stage == "alpha" && $0.host == "alpha.example.com" && $0.methods.isEmpty })
    }

    @Test("A public route says for which methods it is") func methods() throws {
        let entries = PublicSurface(of: try Pair.load([routes("{ path: /api, methods: [HEAD, GET], upstream: ui, public: \"x\" }")])).entries
        #expect(entries.first { $0.path == "/api" }?.methods == ["GET", "HEAD"])
    }
}
