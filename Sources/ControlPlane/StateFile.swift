internal import GatewayTerms
internal import Glibc
internal import Proxy

/// A file of the state directory: it appears whole or not at all, readable by the gateway's user alone, and is believed only as such.
package enum StateFile {
    package enum Fault: Error, Equatable, Sendable, CustomStringConvertible {
        case system(path: String, action: String, reason: String)
        case unusable(path: String, reason: String)

        /// Without the path and the remedy.
        package var reason: String {
            switch self {
            case .system(_, _, let reason), .unusable(_, let reason): reason
            }
        }

        package var description: String {
            switch self {
            case .system(let path, let action, let reason):
                "\(path) cannot be \(action): \(reason). Give the gateway's user a writable state_directory with free space."
            case .unusable(let path, let reason):
                "\(path) is not used: \(reason)."
            }
        }
    }

    /// Written beside its place, synced and renamed. The folder, though not what is above it, is made where it is missing.
    package static func write(_ content: Span<UInt8>, to path: String) throws(Fault) {
        let folder = folder(of: path)
        if unsafe mkdir(folder, 0o700) != 0, errno != EEXIST { throw .system(path: folder, action: "made", reason: SystemError.text(errno)) }
        try replace(path, content)
    }

    /// The same in a folder that must be there.
    package static func replace(_ path: String, _ content: Span<UInt8>) throws(Fault) {
        let draft = "\(path).\(getpid()).draft"
        unsafe unlink(draft)
        let descriptor = unsafe open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw .system(path: draft, action: "made", reason: SystemError.text(errno)) }
        var failure = put(content, descriptor)
        if failure == 0, fsync(descriptor) != 0 { failure = errno }
        if close(descriptor) != 0, failure == 0 { failure = errno }
        if failure == 0, unsafe rename(draft, path) != 0 { failure = errno }
        guard failure == 0 else {
            unsafe unlink(draft)
            throw .system(path: path, action: "written", reason: SystemError.text(failure))
        }
        // Without this, a power cut may forget the new name.
        let directory = unsafe open(folder(of: path), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        if directory >= 0 {
            fsync(directory)
            close(directory)
        }
    }

    /// The whole file; `nil` when there is none. One that is no plain file, that others may write, or that is longer than `bytesMax` is unusable.
    package static func read(_ path: String, bytesMax: Int) throws(Fault) -> [UInt8]? {
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
        guard descriptor >= 0 else {
            if errno == ENOENT || errno == ENOTDIR { return nil }
            throw .system(path: path, action: "read", reason: SystemError.text(errno))
        }
        defer { close(descriptor) }
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0 else { throw .system(path: path, action: "read", reason: SystemError.text(errno)) }
        guard status.st_mode & S_IFMT == S_IFREG else { throw .unusable(path: path, reason: "it is no plain file") }
        guard status.st_mode & 0o022 == 0 else { throw .unusable(path: path, reason: "others than its owner may write it") }
        var content: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 64 * 1024)
        while content.count <= bytesMax {
            let count = unsafe Glibc.read(descriptor, &piece, piece.count)
            if count == 0 { return content }
            if count > 0 { content.append(contentsOf: piece[..<count]) } else if errno != EINTR {
                throw .system(path: path, action: "read", reason: SystemError.text(errno))
            }
        }
        throw .unusable(path: path, reason: "it is longer than \(bytesMax) bytes")
    }

    private static func folder(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// 0, or the error's number.
    private static func put(_ bytes: Span<UInt8>, _ descriptor: Int32) -> Int32 {
        var written = 0
        while written < bytes.count {
            let count = unsafe bytes.withUnsafeBytes { bytes in
                unsafe Glibc.write(descriptor, UnsafeRawBufferPointer(rebasing: bytes[written...]).baseAddress, bytes.count - written)
            }
            if count > 0 { written += count } else if errno != EINTR { return errno }
        }
        return 0
    }
}
