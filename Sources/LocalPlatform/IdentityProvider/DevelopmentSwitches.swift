internal import Synchronization

/// What tests and a curious developer can turn while the provider runs, and what it has counted since its start.
final class DevelopmentSwitches: Sendable {
    struct Counters: Sendable, Equatable {
        /// Requests to the token endpoint, whatever they asked for and got; `refreshes` are those that asked to refresh.
        var tokenRequests: Int64 = 0
        var refreshes: Int64 = 0
        var keySetFetches: Int64 = 0
        var discoveryFetches: Int64 = 0
        var authorizations: Int64 = 0
        var revocations: Int64 = 0
        var refusedByOutage: Int64 = 0
    }

    private struct State {
        var counters = Counters()
        /// Wall time in milliseconds; until then everything but `/development` answers 503.
        var outageEnds: Int64 = 0
        var tokenDelayMilliseconds: Int64
    }

    private let state: Mutex<State>

    init(tokenDelayMilliseconds: Int64) { state = Mutex(State(tokenDelayMilliseconds: tokenDelayMilliseconds)) }

    var counters: Counters { state.withLock(\.counters) }
    func count(_ counter: WritableKeyPath<Counters, Int64>) { state.withLock { $0.counters[keyPath: counter] += 1 } }

    var tokenDelayMilliseconds: Int64 {
        get { state.withLock(\.tokenDelayMilliseconds) }
        set { state.withLock { $0.tokenDelayMilliseconds = newValue } }
    }

    func beginOutage(until end: Int64) { state.withLock { $0.outageEnds = end } }
    func isOut(at milliseconds: Int64) -> Bool { state.withLock { milliseconds < $0.outageEnds } }
}
