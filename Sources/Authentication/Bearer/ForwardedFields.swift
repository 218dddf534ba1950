/// Writes the `X-Auth-*` family (C9). A value may come from a user's profile, so every byte outside visible ASCII, and the
/// percent sign, becomes `%XX`: no value can end its line, start another, or need a second decoding.
struct ForwardedFields {
    /// Of the groups' value; a longer list is left out whole and `x-auth-groups-truncated: true` stands for it, since a part
    /// of somebody's groups could mean more than all of them to an upstream that denies by group.
    static let groupsBytesMax = 4096

    private(set) var bytes: [UInt8] = []

    mutating func append(_ name: StaticString, _ value: String) {
        begin(name)
        encode(value, alsoComma: false)
        end()
    }

    mutating func append(_ name: StaticString, words: [String]) {
        guard !words.isEmpty else { return }
        begin(name)
        for (index, word) in words.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: " ")) }
            encode(word, alsoComma: false)
        }
        end()
    }

    /// Comma between, each percent-encoded, its own commas too.
    mutating func appendGroups(_ groups: [String]) {
        guard !groups.isEmpty else { return }
        let lineStart = bytes.count
        begin("groups")
        let valueStart = bytes.count
        for (index, group) in groups.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: ",")) }
            encode(group, alsoComma: true)
            if bytes.count - valueStart > Self.groupsBytesMax {
                bytes.removeSubrange(lineStart...)
                begin("groups-truncated")
                bytes.append(contentsOf: "true".utf8)
                break
            }
        }
        end()
    }

    private mutating func begin(_ name: StaticString) {
        bytes.append(contentsOf: "x-auth-".utf8)
        name.withUTF8Buffer { unsafe bytes.append(contentsOf: $0) }
        bytes.append(contentsOf: ": ".utf8)
    }

    private mutating func end() { bytes.append(contentsOf: "\r\n".utf8) }

    private mutating func encode(_ text: String, alsoComma: Bool) {
        let digits = Self.hexDigits
        for byte in text.utf8 {
            if byte > 0x20, byte < 0x7f, byte != UInt8(ascii: "%"), !(alsoComma && byte == UInt8(ascii: ",")) {
                bytes.append(byte)
            } else {
                bytes.append(UInt8(ascii: "%"))
                bytes.append(digits[Int(byte >> 4)])
                bytes.append(digits[Int(byte & 0x0f)])
            }
        }
    }

    private static let hexDigits = Array("0123456789ABCDEF".utf8)
}
