import Foundation
import Proxy
import Synchronization
import Testing

private func contents(_ ring: LogRing) -> [UInt8] {
    var bytes: [UInt8] = []
    ring.withWaiting { bytes.append(contentsOf: $0) }
    return bytes
}

private func text(_ ring: LogRing) -> String { String(decoding: contents(ring), as: UTF8.self) }

extension LogRing {
    fileprivate func write(_ line: String) -> Bool {
        let bytes = Array(line.utf8)
        return write(bytes.span)
    }
}

@Suite("A log ring")
struct AccessLogRingTests {
    @Test("gives its lines back in order, however they lie across its end")
    func wrapsAround() throws {
        let ring = LogRing(capacity: 1024, wakeup: try LogWakeup())
        for round in 0..<500 {
            let lines = (0...round % 5).map { "\(round)-\($0)-\(String(repeating: "x", count: (round * 37 + $0 * 11) % 190))\n" }
            for line in lines { #expect(ring.write(line)) }
            #expect(text(ring) == lines.joined())
            #expect(ring.take(lines.joined().utf8.count))
            #expect(ring.isEmpty)
        }
    }

    @Test("drops a line that does not fit whole, counts it, and takes the next one that does")
    func full() throws {
        let ring = LogRing(capacity: 1024, wakeup: try LogWakeup())
        let line = String(repeating: "a", count: 511) + "\n"
        #expect(ring.write(line))
        #expect(ring.write(line))
        #expect(!ring.write("b\n"))
        #expect(ring.droppedLines == 1)
        #expect(ring.take(512))
        #expect(!ring.write(line + "x"))
        #expect(ring.write(line))
        #expect(ring.droppedLines == 2)
        #expect(text(ring) == line + line)
    }

    @Test("takes a line as long as itself, and never one that is longer")
    func longest() throws {
        let ring = LogRing(capacity: 1000, wakeup: try LogWakeup())
        #expect(ring.capacity == 1024)
        #expect(!ring.write(String(repeating: "a", count: 1024) + "\n"))
        #expect(ring.write(String(repeating: "a", count: 1023) + "\n"))
        #expect(ring.write(""))
    }

    @Test("tells whether what was taken ends a line, and lets the rest of one go")
    func cutLines() throws {
        let ring = LogRing(capacity: 1024, wakeup: try LogWakeup())
        #expect(ring.write("first\n"))
        #expect(ring.write("second\n"))
        #expect(ring.take(6))
        #expect(!ring.take(3))
        ring.takeRestOfLine()
        #expect(ring.isEmpty)
        #expect(ring.write("third\n"))
        #expect(ring.write("fourth\n"))
        #expect(ring.discardAll() == 2)
        #expect(ring.isEmpty)
    }

    @Test("carries every line from one thread to another while both run")
    func concurrent() async throws {
        let ring = LogRing(capacity: 4096, wakeup: try LogWakeup())
        let count = 200_000
        Thread.detachNewThread {
            for number in 0..<count { while !ring.write("\(number)\n") { sched_yield() } }
        }
        var seen: [UInt8] = []
        var expected = 0
        let deadline = ContinuousClock.now + .seconds(60)
        while expected < count, ContinuousClock.now < deadline {
            let piece = contents(ring)
            guard !piece.isEmpty else { await Task.yield(); continue }
            _ = ring.take(piece.count)
            seen += piece
            while let end = seen.firstIndex(of: UInt8(ascii: "\n")) {
                guard seen[..<end].elementsEqual("\(expected)".utf8) else { Issue.record("line \(expected) is broken"); return }
                expected += 1
                seen.removeFirst(end + 1)
            }
        }
        #expect(expected == count)
    }
}
