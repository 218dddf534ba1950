import Foundation
import GatewayTerms
import Proxy
import Synchronization
import TestSupport
import Testing

extension LogRing {
    @discardableResult
    fileprivate func write(_ line: String) -> Bool {
        let bytes = Array((line + "\n").utf8)
        return write(bytes.span)
    }

    fileprivate func writeWaiting(_ line: String) { while !write(line) { sched_yield() } }
}

/// Collects what the writer reports.
private final class Reports: Sendable {
    private let faults = Mutex<[LogFault]>([])
    var all: [LogFault] { faults.withLock { $0 } }
    func add(_ fault: LogFault) { faults.withLock { $0.append(fault) } }
}

private func quickTiming() -> LogWriter.Timing {
    var timing = LogWriter.Timing()
    timing.poll = .milliseconds(1)
    timing.idle = .milliseconds(5)
    timing.retry = .milliseconds(2)
    timing.fileCheck = .milliseconds(5)
    timing.stop = .milliseconds(200)
    return timing
}

private func writer(
    _ destination: LogDestination, producers: Int = 1, ring: ByteCount = .mebibytes(1), timing: LogWriter.Timing = quickTiming(), reports: Reports = Reports()
) throws -> LogWriter {
    try LogWriter(producers: producers, ringBytes: ring, destination: destination, timing: timing) { reports.add($0) }
}

/// Sum of the lines that tell of dropped ones, and all other lines.
private func sorted(_ lines: [String]) -> (dropped: Int, others: [String]) {
    let notices = lines.filter { $0.hasPrefix(#"{"v":1,"kind":"log","dropped":"#) }
    return (notices.reduce(0) { $0 + (Int($1.dropFirst(30).dropLast()) ?? 0) }, lines.filter { !$0.hasPrefix(#"{"v":1,"kind":"log""#) })
}

/// A pipe whose ends the test holds; neither blocks the test.
private final class Pipe: Sendable {
    let readEnd, writeEnd: Int32
    private let readEndIsOpen = Atomic<Bool>(true)

    init() throws {
        var ends: [Int32] = [0, 0]
        try #require(pipe(&ends) == 0)
        (readEnd, writeEnd) = (ends[0], ends[1])
        _ = fcntl(readEnd, F_SETFL, O_NONBLOCK)
    }

    deinit {
        closeReadEnd()
        close(writeEnd)
    }

    func closeReadEnd() { if readEndIsOpen.exchange(false, ordering: .relaxed) { close(readEnd) } }

    func readAll() -> String { drain(readEnd) }
}

private func drain(_ descriptor: Int32) -> String {
    var bytes: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 65_536)
    while case let count = read(descriptor, &piece, piece.count), count > 0 { bytes += piece[..<count] }
    return String(decoding: bytes, as: UTF8.self)
}

@Suite("The log writer")
struct AccessLogWriterTests {
    @Test("appends lines to a file that it makes with mode 0640 at most")
    func file() async throws {
        let folder = try TemporaryFolder()
        let log = try writer(.file(path: folder.file("access.log")))
        log.rings[0].write("one")
        log.rings[0].write("two")
        #expect(await eventually { folder.lines("access.log") == ["one", "two"] })
        log.stop()
        let again = try writer(.file(path: folder.file("access.log")))
        again.rings[0].write("three")
        again.stop()
        #expect(folder.lines("access.log") == ["one", "two", "three"])
        let mode = try FileManager.default.attributesOfItem(atPath: folder.file("access.log"))[.posixPermissions] as? Int
        #expect((mode ?? 0o777) & ~0o640 == 0)
    }

    @Test("delivers a line that comes after a long silence")
    func wakesUp() async throws {
        let folder = try TemporaryFolder()
        let log = try writer(.file(path: folder.file("access.log")))
        for number in 0..<20 {
            log.rings[0].write("\(number)")
            #expect(await eventually(within: .seconds(5)) { folder.lines("access.log").count == number + 1 })
            try await Task.sleep(for: .milliseconds(number % 4 * 4))
        }
        log.stop()
    }

    @Test("keeps each producer's order and every line whole, with four producers at once")
    func concurrent() async throws {
        let folder = try TemporaryFolder()
        let log = try writer(.file(path: folder.file("access.log")), producers: 4, ring: .kibibytes(16))
        let count = 20_000
        await withTaskGroup(of: Void.self) { group in
            for producer in 0..<4 {
                group.addTask {
                    for number in 0..<count { log.rings[producer].writeWaiting("\(producer):\(number):\(String(repeating: "x", count: number % 100))") }
                }
            }
        }
        log.stop()
        let lines = sorted(folder.lines("access.log")).others
        #expect(lines.count == 4 * count)
        var next = [0, 0, 0, 0]
        for line in lines {
            let parts = line.split(separator: ":", omittingEmptySubsequences: false)
            guard parts.count == 3, let producer = Int(parts[0]), let number = Int(parts[1]), parts[2].count == number % 100, next[producer] == number else {
                Issue.record("out of order or broken: \(line)")
                return
            }
            next[producer] += 1
        }
    }

    @Test("goes on in a new file when the old one was renamed, removed, or a reopening is asked for, and loses nothing", arguments: ["rename", "remove", "reopen"])
    func rotation(manner: String) async throws {
        let folder = try TemporaryFolder()
        var timing = quickTiming()
        if manner == "reopen" { timing.fileCheck = .seconds(3600) }
        let log = try writer(.file(path: folder.file("access.log")), timing: timing)
        log.rings[0].write("before")
        #expect(await eventually { folder.lines("access.log") == ["before"] })
        switch manner {
        case "remove": unlink(folder.file("access.log"))
        default: rename(folder.file("access.log"), folder.file("access.log.1"))
        }
        if manner == "reopen" { log.reopen() }
        var written: [String] = []
        #expect(await eventually {
            written.append("after \(written.count)")
            log.rings[0].write(written.last ?? "")
            return !folder.lines("access.log").isEmpty
        })
        log.stop()
        if manner != "remove" {
            #expect(folder.lines("access.log.1") + folder.lines("access.log") == ["before"] + written)
        }
        #expect(folder.lines("access.log").last == written.last)
    }

    @Test("keeps the old file when the new one cannot be opened, and says so once")
    func reopeningFails() async throws {
        let folder = try TemporaryFolder()
        let reports = Reports()
        try FileManager.default.createDirectory(atPath: folder.file("logs"), withIntermediateDirectories: true)
        let log = try writer(.file(path: folder.file("logs/access.log")), reports: reports)
        log.rings[0].write("one")
        #expect(await eventually { folder.lines("logs/access.log") == ["one"] })
        rename(folder.file("logs"), folder.file("moved"))
        #expect(await eventually {
            log.rings[0].write("more")
            return !reports.all.isEmpty
        })
        for _ in 0..<50 { log.rings[0].write("more") }
        log.stop()
        #expect(reports.all.count == 1)
        guard case .cannotOpen(let destination, let reason)? = reports.all.first else { Issue.record("\(reports.all)"); return }
        #expect(destination == folder.file("logs/access.log") && reason == "No such file or directory")
        #expect(folder.lines("moved/access.log").count > 50)
    }

    @Test("refuses to start where its file cannot be opened")
    func cannotOpen() throws {
        #expect(throws: LogFault.cannotOpen(destination: "/nonexistent/access.log", reason: "No such file or directory")) {
            _ = try writer(.file(path: "/nonexistent/access.log"))
        }
    }

    @Test("never stops a producer when the disk is full: it drops, counts, and reports once a minute")
    func diskFull() async throws {
        let reports = Reports()
        let log = try writer(.file(path: "/dev/full"), ring: .kibibytes(4), reports: reports)
        let started = ContinuousClock.now
        for number in 0..<10_000 { log.rings[0].write("line \(number)") }
        #expect(ContinuousClock.now - started < .seconds(5))
        #expect(await eventually { !reports.all.isEmpty })
        log.stop()
        #expect(log.droppedLines == 10_000)
        let writes = reports.all.filter { if case .cannotWrite = $0 { true } else { false } }
        #expect(writes == [.cannotWrite(destination: "/dev/full", reason: "No space left on device")])
        #expect(reports.all.contains { if case .dropped = $0 { true } else { false } })
    }

    @Test("repeats a report after its interval")
    func reportsAgain() async throws {
        let reports = Reports()
        var timing = quickTiming()
        timing.report = .milliseconds(10)
        let log = try writer(.file(path: "/dev/full"), timing: timing, reports: reports)
        log.rings[0].write("line")
        #expect(await eventually { reports.all.filter { if case .cannotWrite = $0 { true } else { false } }.count >= 3 })
        log.stop()
    }

    @Test("does not wait for a reader that does not read: it drops, and tells the reader how many lines are missing", arguments: ["pipe", "own pipe", "socket"])
    func slowReader(kind: String) async throws {
        let pipe = try Pipe()
        var sockets: [Int32] = [0, 0]
        try #require(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &sockets) == 0)
        defer { for descriptor in sockets { close(descriptor) } }
        _ = fcntl(sockets[0], F_SETFL, O_NONBLOCK)
        let (destination, reader): (LogDestination, Int32) = switch kind {
        case "pipe": (.descriptor(pipe.writeEnd), pipe.readEnd)
        case "own pipe": (.file(path: "/proc/self/fd/\(pipe.writeEnd)"), pipe.readEnd)
        default: (.descriptor(sockets[1]), sockets[0])
        }
        let log = try writer(destination, ring: .kibibytes(64))
        let count = 20_000
        for number in 0..<count { log.rings[0].write("line \(number) \(String(repeating: "x", count: number % 90))") }
        var text = ""
        #expect(await eventually {
            text += drain(reader)
            let (dropped, others) = sorted(text.split(separator: "\n").map(String.init))
            return others.count + dropped == count && text.hasSuffix("\n")
        })
        log.stop()
        let others = sorted(text.split(separator: "\n").map(String.init)).others
        #expect(others.count < count)
        var last = -1
        for line in others {
            let parts = line.split(separator: " ", omittingEmptySubsequences: false)
            guard parts.count == 3, let number = Int(parts[1]), number > last, parts[2].count == number % 90 else {
                Issue.record("broken: \(line)")
                return
            }
            last = number
        }
        // The descriptor that was given is still its owner's, and still blocks.
        #expect(fcntl(pipe.writeEnd, F_GETFL) & O_NONBLOCK == 0)
    }

    @Test("survives a reader that leaves, without a signal, and says so")
    func brokenPipe() async throws {
        let pipe = try Pipe()
        let reports = Reports()
        let log = try writer(.descriptor(pipe.writeEnd), reports: reports)
        log.rings[0].write("one")
        #expect(await eventually { pipe.readAll() == "one\n" })
        pipe.closeReadEnd()
        log.rings[0].write("two")
        #expect(await eventually { !reports.all.isEmpty })
        log.stop()
        // With the last reader gone the pipe may also refuse to be opened for writing; here it was open before.
        #expect(reports.all.first == .cannotWrite(destination: "on descriptor \(pipe.writeEnd)", reason: "Broken pipe"))
        #expect(log.droppedLines == 1)
    }

    @Test("does not begin a new file with the rest of a line that the old one has half of")
    func cutLine() async throws {
        let folder = try TemporaryFolder()
        let path = folder.file("access.log")
        try #require(mkfifo(path, 0o600) == 0)
        let reader = open(path, O_RDONLY | O_NONBLOCK)
        defer { close(reader) }
        let log = try writer(.file(path: path))
        // More than a pipe holds, in lines that fill no page evenly.
        for number in 0..<2000 { log.rings[0].write("\(number) \(String(repeating: "x", count: 93))") }
        // Full by pages: how many bytes that are depends on how the lines came.
        let probe = open(path, O_WRONLY | O_NONBLOCK)
        #expect(await eventually { var wish = pollfd(fd: probe, events: Int16(POLLOUT), revents: 0); return poll(&wish, 1, 0) == 0 })
        close(probe)
        unlink(path)
        log.reopen()
        #expect(await eventually { folder.lines("access.log").count > 10 })
        log.stop()
        for line in folder.lines("access.log") where !line.hasPrefix("{") { #expect(line.hasSuffix(" " + String(repeating: "x", count: 93)) && Int(line.prefix { $0 != " " }) != nil) }
        // The one that was cut may lack no more than its end.
        let old = drain(reader).split(separator: "\n", omittingEmptySubsequences: false).dropLast().filter { $0.hasSuffix(String(repeating: "x", count: 93)) && $0.count > 93 }
        #expect(old.count + sorted(folder.lines("access.log")).others.count + log.droppedLines == 2000)
    }

    @Test("delivers what waits when it is stopped, and can be stopped twice and from many threads")
    func stops() async throws {
        let folder = try TemporaryFolder()
        let log = try writer(.file(path: folder.file("access.log")), producers: 3)
        for number in 0..<3000 { log.rings[number % 3].write("\(number)") }
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<4 { group.addTask { log.stop() } }
        }
        log.stop()
        #expect(folder.lines("access.log").count == 3000)
        #expect(log.droppedLines == 0)
    }

    @Test("stops in time when its destination takes nothing, and counts what it could not deliver")
    func stopsInTime() throws {
        let pipe = try Pipe()
        let reports = Reports()
        let log = try writer(.descriptor(pipe.writeEnd), reports: reports)
        for number in 0..<5000 { log.rings[0].write("line \(number) \(String(repeating: "x", count: 100))") }
        let started = ContinuousClock.now
        log.stop()
        #expect(ContinuousClock.now - started < .seconds(5))
        let delivered = pipe.readAll().split(separator: "\n").count
        // The line that was cut counts as lost, though its beginning was read.
        #expect((5000...5001).contains(delivered + log.droppedLines))
        #expect(reports.all.contains { if case .dropped = $0 { true } else { false } })
    }
}
