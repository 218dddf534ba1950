internal import Glibc
internal import Proxy

/// The UNIX socket that operators' commands ask: its file is never open to anybody but its owner, a stale one is replaced, a live one is
/// left alone, and it goes when its gateway does.
struct AdminSocket: Sendable {
    enum Fault: Error, Equatable, CustomStringConvertible {
        case pathTooLong(Int)
        /// Another gateway answers there.
        case live
        case notASocket
        case system(String)

        var description: String {
            switch self {
            case .pathTooLong(let count): "the path has \(count) bytes; a UNIX socket's has at most \(SocketPath.bytesMax)"
            case .live: "another gateway serves there"
            case .notASocket: "something that is no socket stands there"
            case .system(let reason): reason
            }
        }
    }

    let path: String
    /// Listening; whoever serves it closes it.
    let descriptor: Int32
    private let device: dev_t
    private let inode: ino_t

    /// Makes the socket, mode 0600, and the folder that is to hold it, if that alone is missing.
    static func listen(at path: String) throws(Fault) -> AdminSocket {
        if let slash = path.lastIndex(of: "/"), slash != path.startIndex { unsafe mkdir(String(path[..<slash]), 0o700) }
        let path = SocketPath.resolved(path)
        guard path.utf8.count <= SocketPath.bytesMax else { throw .pathTooLong(path.utf8.count) }
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
        guard descriptor >= 0 else { throw .system(SystemError.text(errno)) }
        do throws(Fault) {
            // Linux takes the file's mode from the socket's at bind, so that it is never more open, whatever the umask of the process.
            guard fchmod(descriptor, 0o600) == 0 else { throw .system(SystemError.text(errno)) }
            if let code = bind(descriptor, path) {
                guard code == EADDRINUSE else { throw .system(SystemError.text(code)) }
                try removeStale(path)
                if let code = bind(descriptor, path) { throw .system(SystemError.text(code)) }
            }
            guard Glibc.listen(descriptor, 64) == 0 else { throw .system(SystemError.text(errno)) }
            var status = stat()
            guard unsafe lstat(path, &status) == 0 else { throw .system(SystemError.text(errno)) }
            return AdminSocket(path: path, descriptor: descriptor, device: status.st_dev, inode: status.st_ino)
        } catch {
            close(descriptor)
            throw error
        }
    }

    /// The socket of a predecessor, whose file is this process's from now on.
    static func takenOver(at path: String, descriptor: Int32) throws(Fault) -> AdminSocket {
        let path = SocketPath.resolved(path)
        var status = stat()
        guard unsafe lstat(path, &status) == 0 else { throw .system(SystemError.text(errno)) }
        return AdminSocket(path: path, descriptor: descriptor, device: status.st_dev, inode: status.st_ino)
    }

    /// Takes the file away, unless it is another gateway's by now. To be called before the socket is closed: then no other file can have got
    /// its inode.
    func remove() {
        var status = stat()
        guard unsafe lstat(path, &status) == 0, status.st_dev == device, status.st_ino == inode else { return }
        unsafe unlink(path)
    }

    /// Nobody listens at a socket that refuses connections: its process is dead.
    private static func removeStale(_ path: String) throws(Fault) {
        var status = stat()
        guard unsafe lstat(path, &status) == 0 else { throw .system(SystemError.text(errno)) }
        guard status.st_mode & S_IFMT == S_IFSOCK else { throw .notASocket }
        let probe = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard probe >= 0 else { throw .system(SystemError.text(errno)) }
        defer { close(probe) }
        let code = unsafe SocketPath.withAddress(path) { address, length in unsafe connect(probe, address, length) == 0 ? 0 : errno } ?? ENAMETOOLONG
        switch code {
        case ECONNREFUSED: unsafe unlink(path)
        case ENOENT: break
        case 0, EAGAIN, EACCES: throw .live
        default: throw .system(SystemError.text(code))
        }
    }

    /// `nil`, or the system's error number.
    private static func bind(_ descriptor: Int32, _ path: String) -> Int32? {
        let code = unsafe SocketPath.withAddress(path) { address, length in unsafe Glibc.bind(descriptor, address, length) == 0 ? 0 : errno } ?? ENAMETOOLONG
        return code == 0 ? nil : code
    }
}
