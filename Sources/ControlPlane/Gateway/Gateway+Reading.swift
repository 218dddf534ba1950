internal import GatewayConfiguration
internal import GatewayTerms
internal import Glibc
internal import NIOCore
internal import Proxy

extension Gateway {
    /// What it knows of itself now; every loop has its say.
    func read(on loop: any EventLoop) -> EventLoopFuture<GatewayReading> {
        loop.makeFutureWithTask { self.reading(try await self.workers.read(on: loop).get()) }
    }

    private func reading(_ worker: WorkerReading) -> GatewayReading {
        let configuration = configuration
        let now = ContinuousClock.now
        return GatewayReading(
            at: .current, uptime: started.duration(to: now), processID: getpid(), worker: worker,
            window: traffic.window(to: TrafficReading(worker.counters), at: now), reloads: reloads.reading, upstreams: upstreams(worker),
            keySets: custody.readings, logins: loginProvider.counts, endedLogins: endedLogins.endedCount, revocationEntries: endedLogins.entryCount, revocationFile: revocationFile.report,
            certificates: certificates, obstacle: readiness.obstacle, isDraining: readiness.isDraining, configurationPath: path, logLevel: logLevel,
            listeners: configuration.listeners.map(\.address.value.description), process: .current())
    }

    private func upstreams(_ worker: WorkerReading) -> [GatewayReading.Upstream] {
        let names = names.upstreams.all
        var upstreams: [GatewayReading.Upstream] = []
        var places: [Int: Int] = [:]
        for reading in worker.endpoints {
            let place = places[reading.upstream] ?? upstreams.count
            if place == upstreams.count {
                places[reading.upstream] = place
                let name = reading.upstream < names.count ? names[reading.upstream] : ("", "other")
                upstreams.append(GatewayReading.Upstream(stage: name.0, name: name.1, endpoints: []))
            }
            upstreams[place].endpoints.append(GatewayReading.Upstream.Endpoint(
                name: reading.endpoint, active: reading.active, idle: reading.idle, pending: reading.pending, isUnhealthy: reading.isUnhealthy,
                isEjected: reading.ejections > 0 && reading.ejections == worker.loops))
        }
        return upstreams
    }
}
