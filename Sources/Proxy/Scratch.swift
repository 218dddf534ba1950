internal import NIOCore

/// Buffers that the connections of one loop share, so that an idle connection holds none. A buffer that is still on its way to a
/// socket when it is wanted again is left to that socket and replaced.
final class Scratch {
    private let allocator = ByteBufferAllocator()
    private var ciphertext: ByteBuffer
    private var request: ByteBuffer
    private var response: ByteBuffer
    /// Above this a buffer is not kept.
    private static let keptMax = 256 * 1024

    init() {
        ciphertext = allocator.buffer(capacity: 18 * 1024)
        request = allocator.buffer(capacity: 4096)
        response = allocator.buffer(capacity: 16 * 1024)
    }

    /// Plaintext lives as long as its exchange: it is not shared.
    func takePlaintext(minimum: Int) -> ByteBuffer { allocator.buffer(capacity: minimum) }

    func takeCiphertext(minimum: Int) -> ByteBuffer { Self.take(&ciphertext, minimum) }
    func giveBackCiphertext(_ buffer: inout ByteBuffer) { Self.giveBack(&buffer, &ciphertext) }
    /// Heads on their way to an upstream.
    func takeRequest(minimum: Int) -> ByteBuffer { Self.take(&request, minimum) }
    func giveBackRequest(_ buffer: inout ByteBuffer) { Self.giveBack(&buffer, &request) }
    /// Heads and small bodies on their way to a client.
    func takeResponse(minimum: Int) -> ByteBuffer { Self.take(&response, minimum) }
    func giveBackResponse(_ buffer: inout ByteBuffer) { Self.giveBack(&buffer, &response) }

    private static func take(_ slot: inout ByteBuffer, _ minimum: Int) -> ByteBuffer {
        var buffer = ByteBuffer()
        swap(&buffer, &slot)
        buffer.clear(minimumCapacity: minimum)
        return buffer
    }

    private static func giveBack(_ buffer: inout ByteBuffer, _ slot: inout ByteBuffer) {
        guard buffer.capacity <= keptMax else { return }
        swap(&buffer, &slot)
    }
}
