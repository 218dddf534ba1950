internal import Synchronization

/// Gives pairs of names numbers that stay theirs for the life of the process, so that loops count by number and a reload resets no count.
package final class SeriesNames: Sendable {
    /// Number 0 stands for no name, number 1 for all pairs that found no room.
    package static let none = 0
    package static let other = 1
    package static let countMax = 16_384

    private struct Pair: Hashable {
        let scope: String
        let name: String
    }

    private struct State {
        var pairs = [Pair(scope: "", name: ""), Pair(scope: "", name: "other")]
        var numbers: [Pair: Int] = [:]
    }

    private let state = Mutex(State())

    package init() {}

    /// The number of a pair: the same one each time.
    package func number(_ scope: String, _ name: String) -> Int {
        let pair = Pair(scope: scope, name: name)
        return state.withLock { state in
            if let number = state.numbers[pair] { return number }
            guard state.pairs.count < Self.countMax else { return Self.other }
            let number = state.pairs.count
            state.pairs.append(pair)
            state.numbers[pair] = number
            return number
        }
    }

    /// All pairs; their index is their number.
    package var all: [(scope: String, name: String)] { state.withLock { $0.pairs }.map { ($0.scope, $0.name) } }
}

/// The names that a process's metrics tell apart.
package struct MetricNames: Sendable {
    /// Stage and route; a stage's requests that no route matched have the route "".
    package let routes = SeriesNames()
    /// Stage and "".
    package let stages = SeriesNames()
    /// Stage and issuer.
    package let issuers = SeriesNames()
    /// Stage and upstream.
    package let upstreams = SeriesNames()

    package init() {}
}

/// The numbers of one stage in ``MetricNames``.
package struct StageSeries: Sendable, Equatable {
    package var stage = SeriesNames.none
    package var issuer = SeriesNames.none
    /// Requests that no route matched.
    package var unrouted = SeriesNames.none
    /// The login's own paths.
    package var login = SeriesNames.none

    package init() {}

    package init(stage: String, issuer: String, names: MetricNames) {
        self.stage = names.stages.number(stage, "")
        self.issuer = names.issuers.number(stage, issuer)
        unrouted = names.routes.number(stage, "")
        login = names.routes.number(stage, "/oauth2")
    }
}
