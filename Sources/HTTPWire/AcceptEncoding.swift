/// What a request's `Accept-Encoding` lines, taken together, say of gzip (RFC 9110 §12.5.3). Weights are thousandths.
package struct AcceptEncoding: Sendable, Equatable {
    private var gzip: Int?
    private var identity: Int?
    private var others: Int?

    package init() {}

    /// gzip may be sent, and is at least as welcome as the plain body. What the client says of identity counts only where it names it: most name
    /// only what they can decode.
    package var prefersGzip: Bool {
        let gzip = gzip ?? others ?? 0
        return gzip > 0 && gzip >= identity ?? 0
    }

    /// Another field line. An element that is not well-formed says nothing.
    package mutating func read(_ value: Span<UInt8>) {
        var start = 0
        while start <= value.count {
            let end = value.firstPosition(of: comma, from: start, to: value.count)
            readElement(value, from: start, to: end)
            start = end + 1
        }
    }

    private mutating func readElement(_ value: Span<UInt8>, from start: Int, to end: Int) {
        let semicolon = value.firstPosition(of: UInt8(ascii: ";"), from: start, to: end)
        let name = value.trimmed(start..<semicolon)
        guard let weight = semicolon == end ? 1000 : Self.weight(value, value.trimmed(semicolon + 1..<end)) else { return }
        if value.spells("gzip", in: name) || value.spells("x-gzip", in: name) {
            gzip = max(gzip ?? 0, weight)
        } else if value.spells("identity", in: name) {
            identity = weight
        } else if value.spells("*", in: name) {
            others = weight
        }
    }

    /// `q=0.5` in thousandths (RFC 9110 §12.4.2).
    private static func weight(_ value: Span<UInt8>, _ range: Range<Int>) -> Int? {
        guard range.count >= 3, range.count <= 7, lowercased(value[range.lowerBound]) == UInt8(ascii: "q"), value[range.lowerBound + 1] == UInt8(ascii: "=") else { return nil }
        let first = value[range.lowerBound + 2]
        guard first == UInt8(ascii: "0") || first == UInt8(ascii: "1") else { return nil }
        var weight = first == UInt8(ascii: "1") ? 1000 : 0
        guard range.count > 3 else { return weight }
        guard value[range.lowerBound + 3] == UInt8(ascii: ".") else { return nil }
        var worth = 100
        for position in range.lowerBound + 4..<range.upperBound {
            let digit = value[position] &- UInt8(ascii: "0")
            guard digit < 10 else { return nil }
            weight += Int(digit) * worth
            worth /= 10
        }
        return weight <= 1000 ? weight : nil
    }
}

extension Span<UInt8> {
    /// Without the blanks at both ends.
    func trimmed(_ range: Range<Int>) -> Range<Int> {
        var (start, end) = (range.lowerBound, range.upperBound)
        while start < end, self[start] == UInt8(ascii: " ") || self[start] == UInt8(ascii: "\t") { start += 1 }
        while end > start, self[end - 1] == UInt8(ascii: " ") || self[end - 1] == UInt8(ascii: "\t") { end -= 1 }
        return start..<end
    }

    /// One of the comma-separated elements is this token, letters in either case. `lowercase` holds no upper-case letter.
    package func listContains(_ lowercase: StaticString) -> Bool {
        var start = 0
        while start <= count {
            let end = firstPosition(of: comma, from: start, to: count)
            if spells(lowercase, in: trimmed(start..<end)) { return true }
            start = end + 1
        }
        return false
    }
}
