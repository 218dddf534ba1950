/// The value of If-None-Match (RFC 9110 §13.1.2).
enum EntityTags {
    /// True when the client has the representation with this tag: `*`, or its tag in the list. Weak tags match their strong ones
    /// (§8.8.3.2). What cannot be read matches nothing, so that the client gets the whole answer.
    static func isMatch(_ value: String, _ tag: String) -> Bool {
        var rest = value.utf8[...]
        skipBlanks(&rest)
        if rest.first == UInt8(ascii: "*") {
            rest = rest.dropFirst()
            skipBlanks(&rest)
            return rest.isEmpty
        }
        let wanted = tag.utf8
        var isFound = false
        while let first = rest.first {
            if first == UInt8(ascii: ",") {
                rest = rest.dropFirst()
            } else {
                if rest.starts(with: "W/".utf8) { rest = rest.dropFirst(2) }
                guard rest.first == quote, let end = rest.dropFirst().firstIndex(of: quote) else { return false }
                if rest[...end].elementsEqual(wanted) { isFound = true }
                rest = rest[rest.index(after: end)...]
                skipBlanks(&rest)
                guard rest.isEmpty || rest.first == UInt8(ascii: ",") else { return false }
            }
            skipBlanks(&rest)
        }
        return isFound
    }

    private static let quote = UInt8(ascii: "\"")

    private static func skipBlanks(_ text: inout Substring.UTF8View) {
        while text.first == UInt8(ascii: " ") || text.first == UInt8(ascii: "\t") { text = text.dropFirst() }
    }
}
