/// Where the frames of one direction of a WebSocket begin and end (RFC 6455 §5.2), followed over the bytes as they pass by. Payloads are
/// neither changed nor looked at; only the code of a Close frame is read.
///
/// It judges nothing: what an endpoint must refuse it refuses itself (§7.1.7), extensions give reserved bits and opcodes a meaning, and a gateway
/// that judged too could judge differently. A breach that makes the borders doubtful only ends the following: bytes still pass, and nothing can be
/// put between them any more.
package struct WebSocketFrames: Sendable, Equatable {
    package enum Sender: Sendable, Equatable { case client, server }

    /// Why the borders of frames are no longer known.
    package enum Breach: String, Sendable, Equatable, CaseIterable {
        /// A client masks every frame, a server none (§5.1). Other bytes than frames show here first.
        case maskWrong = "websocket_mask_wrong"
        /// The highest bit of a 64-bit length is set (§5.2).
        case lengthTooLarge = "websocket_length_too_large"
        /// A control frame longer than 125 bytes, or in fragments (§5.5).
        case controlFrameInvalid = "websocket_control_frame_invalid"
    }

    private let sender: Sender
    package private(set) var breach: Breach?
    /// A Close frame has passed whole: no frame may follow it (§5.5.1).
    package private(set) var hasClosed = false
    /// Its code; `nil` for a Close without one (1005 of §7.4.1).
    package private(set) var closeCode: UInt16?
    /// Frames that have passed whole, control frames among them.
    package private(set) var count: UInt64 = 0

    /// Of the header under way: how many bytes have come, and how many it has as far as is known.
    private var headerCount = 0
    private var headerLength = 2
    private var opcode: UInt8 = 0
    private var isFinal = false
    private var length: UInt64 = 0
    private var maskingKey: UInt32 = 0
    /// Bytes of the payload that have not passed yet.
    private var remaining: UInt64 = 0

    package init(from sender: Sender) { self.sender = sender }

    /// The last frame has passed whole and no byte of another one has: a frame may be put here.
    package var isBetween: Bool { headerCount == 0 && remaining == 0 && breach == nil }

    /// Follows these bytes.
    /// - Parameter stopsBetween: stop where a frame ends, also before the first byte.
    /// - Returns: how many bytes it went over; all of them behind a breach.
    package mutating func advance(over bytes: Span<UInt8>, stopsBetween: Bool = false) -> Int {
        var position = 0
        while position < bytes.count, breach == nil {
            if stopsBetween && isBetween { return position }
            if remaining > 0 {
                position += takePayload(bytes, from: position)
            } else {
                takeHeader(bytes[position])
                position += 1
            }
        }
        return breach == nil ? position : bytes.count
    }

    // MARK: The header, byte by byte: it may come in pieces

    private mutating func takeHeader(_ byte: UInt8) {
        switch headerCount {
        case 0:
            opcode = byte & 0x0F
            isFinal = byte & 0x80 != 0
            length = 0
            maskingKey = 0
        case 1:
            let isMasked = byte & 0x80 != 0
            guard isMasked == (sender == .client) else { return breach = .maskWrong }
            let count = byte & 0x7F
            if isControl, count > Self.controlPayloadMax || !isFinal { return breach = .controlFrameInvalid }
            headerLength = 2 + (count == 126 ? 2 : count == 127 ? 8 : 0) + (isMasked ? 4 : 0)
            length = count < 126 ? UInt64(count) : 0
        default:
            if headerLength - headerCount <= 4, sender == .client {
                maskingKey = maskingKey << 8 | UInt32(byte)
            } else {
                if headerCount == 2, byte & 0x80 != 0, headerLength >= 10 { return breach = .lengthTooLarge }
                length = length << 8 | UInt64(byte)
            }
        }
        headerCount += 1
        guard headerCount == headerLength else { return }
        remaining = length
        if remaining == 0 { endFrame() }
    }

    private var isControl: Bool { opcode & 0x08 != 0 }
    private static let controlPayloadMax = 125
    private static let closeOpcode: UInt8 = 0x8

    // MARK: The payload

    private mutating func takePayload(_ bytes: Span<UInt8>, from start: Int) -> Int {
        let count = Int(min(remaining, UInt64(bytes.count - start)))
        if opcode == Self.closeOpcode { readCode(bytes.extracting(start..<start + count)) }
        remaining -= UInt64(count)
        if remaining == 0 { endFrame() }
        return count
    }

    /// The first two bytes of a Close frame (§5.5.1), unmasked.
    private mutating func readCode(_ payload: Span<UInt8>) {
        guard length >= 2, !hasClosed else { return }
        var offset = length - remaining
        for index in 0..<payload.count where offset < 2 {
            let mask = UInt8(truncatingIfNeeded: maskingKey >> (offset == 0 ? 24 : 16))
            closeCode = (closeCode ?? 0) << 8 | UInt16(payload[index] ^ mask)
            offset += 1
        }
    }

    private mutating func endFrame() {
        count &+= 1
        if opcode == Self.closeOpcode { hasClosed = true }
        headerCount = 0
        headerLength = 2
    }
}
