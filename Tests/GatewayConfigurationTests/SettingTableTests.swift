import GatewayConfiguration
import Testing

@Suite struct SettingTableTests {
    @Test("No two rows have one path, and every row stands in a section that is a row itself")
    func isATree() {
        let paths = SettingTable.all.map(\.path)
        #expect(Set(paths).count == paths.count)
        let sections = Set(paths)
        for row in SettingTable.all where !row.parent.isEmpty && row.parent != "stage" {
            var parent = row.parent
            if parent.hasSuffix("[]") { parent.removeLast(2) }
            if parent.hasSuffix(".*") { parent.removeLast(2) }
            #expect(sections.contains(parent) || parent.hasSuffix(".client_address"), "\(row.path) stands in no section")
        }
    }

    @Test("Rows of a stage's file, and only they, begin with stage.")
    func splitsFiles() {
        #expect(SettingTable.stage.allSatisfy { $0.path.hasPrefix("stage.") })
        #expect(SettingTable.process.allSatisfy { !$0.path.hasPrefix("stage.") })
    }

    @Test("Every row says in a sentence what it is for, and what it takes", arguments: SettingTable.all.map(\.path))
    func isDocumented(path: String) throws {
        let row = try #require(SettingTable.all.first { $0.path == path })
        #expect(row.sentence.hasSuffix("."))
        #expect(row.sentence.first?.isUppercase == true || row.sentence.hasPrefix("PEM"))
        #expect(!row.allowed.isEmpty)
        #expect(row.comment.count == 2)
    }

    @Test("Every default is what its own row allows: written out, it changes nothing", arguments: SettingTable.all.filter { $0.defaultText != nil }.map(\.path))
    func acceptsItsDefaults(path: String) throws {
        let row = try #require(SettingTable.all.first { $0.path == path })
        let text = try #require(row.defaultText)
        let key = row.key
        let value = text.hasPrefix("[") && !text.hasPrefix("[::") ? text : "\"\(text)\""
        var (process, stage) = (Example.process, Example.stage)
        switch row.parent {
        case "stage": stage += "\(key): \(value)\n"
        case "": process += "\(key): \(value)\n"
        case "listeners[]": process = process.replacingFirst("stages:", with: "    \(key): \(value)\nstages:")
        case "listeners[].tls": process = process.replacingFirst("key.pem }] }", with: "key.pem }], \(key): \(value) }")
        case "stage.policy": stage += "policy: { \(key): \(value) }\n"
        case "stage.identity": stage = key == "clients" ? stage : stage.replacingFirst("  clients:", with: "  \(key): \(value)\n  clients:")
        case "stage.identity.clients[]": stage = stage.replacingFirst("name: command-line }", with: "name: command-line, \(key): \(value) }")
        case "stage.upstreams.*": stage = stage.replacingFirst(":8080\"] }", with: ":8080\"], \(key): \(value) }")
        case "stage.upstreams.*.health": stage = stage.replacingFirst(":8080\"] }", with: ":8080\"], health: { path: /ping, \(key): \(value) } }")
        case "stage.routes[]": stage = stage.replacingFirst("credentials: [bearer] }", with: "credentials: [bearer], \(key): \(value) }")
        case "stage.routes[].redirect": stage = stage.replacingFirst("routes:", with: "routes:\n  - { path: /old, redirect: { to: /new, \(key): \(value) } }")
        case "stage.command_line_api": stage = Example.serving + "command_line_api: { \(key): \(value) }\n"
        default: process += "\(row.parent): { \(key): \(value) }\n"
        }
        let loaded = try Configuration.load(path: "g.yaml", surroundings: .memory(Example.files(process: process, stage: stage))).get()
        #expect(loaded.warnings == [])
        if row.parent != "stage.upstreams.*.health", row.parent != "stage.routes[].redirect" {
            let plainStage = row.parent == "stage.command_line_api" ? Example.serving : Example.stage
            let plain = try Configuration.load(path: "g.yaml", surroundings: .memory(Example.files(process: Example.process, stage: plainStage))).get()
            #expect(loaded.configuration == plain.configuration)
        }
    }
}
