import GatewayConfiguration
import Testing

/// What is too large, too deep or too clever is refused before it costs anything.
@Suite struct LimitTests {
    private static func faults(process: String = Example.process, stage: String = Example.stage) -> [String] {
        switch Configuration.load(path: "g.yaml", surroundings: .memory(Example.files(process: process, stage: stage))) {
        case .success: []
        case .failure(let diagnostics): diagnostics.faults.map(\.description)
        }
    }

    private static func stage(routes: Int) -> String {
        Example.stage + (1..<routes).map { "  - { path: /flow\($0), upstream: service, credentials: [bearer], strip_prefix: true }\n" }.joined()
    }

    @Test("Ten thousand routes are read, and one more is refused")
    func limitsRoutes() {
        #expect(Self.faults(stage: Self.stage(routes: 10_000)) == [])
        #expect(Self.faults(stage: Self.stage(routes: 10_001)) == ["stage.yaml:9:3: routes: has 10001 items. It takes a list of 1…10000 mappings."])
    }

    @Test("A file over 4 MiB is refused unread")
    func limitsBytes() {
        let padding = String(repeating: "# ....................................\n", count: 110_000)
        #expect(Self.faults(process: Example.process + padding) == ["g.yaml: is larger than 4096 KiB. Name the gateway's configuration file."])
        #expect(Self.faults(stage: Example.stage + padding) == ["g.yaml:4:10: stages[0]: stage.yaml is larger than 4096 KiB. Name a stage's file, relative to this one."])
    }

    @Test("Nesting beyond a thousand levels is refused", arguments: ["[", "{a: ", "- "])
    func limitsNesting(opening: String) {
        let faults = Self.faults(process: "listeners: \n  " + String(repeating: opening, count: 100_000))
        #expect(faults.count == 1)
        #expect(faults.first?.hasPrefix("g.yaml:2:") == true)
    }

    @Test("Aliases that would grow a billionfold are refused before they grow", arguments: [
        "a: &a [x, x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a]\nc: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b]\nd: &d [*c, *c, *c, *c, *c, *c, *c, *c, *c]\ne: [*d, *d]\n",
        "a: &a {b: c}\n? {*a : *a}\n: x\n",
        "a: &a\n  - 1\nb: *a\n",
        "- &a 1\n- *a\n",
        "[&a 1, *a]\n",
    ])
    func refusesAliases(text: String) {
        let faults = Self.faults(process: text)
        #expect(!faults.isEmpty)
        #expect(faults.allSatisfy { $0.contains("an alias stands here") })
    }

    @Test("A star or an ampersand inside a text is no alias", arguments: [
        "\"a * b & c\"", "a*b", "\"*a\"", "'see *this*'", "\"R&D\"",
    ])
    func acceptsStars(reason: String) {
        let stage = Example.stage.replacingFirst("upstream: service, credentials: [bearer] }", with: "upstream: service, public: \(reason) }")
        #expect(Self.faults(stage: stage) == [])
    }

    @Test("Bytes that are not UTF-8 are refused with their place", arguments: [
        (Array("log: { level: in".utf8) + [0xff] + Array("fo }\n".utf8), "g.yaml:1:17"), ([0xc0, 0x80], "g.yaml:1:1"), (Array("a: b\né: ".utf8) + [0xed, 0xa0, 0x80], "g.yaml:2:4"),
        (Array("a: é\n".utf8).dropLast(2) + [10], "g.yaml:1:4"),
    ] as [([UInt8], String)])
    func refusesInvalidText(bytes: [UInt8], place: String) {
        guard case .failure(let diagnostics) = Configuration.load(path: "g.yaml", surroundings: .memory(files: ["g.yaml": bytes])) else {
            Issue.record("The bytes are no text.")
            return
        }
        #expect(diagnostics.faults.map(\.description) == ["\(place): a byte here is not UTF-8. Save the file as UTF-8."])
    }

    @Test("A byte order mark and line ends of other systems change nothing", arguments: ["\r\n", "\n"])
    func acceptsOtherSystems(end: String) {
        let text = "\u{feff}" + Example.process.split(separator: "\n", omittingEmptySubsequences: false).joined(separator: end)
        #expect(Self.faults(process: text) == [])
    }

    @Test("Texts cut, doubled and mixed at random are refused or accepted, and never trap", arguments: 0..<40)
    func survivesMutation(seed: UInt64) {
        var random = SplitMix(state: seed)
        let sources = [Example.process, Example.stage, "a: &x [1]\n", "? {a: b}\n", "\"\\u0041\\x00\"", "|\n  x\n", "!!int 3", "---\n...\n", "\u{e000}: \u{e001}\n"].map { Array($0.utf8) }
        for _ in 0..<100 {
            var process = sources[0], stage = sources[1]
            for _ in 0..<Int(random.next() % 6 + 1) {
                random.mutate(&process, with: sources)
                random.mutate(&stage, with: sources)
            }
            var files = Example.files.mapValues { Array($0.utf8) }
            files["g.yaml"] = random.next() % 2 == 0 ? process : sources[0]
            files["stage.yaml"] = stage
            if case .failure(let diagnostics) = Configuration.load(path: "g.yaml", surroundings: .memory(files: files)) {
                #expect(!diagnostics.faults.isEmpty)
                #expect(diagnostics.faults.allSatisfy { !$0.message.isEmpty && $0.location.line >= 0 })
            }
        }
    }
}

/// A seeded generator (Steele, Lea and Flood, 2014), so that a failure can be repeated.
private struct SplitMix {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }

    mutating func mutate(_ bytes: inout [UInt8], with sources: [[UInt8]]) {
        let place = bytes.isEmpty ? 0 : Int(next() % UInt64(bytes.count))
        switch next() % 5 {
        case 0: if !bytes.isEmpty { bytes.remove(at: place) }
        case 1: bytes.insert(UInt8(truncatingIfNeeded: next()), at: place)
        case 2: bytes.insert(contentsOf: sources[Int(next() % UInt64(sources.count))], at: place)
        case 3: bytes.removeSubrange(place..<min(bytes.count, place + Int(next() % 20)))
        default: if !bytes.isEmpty { bytes[place] = Array(":,[]{}\"'#&*!|>-? \n\t".utf8)[Int(next() % 19)] }
        }
    }
}
