internal import ControlPlane
internal import Glibc
internal import Proxy

/// Asks the running gateway over its UNIX socket: one HTTP/1.1 request a connection (RFC 9112), the answer read to its end.
struct AdminClient {
    struct Answer: Equatable {
        var status: Int
        var body: String
    }

    enum Fault: Error, Equatable, CustomStringConvertible {
        case pathTooLong(String)
        case nobodyListens(String)
        case notAllowed(String)
        case system(String, String)
        case answerMalformed(String)

        /// One line, with what to do.
        var description: String {
            switch self {
            case .pathTooLong(let path): "\(path): a UNIX socket's path has at most \(SocketPath.bytesMax) bytes. Shorten admin.socket."
            case .nobodyListens(let path): "\(path): no gateway listens there. Start it, or name its socket with --socket, or its configuration with --config."
            case .notAllowed(let path): "\(path): this user may not ask the gateway. Run the command as the gateway's user, or as root."
            case .system(let path, let reason): "\(path): \(reason)."
            case .answerMalformed(let path): "\(path): whoever listens there is no gateway."
            }
        }
    }

    /// More is never sent.
    private static let answerBytesMax = 64 << 20

    let path: String

    init(path: String) { self.path = SocketPath.resolved(path) }

    func ask(_ method: String, _ target: String, body: String = "") throws(Fault) -> Answer {
        let descriptor = try connect()
        defer { close(descriptor) }
        let head = "\(method) \(target) HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\nContent-Length: \(body.utf8.count)\r\n\r\n"
        try send(Array((head + body).utf8), descriptor)
        return try Self.read(receive(descriptor), path)
    }

    private func connect() throws(Fault) -> Int32 {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw .system(path, SystemError.text(errno)) }
        // A reload of a large configuration may take its time; nothing takes longer.
        var patience = timeval(tv_sec: 60, tv_usec: 0)
        unsafe setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        guard let result = unsafe SocketPath.withAddress(path, { unsafe Glibc.connect(descriptor, $0, $1) }) else {
            close(descriptor)
            throw .pathTooLong(path)
        }
        guard result == 0 else {
            let code = errno
            close(descriptor)
            switch code {
            case ENOENT, ECONNREFUSED, ENOTDIR: throw .nobodyListens(path)
            case EACCES, EPERM: throw .notAllowed(path)
            default: throw .system(path, SystemError.text(code))
            }
        }
        return descriptor
    }

    private func send(_ bytes: [UInt8], _ descriptor: Int32) throws(Fault) {
        var offset = 0
        while offset < bytes.count {
            let count = unsafe bytes.withUnsafeBytes { unsafe Glibc.send(descriptor, $0.baseAddress! + offset, $0.count - offset, Int32(MSG_NOSIGNAL)) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw .system(path, SystemError.text(errno)) }
            offset += count
        }
    }

    private func receive(_ descriptor: Int32) throws(Fault) -> [UInt8] {
        var bytes: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 65_536)
        while bytes.count <= Self.answerBytesMax {
            let count = unsafe recv(descriptor, &part, part.count, 0)
            if count < 0, errno == EINTR { continue }
            if count < 0 { throw .system(path, errno == EAGAIN ? "the gateway has not answered for a minute" : SystemError.text(errno)) }
            if count == 0 { return bytes }
            bytes += part.prefix(count)
        }
        throw .answerMalformed(path)
    }

    static func read(_ bytes: [UInt8], _ path: String) throws(Fault) -> Answer {
        let text = String(decoding: bytes, as: UTF8.self)
        guard let end = text.firstRange(of: "\r\n\r\n"), text.hasPrefix("HTTP/1.1 "), let status = Int(text.dropFirst(9).prefix(3)) else { throw .answerMalformed(path) }
        return Answer(status: status, body: String(text[end.upperBound...]))
    }
}
