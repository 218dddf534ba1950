internal import Foundation
internal import Glibc

/// The folder that outlives the process: the database, the signing keys, and where the running platform can be reached.
/// It belongs to one process at a time.
struct StateDirectory: Sendable {
    let path: String
    /// Held as long as the process lives; the kernel releases it even after SIGKILL.
    private let lock: FileHandle

    /// Opens or makes the folder (0700) and takes it for this process.
    init(_ path: String) throws(PlatformError) {
        self.path = path
        do {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch {
            throw .cannotUseState(directory: path, reason: error.localizedDescription)
        }
        let lockPath = path + "/lock"
        if !FileManager.default.fileExists(atPath: lockPath) {
            _ = FileManager.default.createFile(atPath: lockPath, contents: nil, attributes: [.posixPermissions: 0o600])
        }
        guard let handle = FileHandle(forUpdatingAtPath: lockPath) else {
            throw .cannotUseState(directory: path, reason: "\(lockPath) cannot be written")
        }
        guard flock(handle.fileDescriptor, LOCK_EX | LOCK_NB) == 0 else { throw .stateInUse(directory: path) }
        lock = handle
    }

    var databasePath: String { path + "/platform.sqlite" }
    private static func addressFile(in path: String) -> String { path + "/running.json" }

    /// `$XDG_STATE_HOME/metaflow-local-platform`, by default under `~/.local/state`.
    static var standardPath: String {
        let environment = ProcessInfo.processInfo.environment
        let base = environment["XDG_STATE_HOME"].flatMap { $0.isEmpty ? nil : $0 } ?? (environment["HOME"] ?? "/tmp") + "/.local/state"
        return base + "/metaflow-local-platform"
    }

    /// Writes a file that only its owner can read, whole or not at all.
    static func writePrivately(_ bytes: [UInt8], to file: String) throws(PlatformError) {
        let temporary = file + ".new"
        try? FileManager.default.removeItem(atPath: temporary)
        guard FileManager.default.createFile(atPath: temporary, contents: Data(bytes), attributes: [.posixPermissions: 0o600]) else {
            throw .cannotUseState(directory: file, reason: "it cannot be written")
        }
        guard unsafe rename(temporary, file) == 0 else { throw .cannotUseState(directory: file, reason: "it cannot be replaced") }
    }

    /// Leaves word for `token --state DIR`.
    func publish(_ ports: PlatformPorts) throws(PlatformError) {
        let addresses: JSON = [
            "identity": .integer(Int64(ports.identity)), "metadata": .integer(Int64(ports.metadata)), "browser": .integer(Int64(ports.browser)),
        ]
        try Self.writePrivately(Array(addresses.written(.compact).utf8), to: Self.addressFile(in: path))
    }

    func withdraw() { try? FileManager.default.removeItem(atPath: Self.addressFile(in: path)) }

    /// The identity port of the platform that runs with this state.
    static func identityPort(in path: String) -> Int? {
        guard let data = FileManager.default.contents(atPath: addressFile(in: path)),
            let addresses = try? JSON(parsing: Array(data)), let port = addresses["identity"]?.integerValue
        else { return nil }
        return Int(exactly: port)
    }
}

/// The ports on which the three services accept.
struct PlatformPorts: Sendable, Equatable {
    var identity = 0
    var metadata = 0
    var browser = 0
}
