internal import Glibc

/// What the loader may see of the machine: files and environment variables, as arguments, so that a test or a fuzzer
/// gives its own.
package struct Surroundings: Sendable {
    /// Why a file cannot be used, in words for a message.
    package enum FileFault: Error, Sendable, Equatable, CustomStringConvertible {
        case missing
        case notAllowed
        case notAFile
        case tooLarge(limit: Int)
        case other(String)

        package var description: String {
            switch self {
            case .missing: "does not exist"
            case .notAllowed: "may not be read by this process"
            case .notAFile: "is not a file"
            case .tooLarge(let limit): "is larger than \(limit >> 10) KiB"
            case .other(let reason): "cannot be read (\(reason))"
            }
        }
    }

    /// The bytes of a file of at most `limit` bytes.
    package var read: @Sendable (_ path: String, _ limit: Int) -> Result<[UInt8], FileFault>
    /// `nil` when the file is there and may be read.
    package var fault: @Sendable (_ path: String) -> FileFault?
    package var environment: @Sendable (_ name: String) -> String?
    /// False: what the configuration refers to (secrets, certificates, the extension's wheel) is neither looked for nor read. Then it can be
    /// compared, and not served.
    package var examinesReferences = true

    package init(
        read: @escaping @Sendable (_ path: String, _ limit: Int) -> Result<[UInt8], FileFault>,
        fault: @escaping @Sendable (_ path: String) -> FileFault?,
        environment: @escaping @Sendable (_ name: String) -> String?
    ) {
        (self.read, self.fault, self.environment) = (read, fault, environment)
    }

    /// The machine itself.
    package static let machine = Surroundings(read: readFile, fault: examineFile, environment: { name in
        unsafe getenv(name).map { unsafe String(cString: $0) }
    })

    /// The machine's files, without those that they refer to: to compare a configuration where its secrets are not.
    package static let machineWithoutReferences: Surroundings = {
        var surroundings = machine
        surroundings.examinesReferences = false
        return surroundings
    }()

    /// A configuration's own files, without those that they refer to.
    package static func texts(_ texts: [ConfigurationText]) -> Surroundings {
        var surroundings = memory(files: Dictionary(texts.map { ($0.path, $0.bytes) }, uniquingKeysWith: { first, _ in first }))
        surroundings.examinesReferences = false
        return surroundings
    }

    /// Files and variables in memory; every other file is missing.
    package static func memory(files: [String: [UInt8]], environment: [String: String] = [:]) -> Surroundings {
        Surroundings(
            read: { path, limit in
                guard let bytes = files[path] else { return .failure(.missing) }
                return bytes.count <= limit ? .success(bytes) : .failure(.tooLarge(limit: limit))
            },
            fault: { files[$0] == nil ? .missing : nil },
            environment: { environment[$0] }
        )
    }

    package static func memory(_ files: [String: String], environment: [String: String] = [:]) -> Surroundings {
        memory(files: files.mapValues { Array($0.utf8) }, environment: environment)
    }
}

private func fileFault(_ code: Int32) -> Surroundings.FileFault {
    switch code {
    case ENOENT, ENOTDIR: .missing
    case EACCES, EPERM: .notAllowed
    case EISDIR: .notAFile
    default: .other(unsafe String(cString: strerror(code)))
    }
}

/// Opens without blocking, so that a FIFO in a file's place is refused instead of waited for.
private func openFile(_ path: String) -> Result<Int32, Surroundings.FileFault> {
    guard !path.utf8.contains(0) else { return .failure(.missing) }
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { return .failure(fileFault(errno)) }
    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
        close(descriptor)
        return .failure(.notAFile)
    }
    return .success(descriptor)
}

private func examineFile(_ path: String) -> Surroundings.FileFault? {
    switch openFile(path) {
    case .failure(let fault): return fault
    case .success(let descriptor):
        close(descriptor)
        return nil
    }
}

private func readFile(_ path: String, limit: Int) -> Result<[UInt8], Surroundings.FileFault> {
    switch openFile(path) {
    case .failure(let fault): return .failure(fault)
    case .success(let descriptor):
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        // One byte more than the limit tells that a file is over it, even one that grows while it is read.
        while bytes.count <= limit {
            let room = min(65_536, limit + 1 - bytes.count)
            var received = 0
            var code: Int32 = 0
            bytes += unsafe [UInt8](unsafeUninitializedCapacity: room) { buffer, count in
                received = unsafe Glibc.read(descriptor, buffer.baseAddress, room)
                code = errno
                count = max(0, received)
            }
            if received == 0 { return .success(bytes) }
            if received < 0, code != EINTR { return .failure(fileFault(code)) }
        }
        return .failure(.tooLarge(limit: limit))
    }
}
