import Glibc
import Synchronization

/// Lines on their way from one event loop to the log writer: a ring of bytes with a single producer and a single consumer.
///
/// Writing never waits and never calls the system while lines flow: a line that does not fit is dropped whole and counted.
@safe
package final class LogRing: @unchecked Sendable {
    private let storage: UnsafeMutableRawPointer
    /// In bytes, a power of two.
    package let capacity: Int
    /// Bytes ever published by the producer and ever taken by the consumer; their difference is what waits.
    private let published = Atomic<Int>(0)
    private let taken = Atomic<Int>(0)
    private let dropped = Atomic<Int>(0)
    /// The producer's last look at `taken`: it only has to look again when the ring seems full.
    private var takenAsSeen = 0
    private let wakeup: LogWakeup

    /// `capacity` is rounded up to a power of two of 1 KiB…1 GiB.
    package init(capacity: Int, wakeup: LogWakeup) {
        var size = 1024
        while size < min(capacity, 1 << 30) { size <<= 1 }
        self.capacity = size
        unsafe storage = .allocate(byteCount: size, alignment: 64)
        self.wakeup = wakeup
    }

    deinit { unsafe storage.deallocate() }

    /// Lines that found no room, ever.
    package var droppedLines: Int { dropped.load(ordering: .relaxed) }

    /// Publishes one whole line, its newline included; false when it was dropped. To be called by the producer alone.
    @discardableResult
    package func write(_ line: Span<UInt8>) -> Bool {
        let start = published.load(ordering: .relaxed)
        if line.count > capacity - (start - takenAsSeen) {
            takenAsSeen = taken.load(ordering: .acquiring)
            guard line.count <= capacity - (start - takenAsSeen) else {
                dropped.wrappingAdd(1, ordering: .relaxed)
                return false
            }
        }
        let offset = start & (capacity - 1)
        let first = min(line.count, capacity - offset)
        unsafe line.withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress else { return }
            unsafe memcpy(storage + offset, base, first)
            unsafe memcpy(storage, base + first, bytes.count - first)
        }
        published.store(start + line.count, ordering: .sequentiallyConsistent)
        wakeup.signalIfAsleep()
        return true
    }

    // MARK: The consumer's side

    package var isEmpty: Bool { published.load(ordering: .sequentiallyConsistent) == taken.load(ordering: .relaxed) }

    /// Lends what waits, in the one or two pieces in which it lies. It stays until `take`.
    package func withWaiting(_ body: (UnsafeRawBufferPointer) -> Void) {
        let start = taken.load(ordering: .relaxed)
        let count = published.load(ordering: .acquiring) - start
        let offset = start & (capacity - 1)
        let first = min(count, capacity - offset)
        if first > 0 { unsafe body(UnsafeRawBufferPointer(start: storage + offset, count: first)) }
        if count > first { unsafe body(UnsafeRawBufferPointer(start: storage, count: count - first)) }
    }

    /// Frees the first `count` bytes of what waits; true when they end with a line's end.
    package func take(_ count: Int) -> Bool {
        guard count > 0 else { return true }
        let end = taken.load(ordering: .relaxed) + count
        let last = unsafe storage.load(fromByteOffset: (end - 1) & (capacity - 1), as: UInt8.self)
        taken.store(end, ordering: .releasing)
        return last == UInt8(ascii: "\n")
    }

    /// Frees the rest of a line whose beginning is gone.
    package func takeRestOfLine() {
        var position = taken.load(ordering: .relaxed)
        let end = published.load(ordering: .acquiring)
        while position < end {
            let byte = unsafe storage.load(fromByteOffset: position & (capacity - 1), as: UInt8.self)
            position += 1
            if byte == UInt8(ascii: "\n") { break }
        }
        taken.store(position, ordering: .releasing)
    }

    /// Frees everything and tells how many lines it was; the rest of a line counts as one.
    package func discardAll() -> Int {
        var lines = 0
        unsafe withWaiting { piece in
            unsafe lines += piece.reduce(0) { $0 + ($1 == UInt8(ascii: "\n") ? 1 : 0) }
        }
        taken.store(published.load(ordering: .acquiring), ordering: .releasing)
        return lines
    }
}
