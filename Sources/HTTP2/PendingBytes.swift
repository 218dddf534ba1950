/// Body bytes of one stream that wait for the client's window; taken from the front.
struct PendingBytes: Sendable {
    private var bytes: [UInt8] = []
    private var start = 0

    var count: Int { bytes.count - start }

    mutating func append(_ more: Span<UInt8>) {
        if start > 0, start >= bytes.count - start {
            bytes.removeSubrange(0..<start)
            start = 0
        }
        unsafe more.withUnsafeBufferPointer { unsafe bytes.append(contentsOf: $0) }
    }

    /// Moves `wanted` bytes, which are there, to `target`.
    mutating func take(_ wanted: Int, into target: UnsafeMutableRawPointer) {
        let taken = min(wanted, count)
        unsafe bytes.withUnsafeBytes { source in
            if let base = source.baseAddress { unsafe target.copyMemory(from: base + start, byteCount: taken) }
        }
        start += taken
        guard start == bytes.count else { return }
        start = 0
        bytes.removeAll(keepingCapacity: bytes.capacity <= Self.capacityKept)
    }

    private static let capacityKept = 64 * 1024
}
