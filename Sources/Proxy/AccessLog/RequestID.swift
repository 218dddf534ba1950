/// The name of one request: a UUID of version 7 (RFC 9562 §5.7), so that names sort by time (E3). No secret.
package struct RequestID: Sendable, Hashable, CustomStringConvertible {
    package let high, low: UInt64

    package init(high: UInt64, low: UInt64) { (self.high, self.low) = (high, low) }

    /// Reads the 36-byte form in either case; any version, since a trusted peer may have given it. `nil` for all else.
    package init?(_ text: Span<UInt8>) {
        guard text.count == 36 else { return nil }
        var words: (high: UInt64, low: UInt64) = (0, 0)
        for index in 0..<36 {
            let byte = text[index]
            if index == 8 || index == 13 || index == 18 || index == 23 {
                guard byte == UInt8(ascii: "-") else { return nil }
                continue
            }
            let digit: UInt8
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = byte - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = byte - UInt8(ascii: "a") + 10
            case UInt8(ascii: "A")...UInt8(ascii: "F"): digit = byte - UInt8(ascii: "A") + 10
            default: return nil
            }
            words = (words.high << 4 | words.low >> 60, words.low << 4 | UInt64(digit))
        }
        (high, low) = words
    }

    /// The 36 bytes of its text, in lower case.
    package var text: InlineArray<36, UInt8> {
        var text: InlineArray<36, UInt8> = .init(repeating: UInt8(ascii: "-"))
        var position = 0
        for digit in 0..<32 {
            if digit == 8 || digit == 12 || digit == 16 || digit == 20 { position &+= 1 }
            let word = digit < 16 ? high : low
            text[position] = hexadecimalDigit(UInt8(truncatingIfNeeded: word >> UInt64(60 &- digit % 16 &* 4)) & 15)
            position &+= 1
        }
        return text
    }

    package func append(to bytes: inout [UInt8]) {
        let text = text
        unsafe text.span.withUnsafeBufferPointer { unsafe bytes.append(contentsOf: $0) }
    }

    package var description: String {
        var bytes: [UInt8] = []
        append(to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }
}
