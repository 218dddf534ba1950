internal import GatewayTerms
internal import HTTPWire

/// Reads X-Forwarded-For of a trusted peer: from the right, the first address that is not itself trusted (A8). Entries further left were
/// written by somebody whom nobody vouches for.
enum ForwardedFor {
    static func client(_ head: borrowing RequestHead, _ bytes: Span<UInt8>, trusted: [AddressRange]) -> IPAddress? {
        var entries: [String] = []
        for line in head.fields where line.field == .forwardedFamily {
            guard name.spellsIgnoringCase(bytes.extracting(line.name.range)) else { continue }
            entries += String(copying: bytes.extracting(line.value.range)).split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        }
        var client: IPAddress?
        for entry in entries.reversed().prefix(32) {
            guard let address = address(entry) else { return client }
            client = address
            if !trusted.contains(where: { $0.contains(address) }) { return address }
        }
        return client
    }

    private static let name: StaticString = "x-forwarded-for"

    /// `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1` or `[2001:db8::1]:443`.
    private static func address(_ entry: String) -> IPAddress? {
        let text = entry.drop { $0 == " " || $0 == "\t" }.reversed().drop { $0 == " " || $0 == "\t" }.reversed()
        let trimmed = String(text)
        if let address = IPAddress(trimmed) { return address }
        if trimmed.hasPrefix("["), let end = trimmed.firstIndex(of: "]") { return IPAddress(trimmed[trimmed.index(after: trimmed.startIndex)..<end]) }
        guard let colon = trimmed.lastIndex(of: ":") else { return nil }
        return IPAddress(trimmed[..<colon])
    }
}

extension StaticString {
    func spellsIgnoringCase(_ bytes: Span<UInt8>) -> Bool {
        guard bytes.count == utf8CodeUnitCount else { return false }
        return withUTF8Buffer { text in
            for index in 0..<text.count where unsafe text[index] != (bytes[index] >= 65 && bytes[index] <= 90 ? bytes[index] | 0x20 : bytes[index]) { return false }
            return true
        }
    }
}
