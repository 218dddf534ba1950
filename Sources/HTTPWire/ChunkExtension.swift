/// The grammar of chunk extensions, byte by byte (RFC 9112 §7.1.1): `;` name [`=` token or quoted string], again and again,
/// with blanks around the signs. Extensions mean nothing here and are dropped, but what is no extension is refused.
struct ChunkExtension: Sendable {
    private enum Place {
        case beforeName, name, afterName, beforeValue, value, quoted, escaped, afterValue
    }

    private var place = Place.beforeName

    /// The line may end here.
    var mayEnd: Bool {
        switch place {
        case .name, .value, .afterName, .afterValue: true
        case .beforeName, .beforeValue, .quoted, .escaped: false
        }
    }

    /// Takes in a byte behind the first `;`; `false` when it cannot stand there. CR and LF are the caller's.
    mutating func accepts(_ byte: UInt8) -> Bool {
        let isToken = ByteSet.token.contains(byte)
        switch place {
        case .beforeName:
            guard isToken || isBlank(byte) else { return false }
            if isToken { place = .name }
        case .name, .afterName:
            if isToken { return place == .name }
            if isBlank(byte) { place = .afterName } else { return acceptsSign(byte, orEquals: true) }
        case .beforeValue:
            if isBlank(byte) { return true }
            guard isToken || byte == UInt8(ascii: "\"") else { return false }
            place = isToken ? .value : .quoted
        case .value, .afterValue:
            if isToken { return place == .value }
            if isBlank(byte) { place = .afterValue } else { return acceptsSign(byte, orEquals: false) }
        case .quoted:
            if byte == UInt8(ascii: "\"") { place = .afterValue } else if byte == UInt8(ascii: "\\") { place = .escaped }
            return isText(byte)
        case .escaped:
            place = .quoted
            return isText(byte)
        }
        return true
    }

    private mutating func acceptsSign(_ byte: UInt8, orEquals: Bool) -> Bool {
        if byte == UInt8(ascii: ";") {
            place = .beforeName
            return true
        }
        guard orEquals, byte == UInt8(ascii: "=") else { return false }
        place = .beforeValue
        return true
    }

    private func isText(_ byte: UInt8) -> Bool { byte == tab || byte >= 0x20 && byte != 0x7F }
}
