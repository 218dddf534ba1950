internal import Glibc
internal import GatewayTerms
package import NIOCore
internal import NIOPosix
internal import TLS

/// One listening socket of one event loop. Each loop has its own under the same address (SO_REUSEPORT), so that the kernel spreads
/// connections and no accept is handed from thread to thread.
package struct Listener {
    package let channel: any Channel

    package var address: SocketAddress? { channel.localAddress }

    /// - Parameter index: of the listener in ``Snapshot/listeners``; its rules are read anew for every connection, so that a reload holds from
    ///   the next one on.
    package static func bind(to address: SocketAddress, index: Int, worker: Worker) -> EventLoopFuture<Listener> {
        bootstrap(index, [NIOLoopBound(worker, eventLoop: worker.loop)], on: worker.loop, worker.loop)
            .serverChannelOption(.backlog, value: 4096)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .serverChannelOption(.socketOption(NIOBSDSocket.Option(rawValue: SO_REUSEPORT)), value: 1)
            .bind(to: address)
            .map { Listener(channel: $0) }
    }

    /// Accepts on `loop` from a socket that listens already, and owns the descriptor from now on.
    /// - Parameters:
    ///   - workers: who serves what is accepted, in turn: the loop's own, or those of all loops where there are fewer sockets than loops.
    ///   - group: their loops.
    package static func adopt(_ descriptor: CInt, index: Int, on loop: any EventLoop, workers: [NIOLoopBound<Worker>], of group: any EventLoopGroup) -> EventLoopFuture<Listener> {
        bootstrap(index, workers, on: loop, group).withBoundSocket(descriptor).map { Listener(channel: $0) }
    }

    private static func bootstrap(_ index: Int, _ workers: [NIOLoopBound<Worker>], on loop: any EventLoop, _ group: any EventLoopGroup) -> ServerBootstrap {
        ServerBootstrap(group: loop, childGroup: group)
            // Linux gives each accepted socket what the listening one has (tcp(7)), which spares a connection the calls.
            .serverChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .serverChannelOption(.socketOption(.so_keepalive), value: 1)
            .serverChannelOption(.tcpOption(.keepIdle), value: KeepAlive.idleSeconds)
            .serverChannelOption(.tcpOption(.keepInterval), value: KeepAlive.intervalSeconds)
            .serverChannelOption(.tcpOption(.keepCount), value: KeepAlive.probesMax)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    guard let worker = workers.first(where: { $0.eventLoop === channel.eventLoop }) else { throw ChannelError.ioOnClosedChannel }
                    try accept(channel, index, worker.value)
                }
            }
    }

    private static func accept(_ channel: any Channel, _ index: Int, _ worker: Worker) throws {
        let snapshot = worker.snapshot
        guard index < snapshot.listeners.count, worker.downstreamConnections < snapshot.limits.connectionsPerLoopMax else {
            worker.counters.connectionsRefused &+= 1
            throw ChannelError.ioOnClosedChannel
        }
        guard worker.handshakes < snapshot.limits.handshakesPerLoopMax else {
            worker.counters.handshakesRefused &+= 1
            throw ChannelError.ioOnClosedChannel
        }
        let rules = snapshot.listeners[index]
        let connection = DownstreamConnection(rules: rules, worker: worker)
        let pipeline = channel.pipeline.syncOperations
        if case .proxyProtocol(let trusted) = rules.clientAddress {
            guard let peer = channel.remoteAddress?.ipAddress.flatMap({ IPAddress($0) }), trusted.contains(where: { $0.contains(peer) }) else {
                worker.counters.proxyProtocolRefused &+= 1
                throw ChannelError.ioOnClosedChannel
            }
            try pipeline.addHandler(ProxyProtocolHandler(connection))
        }
        if let context = rules.tls {
            try pipeline.addHandler(TLSHandler(TLSConnection(context), listener: connection, scratch: worker.scratch))
        }
        try pipeline.addHandler(connection)
    }
}
