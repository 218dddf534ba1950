/// True when `range` holds `host[:port]` (RFC 3986 §3.2.2, §3.2.3): letters, digits, hyphens and dots, or an address in
/// brackets; a port of 1 to 5 digits up to 65535. What the name means is `Hostname`'s to say.
func isAuthority(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Bool {
    var position = range.lowerBound
    let end = range.upperBound
    guard position < end, range.count <= 300 else { return false }
    if bytes[position] == UInt8(ascii: "[") {
        position += 1
        let first = position
        while position < end, isAddressByte(bytes[position]) { position += 1 }
        guard position < end, position > first, bytes[position] == UInt8(ascii: "]") else { return false }
        position += 1
    } else {
        let first = position
        while position < end, ByteSet.fieldName.contains(bytes[position]) || bytes[position] == UInt8(ascii: ".") { position += 1 }
        guard position > first else { return false }
    }
    guard position < end else { return true }
    guard bytes[position] == colon, end - position >= 2, end - position <= 6 else { return false }
    var port = 0
    for index in (position + 1)..<end {
        guard isDigit(bytes[index]) else { return false }
        port = port * 10 + Int(bytes[index] - 48)
    }
    return port <= 65535
}

/// A hexadecimal digit, a colon or a dot.
private func isAddressByte(_ byte: UInt8) -> Bool {
    isDigit(byte) || (byte | 0x20) &- 97 < 6 || byte == colon || byte == UInt8(ascii: ".")
}
