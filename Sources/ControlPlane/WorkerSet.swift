internal import Authentication
internal import GatewayTerms
internal import NIOCore
internal import Proxy
internal import Synchronization

/// The way from the control plane to the loops: orders are immutable values, handed to each loop to be taken up between two events.
final class WorkerSet: Sendable {
    private let workers = Mutex<[NIOLoopBound<Worker>]>([])

    func add(_ worker: NIOLoopBound<Worker>) { workers.withLock { $0.append(worker) } }

    var all: [NIOLoopBound<Worker>] { workers.withLock { $0 } }

    /// - Parameter old: what `snapshot` takes the place of. It is held here until every loop has let go of it: to free the tables of ten
    ///   thousand routes is no loop's work. What exchanges under way still hold, the last of them frees.
    func publish(_ snapshot: Snapshot, inPlaceOf old: Snapshot?) {
        let taken = all.map { worker in worker.eventLoop.submit { worker.value.publish(snapshot) } }
        Task {
            for each in taken { try? await each.get() }
            withExtendedLifetime(old) {}
        }
    }

    func publish(_ keySets: KeySets) { order { $0.publish(keySets) } }
    func publish(_ keyRing: KeyRing) { order { $0.publish(keyRing) } }
    func publish(_ discovered: [LoginSurroundings.Discovered]) { order { $0.publish(discovered) } }
    func publish(_ revocation: Revocation) { order { $0.publish(revocation) } }
    func renewed(login: String, until end: WallTime) { order { $0.renewed(login: login, until: end) } }
    func publish(unhealthy: Set<String>) { order { $0.publish(unhealthy: unhealthy) } }
    func drain(over window: TimeAmount) { order { $0.drain(over: window) } }
    func leaveTunnels(over window: TimeAmount) { order { $0.leaveTunnels(over: window) } }
    func closeAll() { order { $0.closeAll() } }

    /// The sum over all loops, on `loop`. It comes only when every loop answers.
    func counters(on loop: any EventLoop) -> EventLoopFuture<Counters> {
        let readings = all.map { worker in worker.eventLoop.submit { worker.value.readCounters() } }
        return EventLoopFuture.reduce(Counters(), readings, on: loop) { $0 + $1 }
    }

    /// The same of what each loop says of itself.
    func read(on loop: any EventLoop) -> EventLoopFuture<WorkerReading> {
        let readings = all.map { worker in worker.eventLoop.submit { worker.value.read() } }
        return EventLoopFuture.reduce(WorkerReading(), readings, on: loop) { $0 + $1 }
    }

    func traffic(on loop: any EventLoop) -> EventLoopFuture<TrafficReading> {
        let readings = all.map { worker in worker.eventLoop.submit { worker.value.readTraffic() } }
        return EventLoopFuture.reduce(TrafficReading(), readings, on: loop) { $0 + $1 }
    }

    private func order(_ body: @escaping @Sendable (Worker) -> Void) {
        for worker in all { worker.eventLoop.execute { body(worker.value) } }
    }
}
