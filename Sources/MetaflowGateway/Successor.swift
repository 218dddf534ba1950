internal import Glibc
internal import Proxy

/// The program's file, started anew with this process's own arguments and `--upgrade`: what SIGUSR2 does, so that a service manager finds the
/// new process among its own.
enum Successor {
    /// `nil` when it runs; else why not.
    static func start() -> String? {
        // Nobody waits for it here.
        signal(SIGCHLD, SIG_IGN)
        var arguments = CommandLine.arguments
        if !arguments.contains("--upgrade") { arguments.append("--upgrade") }
        let words = unsafe pointers(arguments), environment = unsafe pointers(environment())
        defer { unsafe (words + environment).forEach { unsafe free($0) } }
        var attributes = posix_spawnattr_t()
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawnattr_init(&attributes)
        unsafe posix_spawn_file_actions_init(&actions)
        defer {
            unsafe posix_spawnattr_destroy(&attributes)
            unsafe posix_spawn_file_actions_destroy(&actions)
        }
        // As a shell would start it: no signal ignored or held back, and none of our sockets.
        var none = sigset_t(), all = sigset_t()
        unsafe sigemptyset(&none)
        unsafe sigfillset(&all)
        unsafe posix_spawnattr_setsigmask(&attributes, &none)
        unsafe posix_spawnattr_setsigdefault(&attributes, &all)
        unsafe posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
        // SwiftNIO's sockets are not closed by exec, and a connection whose socket the successor held too would not end with ours. Some more
        // for those that open meanwhile; to close what is not open is no error.
        for descriptor in 3...highestDescriptor() + 256 { unsafe posix_spawn_file_actions_addclose(&actions, descriptor) }
        var process = pid_t()
        let failure = unsafe posix_spawnp(&process, arguments[0], &actions, &attributes, words, environment)
        return failure == 0 ? nil : "\(arguments[0]): \(SystemError.text(failure))"
    }

    /// Copies, ended by a null pointer.
    private static func pointers(_ texts: [String]) -> [UnsafeMutablePointer<CChar>?] {
        var words = unsafe texts.map { unsafe strdup($0) }
        unsafe words.append(nil)
        return unsafe words
    }

    private static func highestDescriptor() -> Int32 {
        guard let folder = unsafe opendir("/proc/self/fd") else { return 1024 }
        defer { unsafe closedir(folder) }
        var highest: Int32 = 3
        while let entry = unsafe readdir(folder) {
            let name = unsafe withUnsafeBytes(of: &entry.pointee.d_name) { unsafe String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            highest = max(highest, Int32(name) ?? 0)
        }
        return highest
    }

    /// The environment that this process was started with.
    private static func environment() -> [String] {
        guard case .bytes(let bytes) = RingFile.read("/proc/self/environ") else { return [] }
        return bytes.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
    }
}
