package import GatewayTerms
import Glibc
import Synchronization

/// The one thread that carries the lines of all rings to their destination.
///
/// While lines flow it looks at the rings every `poll` and writes what waits with one `writev`; after a silence it sleeps
/// until a producer wakes it. A full disk, a closed pipe or a slow reader never reaches a request: lines stay in their ring
/// while there is room, then they are dropped and counted, and a line `{"v":1,"kind":"log","dropped":N}` tells the reader.
package final class LogWriter: Sendable {
    package struct Timing: Sendable {
        /// How long lines may wait for company while they flow.
        package var poll: Duration = .milliseconds(5)
        /// How long without a line until the thread sleeps.
        package var idle: Duration = .milliseconds(100)
        /// How long until a destination that failed is tried again.
        package var retry: Duration = .milliseconds(100)
        /// How often, at most, the file's name is looked up to see whether it was rotated away.
        package var fileCheck: Duration = .seconds(1)
        /// How often, at most, the same kind of fault is reported.
        package var report: Duration = .seconds(60)
        /// How long `stop` waits for a destination that takes nothing.
        package var stop: Duration = .seconds(2)

        package init() {}
    }

    /// One ring for each producer, in the order of their numbers.
    package let rings: [LogRing]
    private let loop: LogWriterLoop
    private let thread: Mutex<SystemThread?>

    /// Opens the destination and starts the thread. `report` is called on the thread; it must not wait long.
    ///
    /// - Parameters:
    ///   - producers: 1…500; one a loop, and one for whatever else writes lines.
    ///   - ringBytes: what a ring holds before lines are dropped.
    /// - Throws: `LogFault.cannotOpen`, `.cannotStart`.
    package init(
        producers: Int, ringBytes: ByteCount = .mebibytes(1), destination: LogDestination, timing: Timing = Timing(),
        report: @escaping @Sendable (LogFault) -> Void
    ) throws(LogFault) {
        let wakeup = try LogWakeup()
        let rings = (0..<min(max(1, producers), 500)).map { _ in LogRing(capacity: ringBytes.bytes, wakeup: wakeup) }
        var sink = LogSink(destination)
        try sink.open()
        let loop = LogWriterLoop(rings: rings, wakeup: wakeup, sink: sink, timing: timing, report: report)
        self.rings = rings
        self.loop = loop
        do throws(SystemError) { thread = Mutex(try SystemThread { loop.run() }) } catch { throw .cannotStart(reason: "\(error)") }
    }

    deinit { stop() }

    /// Opens the destination again, soon; what was open stays open if that fails (SIGUSR1, E7).
    package func reopen() {
        loop.orders.reopen.store(true, ordering: .releasing)
        loop.wakeup.signal()
    }

    /// Delivers what waits, as far as the destination takes it within `Timing.stop`, and ends the thread. Later lines are
    /// dropped when their ring is full. A second call returns at once.
    package func stop() {
        let running = thread.withLock { thread in
            defer { thread = nil }
            return thread
        }
        guard let running else { return }
        loop.orders.stop.store(true, ordering: .releasing)
        loop.wakeup.signal()
        running.join()
    }

    /// Lines lost since the start, for the metric `gw_log_dropped_total`.
    package var droppedLines: Int {
        rings.reduce(loop.orders.undelivered.load(ordering: .relaxed)) { $0 + $1.droppedLines }
    }
}

/// What other threads tell the writer's thread, and it them.
struct LogOrders: ~Copyable, Sendable {
    let stop = Atomic<Bool>(false)
    let reopen = Atomic<Bool>(false)
    /// Lines that left a ring without reaching the destination.
    let undelivered = Atomic<Int>(0)
}
