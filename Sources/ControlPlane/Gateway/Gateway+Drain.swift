internal import GatewayConfiguration
internal import Logging
internal import NIOCore
internal import NIOPosix
internal import Proxy
internal import Synchronization

extension Gateway {
    /// Stops without losing a request (A10): readiness fails first while connections are still accepted, every answer ends its connection, and
    /// after `accept_for` the listeners close and what is under way has `finish_for` to end. Where a successor accepts in this process's
    /// place, nothing fails and both times are there to finish in.
    package func drain() async {
        let (drain, isSucceeded, offer) = state.withLock { state in
            defer { state.offer = nil }
            return (state.loaded.configuration.drain, state.isSucceeded, state.offer)
        }
        if !isSucceeded { readiness.draining() }
        logger.notice("draining", metadata: ["accept_for": "\(drain.acceptFor)", "finish_for": "\(drain.finishFor)"])
        offer?.withdraw()
        if !isSucceeded { notification.send(.stopping("draining")) }
        workers.drain(over: TimeAmount(drain.acceptFor))
        // Who comes back meets the successor; without one not before the listeners are closed, so that it is another instance.
        if isSucceeded { workers.leaveTunnels(over: TimeAmount(drain.acceptFor)) }
        await waitWhileAccepting(drain, isSucceeded: isSucceeded)
        await ports.closeListeners()
        if !isSucceeded { workers.leaveTunnels(over: TimeAmount(drain.finishFor / 2)) }
        await wait(until: .now + drain.finishFor) { $0 == 0 }
        await tellHowItEnds()
        // A probe that this process has accepted at the last moment gets its answer; these connections are nobody's count.
        if isSucceeded { try? await Task.sleep(for: .milliseconds(500)) }
        await stop()
    }

    private func tellHowItEnds() async {
        guard let counters = try? await workers.counters(on: group.next()).get() else { return }
        guard counters.downstreamConnections > 0 else { return logger.notice("drained: nothing is under way any more") }
        logger.warning("drain.finish_for is over: what is not finished is cut", metadata: [
            "connections": "\(counters.downstreamConnections)", "requests": "\(counters.requests &- counters.ended)", "tunnels": "\(counters.openTunnels)",
        ])
    }

    private func waitWhileAccepting(_ drain: Configuration.Drain, isSucceeded: Bool) async {
        var patience = DrainPatience(quietFor: drain.quietFor)
        await wait(until: .now + drain.acceptFor) { [readiness, logger] connections in
            if isSucceeded { return connections == 0 }
            guard patience.isOver(connections: connections, lastProbe: readiness.lastProbe, now: .now) else { return false }
            logger.notice("the load balancer has left and no client is here: the drain ends early", metadata: ["quiet_for": "\(drain.quietFor)"])
            return true
        }
    }

    /// Looks at the number of client connections now and then, until there is nothing more to wait for.
    private func wait(until deadline: ContinuousClock.Instant, _ isOver: (_ connections: Int) -> Bool) async {
        while ContinuousClock.now < deadline, !Task.isCancelled {
            guard let counters = try? await workers.counters(on: group.next()).get(), !isOver(counters.downstreamConnections) else { return }
            try? await Task.sleep(for: min(.milliseconds(50), deadline - .now))
        }
    }

    /// Stops at once.
    package func stop() async {
        let (watcher, offer) = state.withLock { state in
            if !state.isSucceeded { state.adminSocket?.remove() }
            state.adminSocket = nil
            defer { (state.watcher, state.offer) = (nil, nil) }
            return (state.watcher, state.offer)
        }
        offer?.withdraw()
        await ports.closeListeners()
        watcher?.stop()
        custody.stop()
        discovery.stop()
        endpointHealth.stop()
        revocationFile.stop()
        workers.closeAll()
        client.shutdown()
        try? await group.shutdownGracefully()
        logWriter.stop()
    }
}
