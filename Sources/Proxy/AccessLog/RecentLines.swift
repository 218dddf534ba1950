internal import Glibc

/// The last lines of one loop's access log, for whoever asks about a request: 1,024 of them at most, in a fixed memory of 1 MiB of which
/// only what was written is ever resident.
struct RecentLines {
    static let linesMax = 1024
    static let bytesMax = 1 << 20
    /// A longer line, which only a long path makes, is not kept.
    static let lineBytesMax = 16 << 10

    /// Where a line stands, counted from the first byte ever written.
    private struct Place {
        var offset = 0
        var count = 0
    }

    private let memory: LineMemory
    private var places = [Place](repeating: Place(), count: linesMax)
    private var written = 0
    private var lines = 0

    init() { memory = LineMemory(Self.bytesMax) }

    mutating func append(_ line: Span<UInt8>) {
        guard line.count > 0, line.count <= Self.lineBytesMax else { return }
        // A line is never cut in two.
        let left = Self.bytesMax - written % Self.bytesMax
        if left < line.count { written += left }
        memory.write(line, at: written % Self.bytesMax)
        places[lines % Self.linesMax] = Place(offset: written, count: line.count)
        written += line.count
        lines += 1
    }

    /// The newest line that holds these bytes.
    func line(with text: [UInt8]) -> [UInt8]? {
        for back in 0..<min(lines, Self.linesMax) {
            let place = places[(lines - 1 - back) % Self.linesMax]
            guard written - place.offset <= Self.bytesMax else { return nil }
            let line = memory.read(at: place.offset % Self.bytesMax, count: place.count)
            if line.firstRange(of: text) != nil { return line }
        }
        return nil
    }
}

/// Owner of the memory: pages that nobody wrote cost nothing.
@safe private final class LineMemory {
    private let start: UnsafeMutableRawPointer?

    init(_ count: Int) { unsafe start = calloc(1, count) }

    deinit { unsafe free(start) }

    func write(_ line: Span<UInt8>, at offset: Int) {
        guard let start = unsafe start else { return }
        unsafe line.withUnsafeBytes { bytes in
            if let source = bytes.baseAddress { unsafe memcpy(start + offset, source, bytes.count) }
        }
    }

    func read(at offset: Int, count: Int) -> [UInt8] {
        guard let start = unsafe start else { return [] }
        return unsafe Array(UnsafeRawBufferPointer(start: start + offset, count: count))
    }
}
