internal import CNghttp2

/// Looks at every value of the SETTINGS frames that go by, in their order (RFC 9113 §6.5.3): libnghttp2 keeps the last value of each setting in
/// a frame and looks at that alone.
struct SettingsCheck: Sendable {
    /// What the first value that may not be has to be answered with (§6.5.2).
    private(set) var violation: ErrorCode?
    private var position = 0
    private var identifier: UInt32 = 0
    private var value: UInt32 = 0

    mutating func frameBegan() { position = 0 }

    /// A piece of the payload, however it is cut.
    mutating func read(_ payload: UnsafeRawBufferPointer) {
        for index in payload.indices {
            let byte = unsafe payload[index]
            if position == 0 { (identifier, value) = (0, 0) }
            if position < 2 { identifier = identifier << 8 | UInt32(byte) } else { value = value << 8 | UInt32(byte) }
            position += 1
            guard position == 6 else { continue }
            position = 0
            if violation == nil { violation = Self.violation(identifier, value) }
        }
    }

    private static func violation(_ identifier: UInt32, _ value: UInt32) -> ErrorCode? {
        switch identifier {
        case NGHTTP2_SETTINGS_ENABLE_PUSH.rawValue: value > 1 ? .protocolError : nil
        case NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE.rawValue: value > 0x7FFF_FFFF ? .flowControlError : nil
        case NGHTTP2_SETTINGS_MAX_FRAME_SIZE.rawValue: (16_384...0xFF_FFFF).contains(value) ? nil : .protocolError
        default: nil
        }
    }
}
