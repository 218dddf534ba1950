package import Glibc

/// Where a UNIX socket is: the kernel takes 107 bytes, and what `..` and links make of a path may be shorter than the path.
package enum SocketPath {
    /// `sun_path` without its NUL (unix(7)).
    package static let bytesMax = 107

    /// With the folder in its real form, as far as it exists.
    package static func resolved(_ path: String) -> String {
        guard let slash = path.lastIndex(of: "/"), slash != path.startIndex else { return path }
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
        guard unsafe realpath(String(path[..<slash]), &buffer) != nil else { return path }
        let folder = String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return (folder == "/" ? "" : folder) + path[slash...]
    }

    /// The path as the kernel takes it; `nil` where it is too long.
    package static func withAddress<Result>(_ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result? {
        guard path.utf8.count <= bytesMax else { return nil }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: path.utf8) }
        return unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe body($0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
        }
    }
}
