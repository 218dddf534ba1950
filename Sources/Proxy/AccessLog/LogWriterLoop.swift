import Glibc
import Synchronization

/// The writer thread's own state and work; only `orders` and `wakeup` are shared with others.
@safe
final class LogWriterLoop: @unchecked Sendable {
    let orders = LogOrders()
    let wakeup: LogWakeup
    /// The producers' rings, and last `notices`.
    private let rings: [LogRing]
    /// Carries the writer's own lines about dropped ones.
    private let notices: LogRing
    private var sink: LogSink
    private let timing: LogWriter.Timing
    private var reports: LogReports

    /// Where the next write begins: the ring whose line was cut by a partial write, else the next in turn.
    private var nextRing = 0
    private var lineIsCut = false
    private var droppedAsNoted = 0
    /// Some ring was an eighth full: the next look comes sooner.
    private var isPressed = false
    private var line = JSONLineWriter()
    private var pieces: [iovec] = unsafe []
    /// Which ring the pieces are of, and how many bytes of it they are.
    private var shares: [(ring: Int, count: Int)] = []
    private var nextFileCheck = ContinuousClock.now

    private enum Progress { case wrote, nothing, blocked }

    init(rings: [LogRing], wakeup: LogWakeup, sink: consuming LogSink, timing: LogWriter.Timing, report: @escaping @Sendable (LogFault) -> Void) {
        notices = LogRing(capacity: 1024, wakeup: wakeup)
        (self.rings, self.wakeup, self.timing) = (rings + [notices], wakeup, timing)
        self.sink = sink
        reports = LogReports(interval: timing.report, report: report)
    }

    func run() {
        var lastLine = ContinuousClock.now
        while !orders.stop.load(ordering: .acquiring) {
            if orders.reopen.exchange(false, ordering: .acquiring) { reopen() }
            let progress = step()
            let now = ContinuousClock.now
            switch progress {
            case .wrote:
                lastLine = now
                wakeup.nap(milliseconds: isPressed ? 1 : timing.poll.wholeMilliseconds)
            case .nothing where now - lastLine < timing.idle:
                wakeup.nap(milliseconds: timing.poll.wholeMilliseconds)
            case .nothing:
                wakeup.sleep { isIdle }
                lastLine = ContinuousClock.now
            case .blocked:
                wakeup.nap(milliseconds: timing.retry.wholeMilliseconds)
            }
        }
        finish()
    }

    private var isIdle: Bool {
        rings.allSatisfy(\.isEmpty) && !orders.stop.load(ordering: .sequentiallyConsistent) && !orders.reopen.load(ordering: .sequentiallyConsistent)
    }

    /// Writes all that waits, until nothing does or the destination takes no more.
    private func step() -> Progress {
        noteDropped()
        isPressed = false
        var progress = Progress.nothing
        while gather() {
            if ContinuousClock.now >= nextFileCheck {
                nextFileCheck = ContinuousClock.now + timing.fileCheck
                if sink.isReplaced() {
                    reopen()
                    continue
                }
            }
            switch unsafe sink.write(&pieces) {
            case .wrote(let count) where count > 0:
                take(count)
                progress = .wrote
            case .wrote, .wouldBlock:
                return .blocked
            case .failed(let number):
                reports.tell(.cannotWrite(destination: sink.destination.description, reason: SystemError.text(number)))
                return .blocked
            }
            if orders.stop.load(ordering: .relaxed) { break }
        }
        return progress
    }

    /// Lists what waits, beginning with the ring whose line was cut; false when nothing does.
    private func gather() -> Bool {
        unsafe pieces.removeAll(keepingCapacity: true)
        shares.removeAll(keepingCapacity: true)
        for offset in 0..<rings.count {
            let number = (nextRing + offset) % rings.count
            var share = 0
            unsafe rings[number].withWaiting { piece in
                unsafe pieces.append(iovec(iov_base: UnsafeMutableRawPointer(mutating: piece.baseAddress), iov_len: piece.count))
                share += piece.count
            }
            if share > 0 { shares.append((number, share)) }
            if share > rings[number].capacity / 8 { isPressed = true }
        }
        return !shares.isEmpty
    }

    /// Frees the first `count` bytes of what was gathered.
    private func take(_ count: Int) {
        var rest = count
        for (number, share) in shares where rest > 0 {
            let part = min(share, rest)
            lineIsCut = !rings[number].take(part)
            nextRing = lineIsCut ? number : (number + 1) % rings.count
            rest -= part
        }
    }

    private func reopen() {
        do {
            try sink.open()
        } catch {
            reports.tell(error)
            return
        }
        guard lineIsCut else { return }
        // The new file must not begin with half a line.
        rings[nextRing].takeRestOfLine()
        lineIsCut = false
        orders.undelivered.wrappingAdd(1, ordering: .relaxed)
    }

    /// Writes a line about lines that were lost since the last such line, when the notices' ring has room for it.
    private func noteDropped() {
        let dropped = rings.reduce(orders.undelivered.load(ordering: .relaxed)) { $0 + $1.droppedLines }
        guard dropped > droppedAsNoted else { return }
        line.begin()
        line.member(#""v":"#, 1)
        line.member(#""kind":"#, quoted: #""log""#)
        line.member(#""dropped":"#, dropped - droppedAsNoted)
        line.end()
        guard notices.isEmpty, notices.write(line.bytes.span) else { return }
        reports.tell(.dropped(lines: dropped - droppedAsNoted, destination: sink.destination.description))
        droppedAsNoted = dropped
    }

    /// Delivers what waits while the destination takes it; what it does not take in time is counted.
    private func finish() {
        let deadline = ContinuousClock.now + timing.stop
        while true {
            switch step() {
            case .nothing:
                return
            case .wrote:
                continue
            case .blocked:
                guard ContinuousClock.now < deadline else {
                    let lines = rings.dropLast().reduce(0) { $0 + $1.discardAll() }
                    orders.undelivered.wrappingAdd(lines, ordering: .relaxed)
                    reports.tell(.dropped(lines: lines, destination: sink.destination.description), always: true)
                    return
                }
                wakeup.nap(milliseconds: min(timing.retry, timing.stop).wholeMilliseconds)
            }
        }
    }
}

extension Duration {
    /// At least 1, at most about 24 days: what `poll` takes.
    fileprivate var wholeMilliseconds: Int32 {
        let (seconds, attoseconds) = components
        guard seconds < 2_000_000 else { return 2_000_000_000 }
        return Int32(max(1, seconds * 1000 + attoseconds / 1_000_000_000_000_000))
    }
}
