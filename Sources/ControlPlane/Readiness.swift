internal import Synchronization

/// Whether this process should get new connections: what `/readyz` says, and why not (E8, A10).
package final class Readiness: Sendable {
    private struct State {
        var isServing = false
        var isDraining = false
        /// Issuers whose keys have never been seen, until the wait for them is over.
        var awaitedIssuers: Set<String> = []
        var lastProbe: ContinuousClock.Instant?
    }

    private let state = Mutex(State())

    package init() {}

    /// Only a start waits for them: a reload must not take an instance that serves away from its load balancer.
    package func awaitKeys(of issuers: some Sequence<String>) {
        state.withLock { state in
            guard !state.isServing else { return }
            state.awaitedIssuers.formUnion(issuers)
        }
    }
    package func keysArrived(of issuer: String) { state.withLock { _ = $0.awaitedIssuers.remove(issuer) } }
    /// The ten seconds of C5 are over: routes without keys answer 503, the others serve.
    package func stopAwaitingKeys() { state.withLock { $0.awaitedIssuers = [] } }
    package func serving() { state.withLock { $0.isServing = true } }
    package func draining() { state.withLock { $0.isDraining = true } }

    /// The health port was asked.
    package func probed(at time: ContinuousClock.Instant) { state.withLock { $0.lastProbe = time } }
    package var lastProbe: ContinuousClock.Instant? { state.withLock { $0.lastProbe } }
    package var awaitsKeys: Bool { state.withLock { !$0.awaitedIssuers.isEmpty } }
    package var isDraining: Bool { state.withLock { $0.isDraining } }

    /// `nil` when ready, otherwise the reason.
    package var obstacle: String? {
        state.withLock { state in
            if state.isDraining { return "draining" }
            if !state.isServing { return "starting" }
            return state.awaitedIssuers.isEmpty ? nil : "no key set yet of \(state.awaitedIssuers.sorted().joined(separator: ", "))"
        }
    }
}
