internal import Glibc
internal import Proxy
internal import Synchronization

/// Tells when one of a set of files has changed, on a thread of its own (F4). A change that somebody has taken up already, by another
/// way, is not told.
final class FileWatcher: Sendable {
    private struct State {
        var baseline: FileStamps
        var isFollowingNewFiles = true
        var isStopped = false
        var looks = 0
    }

    private let state: Mutex<State>
    /// The two ends of a pipe that wakes the thread; neither blocks.
    private let readEnd, writeEnd: Int32
    private let thread = Mutex<SystemThread?>(nil)
    private let changed: @Sendable () -> Void
    private let complain: @Sendable (String) -> Void

    /// - Parameters:
    ///   - baseline: the files as they were when they were last taken up.
    ///   - changed: is called on the watcher's thread and must not wait.
    init(baseline: FileStamps, changed: @escaping @Sendable () -> Void, complain: @escaping @Sendable (String) -> Void) throws {
        state = Mutex(State(baseline: baseline))
        self.changed = changed
        self.complain = complain
        var ends: [Int32] = [-1, -1]
        guard unsafe pipe(&ends) == 0 else { throw FetchError.other("no descriptor for watching files: \(SystemError.text(errno))") }
        (readEnd, writeEnd) = (ends[0], ends[1])
        for end in ends {
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
        }
        let thread = try SystemThread { [weak self] in self?.run() }
        self.thread.withLock { $0 = thread }
    }

    deinit {
        close(readEnd)
        close(writeEnd)
    }

    /// From now on these files count, as they were then.
    func follow(_ baseline: FileStamps) {
        state.withLock { state in
            state.isFollowingNewFiles = state.isFollowingNewFiles || state.baseline.files != baseline.files
            state.baseline = baseline
        }
        wake()
    }

    var files: [String] { state.withLock { $0.baseline.files } }

    /// How often it has compared the files.
    var lookCount: Int { state.withLock { $0.looks } }

    func stop() {
        state.withLock { $0.isStopped = true }
        wake()
        let running = thread.withLock { thread in
            defer { thread = nil }
            return thread
        }
        running?.join()
    }

    private func wake() {
        var byte: UInt8 = 1
        _ = unsafe write(writeEnd, &byte, 1)
    }

    private func run() {
        var events = FolderEvents()
        if events == nil { complain("the system gives no inotify instance: changed files are seen within \(WatchSchedule.poll)") }
        var schedule = WatchSchedule(startingAt: .now)
        var refused: Set<String> = []
        while true {
            let (isStopped, folders) = state.withLock { state in
                defer { state.isFollowingNewFiles = false }
                return (state.isStopped, state.isFollowingNewFiles ? Self.folders(of: state.baseline.files) : nil)
            }
            if isStopped { return }
            if let folders {
                follow(folders, &events, &refused)
                // What changed before the folders were watched has told nobody.
                schedule.happened(at: .now)
            }
            wait(until: schedule.due, events?.pollDescriptor)
            if events?.drain() == true { schedule.happened(at: .now) }
            guard schedule.looks(at: .now) else { continue }
            // A folder may have been replaced; its watch is renewed with each look.
            let files = state.withLock { $0.baseline.files }
            follow(Self.folders(of: files), &events, &refused)
            look()
        }
    }

    private func follow(_ folders: Set<String>, _ events: inout FolderEvents?, _ refused: inout Set<String>) {
        guard let faults = events?.follow(folders) else { return }
        for fault in faults where refused.insert(fault.folder).inserted {
            complain("\(fault.folder) cannot be watched (\(fault.reason)): changed files there are seen within \(WatchSchedule.poll)")
        }
    }

    private func look() {
        let baseline = state.withLock { $0.baseline }
        let now = baseline.again()
        let isNew = state.withLock { state in
            guard state.baseline == baseline, now != baseline, !state.isStopped else { return false }
            // Told once; who takes it up says what he saw.
            state.baseline = now
            return true
        }
        if isNew { changed() }
        state.withLock { $0.looks += 1 }
    }

    private func wait(until due: ContinuousClock.Instant, _ descriptor: Int32?) {
        let left = ContinuousClock.now.duration(to: due).milliseconds
        var descriptors = [pollfd(fd: readEnd, events: Int16(POLLIN), revents: 0)]
        if let descriptor { descriptors.append(pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)) }
        _ = unsafe poll(&descriptors, nfds_t(descriptors.count), Int32(clamping: max(0, left) + 1))
        var bytes = [UInt8](repeating: 0, count: 64)
        while unsafe read(readEnd, &bytes, bytes.count) == bytes.count {}
    }

    /// Where the names of the files stand, and where the links among them lead.
    static func folders(of files: [String]) -> Set<String> {
        var folders: Set<String> = []
        for file in files {
            folders.insert(folder(of: file))
            var buffer = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
            guard unsafe realpath(file, &buffer) != nil else { continue }
            folders.insert(folder(of: String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)))
        }
        return folders
    }

    private static func folder(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }
}
