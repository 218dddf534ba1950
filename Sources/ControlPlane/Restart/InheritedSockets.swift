internal import Glibc
internal import NIOCore
internal import Synchronization

/// A listening socket that another process opened; closed with its last reference, which does not end the socket while others hold it.
final class InheritedSocket: Sendable {
    let descriptor: Int32
    /// Where it listens.
    let bound: String

    /// Takes over the descriptor. `nil`, and the descriptor is closed, for one that is no listening stream socket.
    init?(taking descriptor: Int32) {
        self.descriptor = descriptor
        guard InheritedSocket.isListening(descriptor) else {
            bound = ""
            return nil
        }
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        bound = InheritedSocket.address(of: descriptor)
    }

    deinit { close(descriptor) }

    static func isListening(_ descriptor: Int32) -> Bool {
        var listens: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        return unsafe getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && listens == 1
    }

    /// Another descriptor of the same socket; -1 when there is none to be had.
    func duplicate() -> Int32 { fcntl(descriptor, F_DUPFD_CLOEXEC, 0) }

    private static func address(of descriptor: Int32) -> String {
        var storage = sockaddr_storage()
        var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let isKnown = unsafe withUnsafeMutablePointer(to: &storage) { storage in
            unsafe storage.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe getsockname(descriptor, $0, &size) == 0 }
        }
        guard isKnown else { return "" }
        let address: NIOCore.SocketAddress? = unsafe withUnsafePointer(to: &storage) { storage in
            switch unsafe Int32(storage.pointee.ss_family) {
            case AF_INET: unsafe storage.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { unsafe NIOCore.SocketAddress($0.pointee) }
            case AF_INET6: unsafe storage.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) { unsafe NIOCore.SocketAddress($0.pointee) }
            case AF_UNIX: unsafe storage.withMemoryRebound(to: sockaddr_un.self, capacity: 1) { unsafe NIOCore.SocketAddress($0.pointee) }
            default: nil
            }
        }
        guard let address else { return "" }
        return address.pathname ?? address.readable
    }
}

/// The sockets that a predecessor or the service manager hands to this process. What no setting takes is closed here, and goes on wherever
/// else it is held.
final class InheritedSockets: Sendable {
    private let sockets: Mutex<[(purpose: SocketPurpose, socket: InheritedSocket)]>

    init(_ sockets: [(purpose: SocketPurpose, socket: InheritedSocket)] = []) { self.sockets = Mutex(sockets) }

    /// Every socket of the first address that was opened for this purpose; two settings with port 0 are told apart by their order.
    func take(_ purpose: SocketPurpose) -> [InheritedSocket] {
        sockets.withLock { sockets in
            guard let first = sockets.first(where: { $0.purpose == purpose }) else { return [] }
            let taken = sockets.filter { $0.purpose == purpose && $0.socket.bound == first.socket.bound }
            sockets.removeAll { $0.purpose == purpose && $0.socket.bound == first.socket.bound }
            return taken.map(\.socket)
        }
    }

    /// What nobody has taken.
    var rest: [SocketPurpose] { sockets.withLock { $0.map(\.purpose) } }

    func closeRest() { sockets.withLock { $0 = [] } }
}
