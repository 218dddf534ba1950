internal import CNghttp2

/// Reads the headers of the frames that go by (RFC 9113 §4.1), however the bytes are cut. libnghttp2 tells of every frame but DATA on a stream
/// that is over, which it drops in silence.
struct FrameHeaders: Sendable {
    /// Bytes that are no header: at first the client's preface (§3.4), then payloads.
    private var passing = 24
    private var position = 0
    private var length = 0
    private var type: UInt8 = 0
    private var stream: UInt32 = 0
    private(set) var settings = SettingsCheck()

    mutating func read(_ bytes: UnsafeRawBufferPointer, _ frameBegan: (_ type: UInt8, _ stream: Int32) -> Void) {
        var index = 0
        while index < bytes.count {
            if passing > 0 {
                let count = min(passing, bytes.count - index)
                if UInt32(type) == NGHTTP2_SETTINGS.rawValue { unsafe settings.read(UnsafeRawBufferPointer(rebasing: bytes[index..<index + count])) }
                passing -= count
                index += count
                continue
            }
            let byte = unsafe bytes[index]
            index += 1
            switch position {
            case 0...2: length = length << 8 | Int(byte)
            case 3: type = byte
            case 4: break
            default: stream = stream << 8 | UInt32(byte)
            }
            position += 1
            guard position == SessionContext.frameHeaderCount else { continue }
            settings.frameBegan()
            frameBegan(type, Int32(truncatingIfNeeded: stream & 0x7FFF_FFFF))
            passing = length
            position = 0
            length = 0
            stream = 0
        }
    }
}
