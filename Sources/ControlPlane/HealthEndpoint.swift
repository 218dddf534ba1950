internal import NIOCore
internal import Proxy

/// What `/livez` and `/readyz` say (E8). The port has no TLS, no PROXY protocol and no way to any route, so that an NLB can probe it.
struct HealthEndpoint {
    let readiness: Readiness
    let workers: WorkerSet

    func answer(_ request: LocalRequest, on loop: any EventLoop) -> EventLoopFuture<LocalAnswer> {
        readiness.probed(at: .now)
        switch request.path {
        case "/livez":
            // Every loop has to say so: one that hangs lets the probe time out.
            return workers.traffic(on: loop).map { _ in .text(200, "alive") }
        case "/readyz", "/healthz":
            let obstacle = readiness.obstacle
            return loop.makeSucceededFuture(.text(obstacle == nil ? 200 : 503, obstacle ?? "ready"))
        default:
            return loop.makeSucceededFuture(.text(404, "here are /livez and /readyz"))
        }
    }
}
