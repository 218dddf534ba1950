internal import GatewayTerms

/// Why a request meets what it meets, as far as it can be told without sending it. It holds no token, cookie or query value.
package struct Explanation: Sendable, Equatable {
    package struct Candidate: Sendable, Equatable {
        package let route: String
        package let methods: String
        package let isChosen: Bool
        /// Why it was taken, or why it lost.
        package let reason: String
    }

    package struct Step: Sendable, Equatable {
        package enum Outcome: String, Sendable { case passed, failed, notReached = "not reached", note }

        package let name: String
        package let outcome: Outcome
        package let value: String

        package init(_ name: String, _ outcome: Outcome, _ value: String) { (self.name, self.outcome, self.value) = (name, outcome, value) }
    }

    package struct Forwarding: Sendable, Equatable {
        package let upstream: String
        package let endpoints: [String]
        /// What the upstream sees, without the query.
        package let path: String
    }

    package struct Answer: Sendable, Equatable {
        /// `nil`: the upstream decides.
        package let status: Int?
        package let code: String
        package let message: String

        package init(status: Int?, code: String, message: String) { (self.status, self.code, self.message) = (status, code, message) }
    }

    package var method: String
    package var host: String
    /// Of the configuration that decided.
    package var version: String
    package var stage: String?
    /// `nil` where the path was refused.
    package var path: String?
    /// How it differs from what was asked for.
    package var pathNote = ""
    package var candidates: [Candidate] = []
    package var steps: [Step] = []
    package var forwarding: Forwarding?
    package var answer: Answer

    // MARK: Text

    package var text: String {
        var lines = ["\(method) \(host)\(path ?? "")  (configuration \(version))"]
        func line(_ title: String, _ text: String) { lines.append("  " + title.padded(to: 12) + text) }
        line("stage", stage ?? "none")
        line("path", path.map { $0 + (pathNote.isEmpty ? "" : " (\(pathNote))") } ?? "refused: \(answer.code)")
        for candidate in candidates { line(candidate.isChosen ? "route" : "not", "\(candidate.route)\(candidate.methods.isEmpty ? "" : " [\(candidate.methods)]"): \(candidate.reason)") }
        for step in steps {
            let outcome = step.outcome == .note ? "" : step.outcome.rawValue
            line(step.name, [outcome, step.value].filter { !$0.isEmpty }.joined(separator: ": "))
        }
        if let forwarding { line("upstream", "\(forwarding.upstream) (\(forwarding.endpoints.joined(separator: ", "))), as \(forwarding.path)") }
        line("answer", answer.status.map { "\($0) \(answer.code): \(answer.message)" } ?? answer.message)
        return lines.joined(separator: "\n")
    }

    // MARK: JSON

    package var json: String {
        JSONText.object { object in
            object.member("method", method)
            object.member("host", host)
            object.member("config_version", version)
            object.member("stage", stage)
            object.member("path", path)
            object.member("path_note", pathNote.isEmpty ? nil : pathNote)
            object.member("candidates", json: Self.array(candidates) { candidate in
                JSONText.object { object in
                    object.member("route", candidate.route)
                    object.member("methods", candidate.methods.isEmpty ? nil : candidate.methods)
                    object.member("chosen", json: candidate.isChosen ? "true" : "false")
                    object.member("reason", candidate.reason)
                }
            })
            object.member("steps", json: Self.array(steps) { step in
                JSONText.object { object in
                    object.member("step", step.name)
                    object.member("outcome", step.outcome.rawValue)
                    object.member("value", step.value)
                }
            })
            object.member("upstream", json: forwarding.map { forwarding in
                JSONText.object { object in
                    object.member("name", forwarding.upstream)
                    object.member("endpoints", forwarding.endpoints)
                    object.member("path", forwarding.path)
                }
            } ?? "null")
            object.member("answer", json: JSONText.object { object in
                object.member("status", json: answer.status.map(String.init) ?? "null")
                object.member("code", answer.code)
                object.member("message", answer.message)
            })
        }
    }

    private static func array<Item>(_ items: [Item], _ json: (Item) -> String) -> String { "[" + items.map(json).joined(separator: ",") + "]" }
}

extension String {
    fileprivate func padded(to width: Int) -> String { self + String(repeating: " ", count: max(1, width - count)) }
}
