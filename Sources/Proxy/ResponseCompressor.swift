internal import Compression
internal import NIOCore

/// gzip for the body of one response at a time, with what is ready to be written.
final class ResponseCompressor {
    private let encoder: GzipEncoder
    let level: Int
    private(set) var output = ByteBuffer()
    /// Something has gone in since the last flush.
    private var hasUnflushed = false

    init?(level: Int) {
        guard let encoder = GzipEncoder(level: level) else { return nil }
        self.encoder = encoder
        self.level = level
    }

    /// False when the body cannot go on.
    func encode(_ data: ByteBuffer) -> Bool {
        hasUnflushed = hasUnflushed || data.readableBytes > 0
        return run(data, .none)
    }

    func flush() -> Bool {
        guard hasUnflushed else { return true }
        hasUnflushed = false
        return run(ByteBuffer(), .sync)
    }

    func finish() -> Bool { run(ByteBuffer(), .finish) }

    /// Its memory stays, unless it is still on its way to the socket.
    func outputIsWritten() { output.clear() }

    /// Ready for another body.
    func reset() {
        encoder.reset()
        hasUnflushed = false
        if output.capacity > Self.keptOutputMax { output = ByteBuffer() } else { output.clear() }
    }

    private func run(_ data: ByteBuffer, _ flush: GzipEncoder.Flush) -> Bool {
        unsafe data.withUnsafeReadableBytes { input in
            var consumed = 0
            while true {
                var progress: GzipEncoder.Progress?
                unsafe _ = output.writeWithUnsafeMutableBytes(minimumWritableBytes: Self.roomBytes) { room in
                    unsafe progress = encoder.encode(UnsafeRawBufferPointer(rebasing: input[consumed...]), into: room, flush)
                    return progress?.produced ?? 0
                }
                guard let progress else { return false }
                consumed += progress.consumed
                if progress.isComplete { return true }
            }
        }
    }

    /// zlib wants room for more than the mark of a flush at each call (zlib.h, deflate).
    private static let roomBytes = 4096
    private static let keptOutputMax = 64 * 1024
}

/// The compressors of one loop.
final class CompressorPool {
    private var idle: [ResponseCompressor] = []
    private(set) var inUse = 0
    /// A few stay for the next bodies, so that zlib's tables are not made anew each time; the others' memory goes back.
    private static let idleMax = 2

    /// - Returns: `nil` when that many are at work, or there is no memory: the body leaves as it is.
    func take(level: Int, max limit: Int) -> ResponseCompressor? {
        guard inUse < limit else { return nil }
        if let last = idle.popLast(), last.level == level {
            inUse += 1
            return last
        }
        guard let made = ResponseCompressor(level: level) else { return nil }
        inUse += 1
        return made
    }

    func giveBack(_ compressor: ResponseCompressor) {
        inUse -= 1
        guard idle.count < Self.idleMax else { return }
        compressor.reset()
        idle.append(compressor)
    }
}
