internal import GatewayTerms

/// What a recorded access log would meet under another configuration, counted.
package struct ReplayReport: Sendable, Equatable {
    package struct Group: Sendable, Equatable {
        package let stage: String
        package let method: String
        package let was: String
        package let becomes: String
        /// `nil`: it is sure.
        package let dependsOn: String?
        package fileprivate(set) var count: Int
        /// The path of the first such request.
        package let example: String
    }

    package internal(set) var requests = 0
    package internal(set) var same = 0
    package internal(set) var changed = 0
    package internal(set) var depends = 0
    /// Lines of other kinds, and of requests whose head nobody could read.
    package internal(set) var otherLines = 0
    /// Lines that are no lines of an access log.
    package internal(set) var badLines = 0
    /// Requests of kinds beyond the first thousand, which have no group.
    package private(set) var ungrouped = 0
    private var groups: [Key: Group] = [:]

    private struct Key: Hashable, Sendable {
        let stage, method, was, becomes: String
        let dependsOn: String?
    }

    static let groupsMax = 1000

    mutating func add(_ logged: LoggedRequest, stage: String?, _ verdict: ReplayVerdict) {
        requests += 1
        switch verdict {
        case .same: same += 1
        case .changes(let becomes):
            changed += 1
            add(logged, stage, becomes, nil)
        case .depends(let what, let becomes):
            depends += 1
            add(logged, stage, becomes, what)
        }
    }

    private mutating func add(_ logged: LoggedRequest, _ stage: String?, _ becomes: String, _ dependsOn: String?) {
        let key = Key(stage: logged.stage ?? stage ?? "", method: logged.method, was: logged.outcome, becomes: becomes, dependsOn: dependsOn)
        if groups[key] != nil { groups[key]?.count += 1 } else if groups.count < Self.groupsMax {
            groups[key] = Group(stage: key.stage, method: key.method, was: key.was, becomes: becomes, dependsOn: dependsOn, count: 1, example: logged.path)
        } else { ungrouped += 1 }
    }

    /// The most frequent first.
    package var sorted: [Group] {
        groups.values.sorted { ($1.count, $0.stage, $0.method, $0.was, $0.becomes) < ($0.count, $1.stage, $1.method, $1.was, $1.becomes) }
    }

    package var text: String {
        var lines = ["Replayed \(requests) request\(requests == 1 ? "" : "s"): \(same) as before, \(changed) would change, \(depends) depend on what the log does not tell"]
        for group in sorted {
            let stage = group.stage.isEmpty ? "" : group.stage + " "
            lines.append("  \(group.count) × \(stage)\(group.method): \(group.was) → \(group.dependsOn.map { "depends on \($0); if it passes, " } ?? "")\(group.becomes), as \(JSONText.quoted(group.example))")
        }
        if ungrouped > 0 { lines.append("  \(ungrouped) more of other kinds") }
        if badLines > 0 { lines.append("  \(badLines) line\(badLines == 1 ? "" : "s") could not be read") }
        return lines.joined(separator: "\n")
    }

    package var json: String {
        JSONText.object { object in
            object.member("requests", requests)
            object.member("same", same)
            object.member("changed", changed)
            object.member("depends", depends)
            object.member("other_lines", otherLines)
            object.member("bad_lines", badLines)
            object.member("ungrouped", ungrouped)
            object.member("groups", json: "[" + sorted.map { group in
                JSONText.object { object in
                    object.member("count", group.count)
                    object.member("stage", group.stage)
                    object.member("method", group.method)
                    object.member("was", group.was)
                    object.member("becomes", group.becomes)
                    object.member("depends_on", group.dependsOn)
                    object.member("example", group.example)
                }
            }.joined(separator: ",") + "]")
        }
    }
}
