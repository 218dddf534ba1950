internal import GatewayTerms
internal import NIOCore
internal import NIOPosix
internal import TLS

/// The connections of one event loop to one endpoint: acts on what ``ConnectionPool`` decides.
final class EndpointPool {
    let endpoint: Endpoint
    private let worker: Worker
    private var machine: ConnectionPool
    /// By number.
    private var connections: [UpstreamConnection?] = []
    private var waiting: [ConnectionPool.Request: ExchangeDriver] = [:]
    private var nextRequest = 0
    private let connectTimeout: TimeAmount
    private let idleTimeout: TimeAmount
    private let keepsAlive: Bool
    /// Dials that failed in a row; what passive ejection counts.
    private(set) var failuresInARow = 0
    private var ejectedUntil: NIODeadline?

    /// Failed dials after which the endpoint is left alone for a while, and for how long, times the number of failures.
    private static let ejectAfter = 3
    private static let ejection = TimeAmount.seconds(2)
    private static let ejectionMax = TimeAmount.seconds(30)

    init(_ endpoint: Endpoint, of upstream: Upstream, worker: Worker) {
        self.endpoint = endpoint
        self.worker = worker
        machine = ConnectionPool(connectionsMax: upstream.connectionsPerLoopMax, waitingMax: upstream.pendingPerLoopMax)
        connectTimeout = upstream.connectTimeout
        idleTimeout = upstream.idleTimeout
        keepsAlive = upstream.keepsAlive
    }

    /// Requests that are under way or wait here.
    var load: Int { machine.connectionCount - machine.idleCount + machine.waitingCount }

    var idleCount: Int { machine.idleCount }
    /// Open connections that carry a request, and dials.
    var activeCount: Int { machine.connectionCount - machine.idleCount }
    var waitingCount: Int { machine.waitingCount }

    /// The last dial failed: whoever waits here waits for the upstream, not for a turn.
    var hasFreshFailures: Bool { failuresInARow > 0 || machine.idleCount == machine.connectionCount }

    func isEjected(_ now: NIODeadline) -> Bool {
        guard let until = ejectedUntil else { return false }
        return now < until
    }

    enum Acquisition { case given, waits(ConnectionPool.Request), refused }

    /// Gives `driver` a connection at once, or when one becomes free.
    func acquire(_ driver: ExchangeDriver) -> Acquisition {
        let request = nextRequest
        nextRequest += 1
        switch machine.requestArrived(request) {
        case .lease(let number):
            guard let connection = connections[number] else { return .refused }
            driver.connectionReady(connection)
            return .given
        case .waitAndDial(let number):
            waiting[request] = driver
            dial(number)
            return .waits(request)
        case .wait:
            waiting[request] = driver
            return .waits(request)
        case .refuse:
            return .refused
        }
    }

    /// The driver no longer waits.
    func leave(_ request: ConnectionPool.Request) {
        waiting[request] = nil
        _ = machine.requestLeft(request)
    }

    // MARK: What connections say

    func dialSucceeded(_ connection: UpstreamConnection) {
        failuresInARow = 0
        ejectedUntil = nil
        settle(machine.dialSucceeded(connection.number))
    }

    func dialFailed(_ number: ConnectionPool.Connection, _ reason: String, timedOut: Bool = false) {
        connections[number] = nil
        failuresInARow += 1
        if failuresInARow >= Self.ejectAfter {
            let pause = min(Self.ejection * (failuresInARow - Self.ejectAfter + 1), Self.ejectionMax)
            ejectedUntil = .now() + pause
        }
        let (request, next) = machine.dialFailed(number)
        if let next { dial(next) }
        if let request, let driver = waiting.removeValue(forKey: request) {
            driver.connectionFailed(timedOut ? .connectTimeout : .connectFailed(reason), pool: self)
        }
    }

    func connectionFreed(_ connection: UpstreamConnection) {
        guard keepsAlive else {
            connectionLost(connection)
            return connection.close()
        }
        connection.release()
        settle(machine.connectionFreed(connection.number))
    }

    func connectionLost(_ connection: UpstreamConnection) {
        guard connections[connection.number] === connection else { return }
        connections[connection.number] = nil
        if case .dial(let number) = machine.connectionLost(connection.number) { dial(number) }
    }

    /// No route leads here any more.
    func close() {
        for number in machine.close() { take(number)?.close() }
    }

    var isEmpty: Bool { machine.isEmpty }

    private func take(_ number: ConnectionPool.Connection) -> UpstreamConnection? {
        defer { connections[number] = nil }
        return connections[number]
    }

    private func settle(_ action: ConnectionPool.FreeAction) {
        switch action {
        case .lease(let number, let request):
            guard let connection = connections[number] else { return }
            guard let driver = waiting.removeValue(forKey: request) else { return settle(machine.connectionFreed(number)) }
            driver.connectionReady(connection)
        case .park(let number):
            connections[number]?.park(until: worker.now + idleTimeout)
        case .close(let number):
            take(number)?.close()
        }
    }

    private func dial(_ number: ConnectionPool.Connection) {
        let connection = UpstreamConnection(number: number, worker: worker, pool: self, dialDeadline: worker.now + connectTimeout)
        while connections.count <= number { connections.append(nil) }
        connections[number] = connection
        let parts = NIOLoopBound((connection, self, worker.scratch), eventLoop: worker.loop)
        let bootstrap = ClientBootstrap(group: worker.loop)
            .connectTimeout(connectTimeout)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelOption(.socketOption(.so_keepalive), value: 1)
            .channelOption(.tcpOption(.keepIdle), value: KeepAlive.idleSeconds)
            .channelOption(.tcpOption(.keepInterval), value: KeepAlive.intervalSeconds)
            .channelOption(.tcpOption(.keepCount), value: KeepAlive.probesMax)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let (connection, pool, scratch) = parts.value
                    if let context = pool.endpoint.tls {
                        let tls = try TLSConnection(context, serverName: pool.endpoint.serverName)
                        try channel.pipeline.syncOperations.addHandler(TLSHandler(tls, listener: connection, scratch: scratch))
                    }
                    try channel.pipeline.syncOperations.addHandler(connection)
                }
            }
        let dialled: EventLoopFuture<any Channel>
        if endpoint.host.address != nil, let address = try? SocketAddress(ipAddress: endpoint.host.text, port: endpoint.port) {
            dialled = bootstrap.connect(to: address)
        } else {
            dialled = bootstrap.connect(host: endpoint.host.text, port: endpoint.port)
        }
        dialled.assumeIsolated().whenFailure { error in
            if connection.isDialling {
                self.worker.eventArrived()
                connection.abandonDial()
                self.dialFailed(number, EndpointPool.reason(error), timedOut: EndpointPool.isTimeout(error))
            }
        }
    }

    private static func isTimeout(_ error: any Error) -> Bool {
        if let error = error as? ChannelError, case .connectTimeout = error { return true }
        if let error = error as? NIOConnectionError { return !error.connectionErrors.isEmpty && error.connectionErrors.allSatisfy { isTimeout($0.error) } }
        return false
    }

    private static func reason(_ error: any Error) -> String {
        if let error = error as? IOError { return error.description }
        if let error = error as? NIOConnectionError {
            if let first = error.connectionErrors.first { return reason(first.error) }
            return "the name \(error.host) has no address"
        }
        return String(describing: error)
    }
}
