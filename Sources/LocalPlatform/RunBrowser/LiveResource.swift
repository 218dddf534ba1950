/// What a subscriber of `/ws` may follow, by the names that Metaflow's UI uses.
enum LiveResource: Sendable, Equatable, Hashable {
    /// `/runs`, and `/flows/{flow}/runs`.
    case runs(flow: String?)
    /// `/flows/{flow}/runs/{run}`.
    case run(flow: String, run: String)
    /// `/flows/{flow}/runs/{run}/tasks`.
    case tasks(flow: String, run: String)

    /// Nothing for a path that nobody can follow. What is behind a `?` orders and filters the UI's lists and is left out.
    init?(_ path: String) {
        let parts = path.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)[0].split(separator: "/", omittingEmptySubsequences: false)
            .dropFirst().map { PercentText.decoded($0) }
        guard !parts.contains("") else { return nil }
        switch (parts.count, parts.first) {
        case (1, "runs"): self = .runs(flow: nil)
        case (3, "flows") where parts[2] == "runs": self = .runs(flow: parts[1])
        case (4, "flows") where parts[2] == "runs": self = .run(flow: parts[1], run: parts[3])
        case (5, "flows") where parts[2] == "runs" && parts[4] == "tasks": self = .tasks(flow: parts[1], run: parts[3])
        default: return nil
        }
    }
}

/// One thing that a subscriber is told of.
struct LiveRow: Sendable, Equatable {
    /// Tells it from the resource's other rows.
    var name: String
    /// When it began, in milliseconds.
    var since: Int64
    var json: JSON
}
