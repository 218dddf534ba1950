/// When a drain may end before its time: the load balancer has stopped asking and every client has gone (A10).
package struct DrainPatience {
    /// So long neither a probe nor a client.
    let quietFor: Duration
    private var emptySince: ContinuousClock.Instant?

    package init(quietFor: Duration) { self.quietFor = quietFor }

    /// - Parameter lastProbe: of the health port. Where none has ever come nobody can tell when the load balancer has left.
    package mutating func isOver(connections: Int, lastProbe: ContinuousClock.Instant?, now: ContinuousClock.Instant) -> Bool {
        guard connections == 0 else {
            emptySince = nil
            return false
        }
        let since = emptySince ?? now
        emptySince = since
        guard let lastProbe else { return false }
        return now - max(since, lastProbe) >= quietFor
    }
}
