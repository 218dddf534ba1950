internal import CZlib

/// The one owner of a zlib stream: bytes in, gzip (RFC 1952) out, no I/O. Used again for the next body after `reset`.
///
/// It holds about 135 KiB: 64 KiB for a window of 16 KiB, 64 KiB for tables (zlib.h, deflateInit2). The next larger sizes cost twice that and
/// made a page, a program and a JSON list of 1.1 MB 0 to 3 % smaller at level 4, which took 10 to 16 ms for each; level 6 took up to twice as
/// long for 5 to 7 % less (zlib 1.2.13).
@safe package final class GzipEncoder {
    package enum Flush: Sendable {
        /// Keep what does not fill a block yet.
        case none
        /// Everything that has come can be read by the client.
        case sync
        /// The body's end.
        case finish
    }

    /// What one step did.
    package struct Progress: Equatable, Sendable {
        package var consumed: Int
        package var produced: Int
        /// The flush is complete: there is nothing more to give for what has come.
        package var isComplete: Bool
    }

    private let stream: UnsafeMutablePointer<z_stream>

    /// gzip's own header and trailer instead of zlib's.
    private static let gzipFormat: Int32 = 16
    private static let windowBits: Int32 = 14
    private static let memoryLevel: Int32 = 7

    /// - Parameter level: 1, the fastest, to 9.
    /// - Returns: `nil` without memory.
    package init?(level: Int) {
        unsafe stream = .allocate(capacity: 1)
        unsafe stream.initialize(to: z_stream())
        let result = unsafe metaflow_gateway_deflate_init(stream, Int32(min(9, max(1, level))), Self.windowBits + Self.gzipFormat, Self.memoryLevel)
        guard result == Z_OK else {
            unsafe stream.deallocate()
            return nil
        }
    }

    deinit {
        unsafe deflateEnd(stream)
        unsafe stream.deallocate()
    }

    /// Ready for another body.
    package func reset() { unsafe deflateReset(stream) }

    /// Takes from `input` and gives to `room`, as far as both go. To be called again with the rest of the input until it is complete.
    /// - Returns: `nil` when zlib refuses, which it does for no input; the body cannot be ended then.
    package func encode(_ input: UnsafeRawBufferPointer, into room: UnsafeMutableRawBufferPointer, _ flush: Flush) -> Progress? {
        let inputCount = min(input.count, Self.stepMax), roomCount = min(room.count, Self.stepMax)
        let mode: Int32 = switch flush {
        case .none: Z_NO_FLUSH
        case .sync: Z_SYNC_FLUSH
        case .finish: Z_FINISH
        }
        let isWhole = inputCount == input.count
        // zlib does not write to its input; its field is not const unless ZLIB_CONST is defined.
        unsafe stream.pointee.next_in = UnsafeMutablePointer(mutating: input.baseAddress?.assumingMemoryBound(to: UInt8.self))
        unsafe stream.pointee.avail_in = UInt32(inputCount)
        unsafe stream.pointee.next_out = room.baseAddress?.assumingMemoryBound(to: UInt8.self)
        unsafe stream.pointee.avail_out = UInt32(roomCount)
        let result = unsafe deflate(stream, isWhole ? mode : Z_NO_FLUSH)
        let consumed = unsafe inputCount - Int(stream.pointee.avail_in), left = unsafe Int(stream.pointee.avail_out)
        // The caller's memory is its own again.
        unsafe stream.pointee.next_in = nil
        unsafe stream.pointee.next_out = nil
        switch result {
        case Z_STREAM_END: return Progress(consumed: consumed, produced: roomCount - left, isComplete: true)
        // Z_BUF_ERROR: nothing could be done with what was there, which is no fault (zlib.h, deflate).
        case Z_OK, Z_BUF_ERROR:
            return Progress(consumed: consumed, produced: roomCount - left, isComplete: isWhole && consumed == inputCount && left > 0 && flush != .finish)
        default: return nil
        }
    }

    private static let stepMax = 1 << 30
}
