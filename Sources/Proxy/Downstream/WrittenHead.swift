internal import HTTP2

/// A response's head that `HeadWriter` has written in HTTP/1.1 form, read back as HTTP/2 fields: so that both protocols send the very same
/// fields. The text is our own, hence well-formed.
enum WrittenHead {
    static func read(_ text: [UInt8], into fields: inout HeadFields) {
        // `HTTP/1.1 200 …`
        var status = 0
        for index in 9..<12 where index < text.count { status = status * 10 + Int(text[index] &- UInt8(ascii: "0")) }
        fields.begin(status: status)
        guard let end = text.firstIndex(of: lineFeed) else { return }
        readLines(text, from: end + 1, into: &fields)
    }

    /// Field lines, each ended by CR LF.
    static func readLines(_ text: [UInt8], from start: Int = 0, into fields: inout HeadFields) {
        let bytes = text.span
        var position = start
        while position < bytes.count, bytes[position] != carriageReturn {
            var colon = position
            while colon < bytes.count, bytes[colon] != UInt8(ascii: ":") { colon += 1 }
            var end = colon
            while end < bytes.count, bytes[end] != carriageReturn { end += 1 }
            // Written as `name: value`.
            let value = min(colon + 2, end)
            let name = bytes.extracting(position..<colon)
            if !isConnectionSpecific(name) { fields.append(name: name, value: bytes.extracting(value..<end)) }
            position = end + 2
        }
    }

    /// Which of our own fields HTTP/2 does not have (RFC 9113 §8.2.2).
    private static func isConnectionSpecific(_ name: Span<UInt8>) -> Bool {
        switch name.count {
        case 10: ("connection" as StaticString).spellsIgnoringCase(name)
        case 17: ("transfer-encoding" as StaticString).spellsIgnoringCase(name)
        default: false
        }
    }
}

private let carriageReturn = UInt8(ascii: "\r")
private let lineFeed = UInt8(ascii: "\n")
