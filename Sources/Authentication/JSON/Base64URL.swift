/// Base64 with the URL alphabet and without padding (RFC 4648 §5, RFC 7515 §2).
///
/// One byte sequence has exactly one text: padding, white space, foreign characters, an impossible length and unused bits
/// that are not zero are all refused, since a second text for one token is a second cache entry and a second log line.
package enum Base64URL {
    /// The bytes, or nil where the text is not canonical. At most three quarters of the text's length.
    package static func decode(_ text: Span<UInt8>) -> [UInt8]? {
        let remainder = text.count & 3
        guard remainder != 1 else { return nil }
        let table = values
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.count / 4 * 3 + 2)
        var index = 0
        let whole = text.count - remainder
        while index < whole {
            let a = table[Int(text[index])], b = table[Int(text[index + 1])]
            let c = table[Int(text[index + 2])], d = table[Int(text[index + 3])]
            guard (a | b | c | d) & foreign == 0 else { return nil }
            bytes.append(a << 2 | b >> 4)
            bytes.append(b << 4 | c >> 2)
            bytes.append(c << 6 | d)
            index += 4
        }
        switch remainder {
        case 2:
            let a = table[Int(text[index])], b = table[Int(text[index + 1])]
            guard (a | b) & foreign == 0, b & 0x0f == 0 else { return nil }
            bytes.append(a << 2 | b >> 4)
        case 3:
            let a = table[Int(text[index])], b = table[Int(text[index + 1])], c = table[Int(text[index + 2])]
            guard (a | b | c) & foreign == 0, c & 0x03 == 0 else { return nil }
            bytes.append(a << 2 | b >> 4)
            bytes.append(b << 4 | c >> 2)
        default:
            break
        }
        return bytes
    }

    /// The one text of these bytes.
    package static func encode(_ bytes: Span<UInt8>) -> [UInt8] {
        let letters = alphabet
        var text: [UInt8] = []
        text.reserveCapacity((bytes.count * 4 + 2) / 3)
        var index = 0
        while index + 2 < bytes.count {
            let a = bytes[index], b = bytes[index + 1], c = bytes[index + 2]
            text.append(letters[Int(a >> 2)])
            text.append(letters[Int(a << 4 & 0x3f | b >> 4)])
            text.append(letters[Int(b << 2 & 0x3f | c >> 6)])
            text.append(letters[Int(c & 0x3f)])
            index += 3
        }
        switch bytes.count - index {
        case 1:
            text.append(letters[Int(bytes[index] >> 2)])
            text.append(letters[Int(bytes[index] << 4 & 0x3f)])
        case 2:
            let a = bytes[index], b = bytes[index + 1]
            text.append(letters[Int(a >> 2)])
            text.append(letters[Int(a << 4 & 0x3f | b >> 4)])
            text.append(letters[Int(b << 2 & 0x3f)])
        default:
            break
        }
        return text
    }

    private static let foreign: UInt8 = 0x80
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
    private static let values: [UInt8] = {
        var table = [UInt8](repeating: foreign, count: 256)
        for (value, letter) in alphabet.enumerated() { table[Int(letter)] = UInt8(value) }
        return table
    }()
}
