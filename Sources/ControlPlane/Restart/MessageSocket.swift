internal import Glibc
internal import Proxy

/// One end of a SOCK_SEQPACKET UNIX socket: short texts, each of which may carry one descriptor (unix(7), SCM_RIGHTS).
package final class MessageSocket: Sendable {
    package struct Message {
        package let text: String
        /// Whoever receives it owns it; -1 for none.
        package let descriptor: Int32
    }
    package enum Fault: Error, CustomStringConvertible {
        case system(String, Int32)
        case ended
        case malformed
        case pathTooLong(String)

        package var description: String {
            switch self {
            case .system(let what, let number): "\(what): \(SystemError.text(number))"
            case .ended: "it ended the conversation"
            case .malformed: "it said what cannot be understood"
            case .pathTooLong(let path): "\(path) is longer than the \(SocketPath.bytesMax) bytes that a UNIX socket's path may have"
            }
        }
    }

    private static let textBytesMax = 4096
    private let descriptor: Int32

    private init(_ descriptor: Int32) { self.descriptor = descriptor }
    deinit { close(descriptor) }

    // MARK: Opening

    package static func connect(to path: String) throws(Fault) -> MessageSocket {
        let socket = try open()
        guard unsafe try withAddress(path, { unsafe Glibc.connect(socket.descriptor, $0, $1) }) == 0 else { throw .system("connect", errno) }
        return socket
    }

    /// Listens at `path` with mode 0600, in place of whatever was there. It appears whole: a client meets the old one or this one.
    package static func listen(at path: String) throws(Fault) -> MessageSocket {
        let socket = try open()
        let temporary = "\(path).\(getpid())"
        unsafe unlink(temporary)
        // The mode from the first moment on: a UNIX socket takes it from its descriptor.
        _ = fchmod(socket.descriptor, 0o600)
        guard unsafe try withAddress(temporary, { unsafe bind(socket.descriptor, $0, $1) }) == 0 else { throw .system("bind to \(temporary)", errno) }
        guard unsafe chmod(temporary, 0o600) == 0, Glibc.listen(socket.descriptor, 4) == 0, unsafe rename(temporary, path) == 0 else {
            let number = errno
            unsafe unlink(temporary)
            throw .system("listen at \(path)", number)
        }
        return socket
    }

    private static func open() throws(Fault) -> MessageSocket {
        let descriptor = socket(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw .system("socket", errno) }
        return MessageSocket(descriptor)
    }

    private static func withAddress(_ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) throws(Fault) -> Int32 {
        guard let result = unsafe SocketPath.withAddress(path, body) else { throw .pathTooLong(path) }
        return result
    }

    // MARK: Conversation

    /// Waits for a client; `nil` after ``stopListening()``.
    package func accept() -> MessageSocket? {
        while true {
            let client = Glibc.accept(descriptor, nil, nil)
            if client >= 0 {
                _ = fcntl(client, F_SETFD, FD_CLOEXEC)
                return MessageSocket(client)
            }
            guard errno == EINTR || errno == ECONNABORTED else { return nil }
        }
    }

    package func stopListening() { _ = shutdown(descriptor, Int32(SHUT_RDWR)) }

    /// No wait of this socket is longer.
    package func limitWaits(toSeconds seconds: Int) {
        var time = timeval(tv_sec: seconds, tv_usec: 0)
        unsafe setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
        unsafe setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
    }

    /// The process and the user at the other end, by the kernel's word (SO_PEERCRED).
    var peer: (process: Int32, user: UInt32)? {
        // struct ucred: pid, uid, gid.
        var words: (Int32, UInt32, UInt32) = (0, 0, 0)
        var size = socklen_t(12)
        guard unsafe getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &words, &size) == 0, size == 12 else { return nil }
        return (words.0, words.1)
    }

    /// The same user, or root.
    var peerMayTakeOver: Bool { peer.map { $0.user == geteuid() || $0.user == 0 } ?? false }

    /// - Parameter passing: a descriptor of which the other end gets a duplicate.
    package func send(_ text: String, passing: Int32? = nil) throws(Fault) {
        var bytes = Array(text.utf8.prefix(Self.textBytesMax))
        // One cmsghdr of 16 bytes and the descriptor, padded to 24.
        var control: [UInt64] = passing.map { [20, UInt64(UInt32(SOL_SOCKET)) | Self.rights &<< 32, UInt64(UInt32(bitPattern: $0))] } ?? []
        let sent = unsafe bytes.withUnsafeMutableBytes { bytes in
            unsafe control.withUnsafeMutableBytes { control in
                var part = unsafe iovec(iov_base: bytes.baseAddress, iov_len: bytes.count)
                return unsafe withUnsafeMutablePointer(to: &part) { part in
                    var message = unsafe msghdr()
                    unsafe message.msg_iov = unsafe part
                    unsafe message.msg_iovlen = 1
                    unsafe message.msg_control = control.count == 0 ? nil : control.baseAddress
                    unsafe message.msg_controllen = control.count
                    var count = unsafe sendmsg(descriptor, &message, Int32(MSG_NOSIGNAL))
                    while count < 0, errno == EINTR { count = unsafe sendmsg(descriptor, &message, Int32(MSG_NOSIGNAL)) }
                    return count
                }
            }
        }
        guard sent >= 0 else {
            let number = errno
            throw number == EPIPE || number == ECONNRESET ? .ended : .system("sendmsg", number)
        }
    }

    package func receive() throws(Fault) -> Message {
        var bytes = [UInt8](repeating: 0, count: Self.textBytesMax)
        var control: [UInt64] = [0, 0, 0]
        var controlCount = 0
        var flags: Int32 = 0
        let count = unsafe bytes.withUnsafeMutableBytes { bytes in
            unsafe control.withUnsafeMutableBytes { control in
                var part = unsafe iovec(iov_base: bytes.baseAddress, iov_len: bytes.count)
                return unsafe withUnsafeMutablePointer(to: &part) { part in
                    var message = unsafe msghdr()
                    unsafe message.msg_iov = unsafe part
                    unsafe message.msg_iovlen = 1
                    unsafe message.msg_control = control.baseAddress
                    unsafe message.msg_controllen = control.count
                    var count = unsafe recvmsg(descriptor, &message, Int32(MSG_CMSG_CLOEXEC))
                    while count < 0, errno == EINTR {
                        unsafe message.msg_controllen = control.count
                        count = unsafe recvmsg(descriptor, &message, Int32(MSG_CMSG_CLOEXEC))
                    }
                    controlCount = unsafe Int(message.msg_controllen)
                    flags = unsafe message.msg_flags
                    return count
                }
            }
        }
        guard count >= 0 else { throw .system("recvmsg", errno) }
        let received = Self.descriptors(control, controlCount)
        guard received.count <= 1, flags & Int32(MSG_CTRUNC | MSG_TRUNC) == 0, let text = String(validating: bytes[..<count], as: UTF8.self) else {
            received.forEach { close($0) }
            throw .malformed
        }
        guard count > 0 else {
            received.forEach { close($0) }
            throw .ended
        }
        return Message(text: text, descriptor: received.first ?? -1)
    }

    private static func descriptors(_ control: [UInt64], _ count: Int) -> [Int32] {
        guard count >= 20, control[1] == UInt64(UInt32(SOL_SOCKET)) | rights &<< 32 else { return [] }
        let first = Int32(truncatingIfNeeded: control[2])
        return control[0] >= 24 ? [first, Int32(truncatingIfNeeded: control[2] &>> 32)] : control[0] >= 20 ? [first] : []
    }

    /// SCM_RIGHTS, which the C header has as an enumerator.
    private static let rights: UInt64 = 1
}
