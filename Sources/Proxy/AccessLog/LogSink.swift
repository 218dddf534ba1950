import Glibc

/// Where the access log goes.
package enum LogDestination: Sendable, Equatable, CustomStringConvertible {
    /// A descriptor that the process was given; it is left open. Not reopened by rotation.
    case descriptor(Int32)
    /// Appended to; made with mode 0640 where it does not exist.
    case file(path: String)

    package static let standardOutput = LogDestination.descriptor(STDOUT_FILENO)

    package var description: String {
        switch self {
        case .descriptor(STDOUT_FILENO): "on standard output"
        case .descriptor(let number): "on descriptor \(number)"
        case .file(let path): path
        }
    }
}

/// The open destination, owned by the writer's thread.
///
/// A write never waits for a reader: pipes are written through a description of their own that does not block, sockets with
/// MSG_DONTWAIT, and what can be had in neither way only while `poll` promises room, a page at a time.
struct LogSink: ~Copyable {
    enum Outcome: Equatable { case wrote(Int), wouldBlock, failed(Int32) }

    private enum Manner { case file, nonBlocking, socket, pageAtATime }

    let destination: LogDestination
    private var descriptor: Int32 = -1
    private var manner = Manner.file
    private var identity: (device: dev_t, node: ino_t) = (0, 0)

    init(_ destination: LogDestination) { self.destination = destination }

    deinit { if descriptor >= 0 { close(descriptor) } }

    var isOpen: Bool { descriptor >= 0 }

    private var isGiven: Bool {
        switch destination {
        case .descriptor: true
        case .file: false
        }
    }

    /// Opens the destination anew; on failure the one that was open stays.
    mutating func open() throws(LogFault) {
        let opened: Int32
        switch destination {
        case .file(let path):
            opened = unsafe Glibc.open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0o640)
        case .descriptor(let given):
            opened = fcntl(given, F_DUPFD_CLOEXEC, 3)
        }
        guard opened >= 0 else { throw .cannotOpen(destination: destination.description, reason: SystemError.text(errno)) }
        var status = stat()
        guard unsafe fstat(opened, &status) == 0 else {
            let reason = SystemError.text(errno)
            close(opened)
            throw .cannotOpen(destination: destination.description, reason: reason)
        }
        if descriptor >= 0 { close(descriptor) }
        descriptor = opened
        identity = (status.st_dev, status.st_ino)
        switch status.st_mode & S_IFMT {
        case S_IFREG: manner = .file
        case S_IFSOCK: manner = .socket
        case S_IFIFO where isGiven:
            // O_NONBLOCK belongs to the description, which others may share: /proc opens the same pipe with one of our own.
            let own = unsafe Glibc.open("/proc/self/fd/\(opened)", O_WRONLY | O_CLOEXEC | O_NONBLOCK)
            if own >= 0 {
                close(opened)
                descriptor = own
            }
            manner = own >= 0 ? .nonBlocking : .pageAtATime
        default: manner = isGiven ? .pageAtATime : .nonBlocking
        }
    }

    /// True when the file's name now stands for another file or for none (rotation by rename or removal).
    func isReplaced() -> Bool {
        guard case .file(let path) = destination, manner == .file else { return false }
        var status = stat()
        guard unsafe stat(path, &status) == 0 else { return errno == ENOENT }
        return status.st_dev != identity.device || status.st_ino != identity.node
    }

    /// Writes as much of the pieces as goes at once.
    mutating func write(_ pieces: inout [iovec]) -> Outcome {
        guard isOpen else { return .failed(EBADF) }
        if manner == .pageAtATime {
            var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
            guard unsafe poll(&entry, 1, 0) > 0 else { return .wouldBlock }
            unsafe pieces.limit(to: 4096)
        }
        let count = unsafe pieces.withUnsafeMutableBufferPointer { pieces in
            guard manner == .socket else { return unsafe writev(descriptor, pieces.baseAddress, Int32(pieces.count)) }
            var message = unsafe msghdr()
            unsafe message.msg_iov = pieces.baseAddress
            unsafe message.msg_iovlen = pieces.count
            return unsafe sendmsg(descriptor, &message, Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL))
        }
        if count >= 0 { return .wrote(count) }
        switch errno {
        case EAGAIN, EINTR: return .wouldBlock
        case let number: return .failed(number)
        }
    }
}

extension [iovec] {
    /// Keeps at most the first `count` bytes.
    fileprivate mutating func limit(to count: Int) {
        var room = count
        var kept = 0
        while unsafe kept < self.count, room > 0 {
            let length = unsafe Swift.min(self[kept].iov_len, room)
            unsafe self[kept].iov_len = length
            room -= length
            kept += 1
        }
        unsafe removeSubrange(kept...)
    }
}
