internal import GatewayConfiguration
internal import GatewayTerms
internal import Glibc
internal import Logging
internal import NIOCore
internal import NIOPosix
internal import Proxy
internal import Synchronization

/// The sockets that the process listens on: taken over where a predecessor or the service manager passes them, otherwise opened.
///
/// A listening socket that is closed resets the connections in its queue. So what was taken over is served by somebody as long as it is
/// there: with fewer loops than sockets a loop accepts from several, and with more each accepts for all loops in turn. And two never accept
/// from one socket at a time: what was taken over is served from ``startAccepting()`` on, when the predecessor has stopped; until then
/// connections wait in the queue.
final class Ports: Sendable {
    private struct Opened {
        let purpose: SocketPurpose
        let channel: any Channel
    }
    private struct State {
        var listeners: [Opened] = []
        var localEndpoints: [Opened] = []
        var takenOver: [@Sendable () async throws -> Void] = []
    }

    private let group: MultiThreadedEventLoopGroup
    private let logger: Logger
    private let inherited: InheritedSockets
    private let state = Mutex(State())

    /// Connections that wait to be accepted on one socket; more are the kernel's to refuse.
    private static let backlog: Int32 = 4096

    init(group: MultiThreadedEventLoopGroup, inherited: InheritedSockets, logger: Logger) {
        (self.group, self.inherited, self.logger) = (group, inherited, logger)
    }

    /// What a configuration asks for, listeners in their order.
    static func purposes(_ configuration: Configuration) -> [SocketPurpose] {
        configuration.listeners.map { SocketPurpose(.listener, $0.address.value.description) }
            + [SocketPurpose(.health, configuration.health.address.value.description)]
            + (configuration.admin.metricsAddress.map { [SocketPurpose(.metrics, $0.value.description)] } ?? [])
            + [SocketPurpose(.admin, configuration.admin.socket.value)]
    }

    // MARK: Opening

    /// A listener of clients, on every loop.
    func listen(on address: GatewayConfiguration.SocketAddress, _ index: Int, _ workers: WorkerSet) async throws(Gateway.StartFault) {
        let purpose = SocketPurpose(.listener, address.description)
        let setting = "listeners[\(index)].address"
        do {
            let sockets = inherited.take(purpose)
            if let first = sockets.first {
                let workers = workers.all
                later { [self] in try await adopt(sockets, index, workers, purpose) }
                tell(setting, first.bound, sockets)
            } else {
                tell(setting, try await open(address, index, workers.all, purpose), [])
            }
        } catch {
            throw .cannotListen(setting: setting, address: "\(address)", reason: readableReason(error))
        }
    }

    private func open(_ address: GatewayConfiguration.SocketAddress, _ index: Int, _ workers: [NIOLoopBound<Worker>], _ purpose: SocketPurpose) async throws -> String {
        var bound = try NIOCore.SocketAddress(ipAddress: address.address.description, port: Int(address.port))
        if address.port != 0 { try await askForPort(bound) }
        for worker in workers {
            let target = bound
            let listener = try await worker.eventLoop.flatSubmit { Listener.bind(to: target, index: index, worker: worker.value) }.get()
            // Port 0 is chosen with the first loop's socket; the others join it.
            if let chosen = listener.address { bound = chosen }
            keep(listener.channel, purpose)
        }
        return bound.readable
    }

    private func adopt(_ sockets: [InheritedSocket], _ index: Int, _ workers: [NIOLoopBound<Worker>], _ purpose: SocketPurpose) async throws {
        for (number, socket) in sockets.enumerated() {
            let own = workers[number % workers.count]
            let descriptor = try duplicate(socket)
            let listener = if sockets.count < workers.count {
                try await Listener.adopt(descriptor, index: index, on: own.eventLoop, workers: workers, of: group).get()
            } else {
                try await Listener.adopt(descriptor, index: index, on: own.eventLoop, workers: [own], of: own.eventLoop).get()
            }
            keep(listener.channel, purpose)
            // NIO has set the queue to its own length.
            _ = Glibc.listen(socket.descriptor, Self.backlog)
        }
    }

    private func duplicate(_ socket: InheritedSocket) throws -> Int32 {
        let descriptor = socket.duplicate()
        guard descriptor >= 0 else { throw IOError(errnoCode: errno, reason: "dup") }
        return descriptor
    }

    /// One of the gateway's own ports.
    func openLocal(
        _ setting: String, _ kind: SocketPurpose.Setting, _ address: GatewayConfiguration.SocketAddress, answering: @escaping LocalEndpoint.Answering
    ) async throws(Gateway.StartFault) {
        let purpose = SocketPurpose(kind, address.description)
        do {
            let sockets = inherited.take(purpose)
            if let socket = sockets.first {
                later { [self] in keep(try await LocalEndpoint.serve(duplicate(socket), on: group, answering: answering), purpose) }
                tell(setting, socket.bound, sockets)
            } else {
                let target = try NIOCore.SocketAddress(ipAddress: address.address.description, port: Int(address.port))
                let endpoint = try await LocalEndpoint.bind(to: target, on: group, answering: answering)
                keep(endpoint, purpose)
                tell(setting, endpoint.channel.localAddress?.readable ?? "", [])
            }
        } catch {
            throw .cannotListen(setting: setting, address: "\(address)", reason: readableReason(error))
        }
    }

    /// The operators' socket, a UNIX one.
    /// - Returns: its file, which goes with the last process that has it.
    func openAdmin(_ path: String, bodyBytesMax: Int, answering: @escaping LocalEndpoint.Answering) async throws(Gateway.StartFault) -> AdminSocket {
        let purpose = SocketPurpose(.admin, path)
        do {
            let sockets = inherited.take(purpose)
            if let socket = sockets.first {
                let file = try AdminSocket.takenOver(at: path, descriptor: socket.descriptor)
                later { [self] in keep(try await LocalEndpoint.serve(duplicate(socket), on: group, bodyBytesMax: bodyBytesMax, answering: answering), purpose) }
                tell("admin.socket", path, sockets)
                return file
            }
            let file = try AdminSocket.listen(at: path)
            keep(try await LocalEndpoint.serve(file.descriptor, on: group, bodyBytesMax: bodyBytesMax, answering: answering), purpose)
            tell("admin.socket", path, [])
            return file
        } catch {
            throw .cannotListen(setting: "admin.socket", address: path, reason: (error as? AdminSocket.Fault)?.description ?? readableReason(error))
        }
    }

    private func keep(_ channel: any Channel, _ purpose: SocketPurpose) {
        state.withLock { $0.listeners.append(Opened(purpose: purpose, channel: channel)) }
    }

    private func keep(_ endpoint: LocalEndpoint, _ purpose: SocketPurpose) {
        state.withLock { $0.localEndpoints.append(Opened(purpose: purpose, channel: endpoint.channel)) }
    }

    private func later(_ step: @escaping @Sendable () async throws -> Void) { state.withLock { $0.takenOver.append(step) } }

    /// Serves what was taken over.
    func startAccepting() async throws {
        let steps = state.withLock { state in
            defer { state.takenOver = [] }
            return state.takenOver
        }
        for step in steps { try await step() }
    }

    private func tell(_ setting: String, _ bound: String, _ sockets: [InheritedSocket]) {
        var metadata: Logger.Metadata = ["setting": "\(setting)", "address": "\(bound)"]
        if !sockets.isEmpty { metadata["taken_over"] = "\(sockets.count)" }
        logger.notice("listening", metadata: metadata)
    }

    /// The loops share a port by SO_REUSEPORT, which would let a second gateway of the same user join it unnoticed and get half of the
    /// clients. Without that option the kernel says that a port is taken.
    private func askForPort(_ address: NIOCore.SocketAddress) async throws {
        let probe = try await ServerBootstrap(group: group)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .bind(to: address).get()
        try await probe.close()
    }

    // MARK: Passing on

    /// A descriptor of each socket, a shared one once; they are the caller's to close. Waits for the loops: not to be called on one.
    func duplicates() -> [(purpose: SocketPurpose, descriptor: Int32)] {
        let opened = state.withLock { $0.listeners + $0.localEndpoints }
        var seen: Set<UInt> = []
        var duplicates: [(purpose: SocketPurpose, descriptor: Int32)] = []
        for one in opened {
            let channel = one.channel
            let copying = channel.eventLoop.submit { () -> Int32 in
                try channel.pipeline.syncOperations.withUnsafeTransportIfAvailable { (descriptor: NIOBSDSocket.Handle) in fcntl(descriptor, F_DUPFD_CLOEXEC, 0) } ?? -1
            }
            guard let descriptor = try? copying.wait(), descriptor >= 0 else { continue }
            var status = stat()
            if unsafe fstat(descriptor, &status) == 0, seen.insert(status.st_ino).inserted {
                duplicates.append((one.purpose, descriptor))
            } else {
                close(descriptor)
            }
        }
        return duplicates
    }

    // MARK: Closing

    /// Clients are accepted no more; the gateway's own ports go on.
    func closeListeners() async {
        let opened = state.withLock { state in
            defer { state.listeners = [] }
            return state.listeners
        }
        try? await quietly(opened).get()
    }

    /// Everything; waits for the loops: not to be called on one.
    func closeAllAndWait() {
        let opened = state.withLock { state in
            defer { state = State() }
            return state.listeners + state.localEndpoints
        }
        try? quietly(opened).wait()
    }

    /// Accepts no more, lets what was accepted reach its loop, and only then closes: SwiftNIO drops a connection whose listener closes between
    /// its acceptance and its registration, which its client meets as a reset.
    private func quietly(_ opened: [Opened]) -> EventLoopFuture<Void> {
        let (loops, loop) = (Array(group.makeIterator()), group.next())
        return EventLoopFuture.andAllComplete(opened.map { $0.channel.setOption(.autoRead, value: false) }, on: loop)
            // From the accepting loop to the serving one, its options and its handlers, and back.
            .flatMap { Ports.turns(8, of: loops, on: loop) }
            .flatMap { EventLoopFuture.andAllComplete(opened.map { $0.channel.close() }, on: loop) }
    }

    /// Every loop has had so many turns.
    private static func turns(_ count: Int, of loops: [any EventLoop], on loop: any EventLoop) -> EventLoopFuture<Void> {
        let turn = EventLoopFuture.andAllComplete(loops.map { $0.submit {} }, on: loop)
        return count > 1 ? turn.flatMap { turns(count - 1, of: loops, on: loop) } : turn
    }
}

extension NIOCore.SocketAddress {
    /// `127.0.0.1:8443` or `[::1]:8443`.
    var readable: String {
        guard let address = ipAddress, let port else { return description }
        return address.contains(":") ? "[\(address)]:\(port)" : "\(address):\(port)"
    }
}
