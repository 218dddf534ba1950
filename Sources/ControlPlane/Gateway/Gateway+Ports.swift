internal import GatewayConfiguration
internal import NIOCore
internal import NIOPosix
internal import Proxy
internal import Synchronization

extension Gateway {
    func openPorts(_ configuration: Configuration) async throws(StartFault) {
        for (index, listener) in configuration.listeners.enumerated() { try await ports.listen(on: listener.address.value, index, workers) }
        let health = HealthEndpoint(readiness: readiness, workers: workers)
        try await ports.openLocal("health.address", .health, configuration.health.address.value) { health.answer($0, on: $1) }
        if let address = configuration.admin.metricsAddress {
            let metrics = MetricsExposition(gateway: self)
            try await ports.openLocal("admin.metrics_address", .metrics, address.value) { metrics.answer($0, on: $1) }
        }
        try await openAdmin(configuration.admin.socket.value)
        keepHistory()
        readiness.serving()
        let readiness = readiness
        // C5: routes without keys answer 503 from then on, the others must not wait for them.
        group.next().scheduleTask(in: .seconds(10)) { readiness.stopAwaitingKeys() }
    }

    private func openAdmin(_ path: String) async throws(StartFault) {
        let service = AdminService(gateway: self)
        let socket = try await ports.openAdmin(path, bodyBytesMax: AdminService.bodyBytesMax) { service.answer($0, on: $1) }
        state.withLock { $0.adminSocket = socket }
    }

    /// A predecessor serves meanwhile, so that nobody needs to meet a gateway without keys.
    func awaitKeys() async {
        let deadline = ContinuousClock.now + .seconds(10)
        while readiness.awaitsKeys, ContinuousClock.now < deadline { try? await Task.sleep(for: .milliseconds(20)) }
    }
}
