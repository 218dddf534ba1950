import Glibc
import Synchronization

/// How producers wake the log writer. While the writer is awake and polling, telling it costs a producer one load and no
/// system call; only the first line after a silence pays for one.
package final class LogWakeup: Sendable {
    /// The two ends of a pipe; neither blocks.
    private let readEnd, writeEnd: Int32
    private let isAsleep = Atomic<Bool>(false)

    package init() throws(LogFault) {
        var ends: [Int32] = [-1, -1]
        guard unsafe pipe(&ends) == 0 else { throw .cannotStart(reason: SystemError.text(errno)) }
        (readEnd, writeEnd) = (ends[0], ends[1])
        for end in ends {
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
        }
    }

    deinit {
        close(readEnd)
        close(writeEnd)
    }

    /// Called by a producer after its line is published.
    func signalIfAsleep() {
        // Both sides write first and read second, in one total order: either the writer sees the line, or the producer sees
        // that it sleeps.
        guard isAsleep.load(ordering: .sequentiallyConsistent), isAsleep.exchange(false, ordering: .sequentiallyConsistent) else { return }
        signal()
    }

    /// A full pipe has been told already.
    func signal() {
        var byte: UInt8 = 1
        _ = unsafe write(writeEnd, &byte, 1)
    }

    /// Waits for `signal`, at most for the time given; producers stay quiet meanwhile.
    func nap(milliseconds: Int32) {
        var entry = pollfd(fd: readEnd, events: Int16(POLLIN), revents: 0)
        guard unsafe poll(&entry, 1, milliseconds) > 0 else { return }
        var bytes: [UInt8] = .init(repeating: 0, count: 64)
        while unsafe read(readEnd, &bytes, bytes.count) == bytes.count {}
    }

    /// Waits until a producer or `signal` wakes it, unless `isIdle` says no after the producers were told.
    func sleep(while isIdle: () -> Bool) {
        isAsleep.store(true, ordering: .sequentiallyConsistent)
        if isIdle() { nap(milliseconds: -1) }
        isAsleep.store(false, ordering: .sequentiallyConsistent)
    }
}
