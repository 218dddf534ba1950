internal import ArgumentParser
internal import Authentication
internal import ControlPlane
internal import GatewayTerms
internal import Glibc
internal import Proxy

/// The keys that seal the browser's cookies.
struct Keys: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "The keys that seal login cookies.",
        discussion: """
            Example:
              metaflow-gateway keys rotate --output /etc/metaflow-gateway/login-keys.json
            """,
        subcommands: [Rotate.self])

    struct Rotate: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Add a key to the ring, and drop those that no living login needs.",
            discussion: """
                Reads the old ring from --input (none: the first ring) and writes the new one to --output, which may be the same file or - for standard \
                output: a mounted Secret cannot be written, so pipe the new ring to where the Secret comes from. The new key seals ten minutes after its \
                creation, when every replica has read it.

                Exit code 0: it stands. 2: a ring cannot be read or written; nothing has changed.

                Examples:
                  metaflow-gateway keys rotate --output /etc/metaflow-gateway/login-keys.json
                  metaflow-gateway keys rotate --input ring.json --output - > new-ring.json
                """
        )

        @Option(help: ArgumentHelp("The ring as it is now; default: --output, if that is a file that exists.", valueName: "file"))
        var input: String?
        @Option(help: ArgumentHelp("Where the new ring goes; - is standard output.", valueName: "file|-"))
        var output: String
        @Option(help: ArgumentHelp("The longest life of a login, login_sessions.lifetime, in hours: so long an old key is kept.", valueName: "hours"))
        var lifetimeHours: Int64 = 24

        func validate() throws {
            guard (1...720).contains(lifetimeHours) else { throw ValidationError("--lifetime-hours is 1 to 720, as login_sessions.lifetime is at most 30d.") }
        }

        func run() throws {
            let source = input ?? (output == "-" ? nil : output)
            let now = WallTime.current
            let ring: KeyRing
            switch source.map({ RingFile.read($0) }) {
            case nil: ring = .fresh(at: now, random: SystemRandom.bytes)
            case .absent? where input == nil: ring = .fresh(at: now, random: SystemRandom.bytes)
            case .absent?: try Self.fail("\(source ?? "") does not exist. Leave --input out for a first ring.")
            case .unreadable(let reason)?: try Self.fail("\(source ?? "") cannot be read: \(reason).")
            case .bytes(let bytes)?:
                do throws(KeyRing.Fault) {
                    ring = try KeyRing(document: bytes.span).rotated(at: now, loginLifetimeSeconds: lifetimeHours * 3600, random: SystemRandom.bytes)
                } catch { try Self.fail("\(source ?? ""): \(error)") }
            }
            if let reason = RingFile.write(ring.document, to: output) { try Self.fail("\(output) cannot be written: \(reason). The old ring is untouched.") }
            if output != "-" { StandardError.write("\(output): \(ring.keys.count) key\(ring.keys.count == 1 ? "" : "s"), the newest is \(ring.keys.last?.id ?? "")\n") }
        }

        /// One line, and no word on how the command is used: it was used well.
        private static func fail(_ reason: String) throws -> Never {
            StandardError.write("\(reason)\n")
            throw ExitCode(2)
        }
    }
}

/// Reads and writes the ring's file; new ones are 0600 and appear whole.
enum RingFile {
    enum Reading { case bytes([UInt8]), absent, unreadable(String) }

    static func read(_ path: String) -> Reading {
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return errno == ENOENT ? .absent : .unreadable(SystemError.text(errno)) }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: KeyRing.documentBytesMax + 1)
        var count = 0
        while count < bytes.count {
            let read = unsafe bytes.withUnsafeMutableBytes { unsafe Glibc.read(descriptor, $0.baseAddress! + count, $0.count - count) }
            guard read >= 0 else { return .unreadable(SystemError.text(errno)) }
            if read == 0 { break }
            count += read
        }
        return .bytes(Array(bytes.prefix(count)))
    }

    /// `nil` when it is written.
    static func write(_ document: Secret, to path: String) -> String? {
        document.withBytes { bytes in
            guard path != "-" else { return put(bytes, STDOUT_FILENO) ? nil : SystemError.text(errno) }
            do throws(StateFile.Fault) {
                try StateFile.replace(path, bytes)
                return nil
            } catch { return error.reason }
        }
    }

    private static func put(_ bytes: Span<UInt8>, _ descriptor: Int32) -> Bool {
        unsafe bytes.withUnsafeBytes { bytes in
            var offset = 0
            while offset < bytes.count {
                let count = unsafe Glibc.write(descriptor, bytes.baseAddress! + offset, bytes.count - offset)
                guard count > 0 else { return false }
                offset += count
            }
            return true
        }
    }
}
