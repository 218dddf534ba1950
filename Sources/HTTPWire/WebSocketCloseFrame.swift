/// A Close frame (RFC 6455 §5.5.1).
package enum WebSocketCloseFrame {
    /// Longest reason, in bytes: a control frame holds 125, two of which are the code.
    package static let reasonBytesMax = 123

    /// - Parameters:
    ///   - code: what §7.4.1 allows in a frame, such as 1001 or 1008.
    ///   - reason: text for people; what is over the limit is left out.
    ///   - maskingKey: for a frame that goes to a server (§5.3), `nil` for one to a client.
    package static func bytes(code: UInt16, reason: StaticString, maskingKey: UInt32?) -> [UInt8] {
        var payload = [UInt8(truncatingIfNeeded: code >> 8), UInt8(truncatingIfNeeded: code)]
        reason.withUTF8Buffer { text in
            for index in 0..<min(text.count, reasonBytesMax) { payload.append(unsafe text[index]) }
        }
        var frame: [UInt8] = [0x88, UInt8(payload.count) | (maskingKey == nil ? 0 : 0x80)]
        guard let maskingKey else { return frame + payload }
        let key = (0..<4).map { UInt8(truncatingIfNeeded: maskingKey >> UInt32(24 - 8 * $0)) }
        frame += key
        for index in payload.indices { frame.append(payload[index] ^ key[index & 3]) }
        return frame
    }
}
