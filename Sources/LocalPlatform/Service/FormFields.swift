/// Names and values of a query or of an `application/x-www-form-urlencoded` body (WHATWG URL §5), in their order.
struct FormFields: Sendable, Equatable {
    private(set) var pairs: [(name: String, value: String)]

    init(_ pairs: [(name: String, value: String)] = []) { self.pairs = pairs }

    /// Reads `a=1&b=2`. At most 100 pairs are kept; what follows them is not looked at.
    init(parsing text: some StringProtocol) {
        pairs = text.split(separator: "&").prefix(100).map { pair in
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            return (PercentText.decoded(parts[0], plusIsBlank: true), parts.count > 1 ? PercentText.decoded(parts[1], plusIsBlank: true) : "")
        }
    }

    subscript(name: String) -> String? { pairs.first { $0.name == name }?.value }

    /// The first name that is given twice; OAuth forbids that (RFC 6749 §3.1).
    var repeatedName: String? {
        var seen: Set<String> = []
        return pairs.first { !seen.insert($0.name).inserted }?.name
    }

    mutating func append(_ name: String, _ value: String) { pairs.append((name, value)) }

    func without(_ names: Set<String>) -> FormFields { FormFields(pairs.filter { !names.contains($0.name) }) }

    var encoded: String {
        pairs.map { PercentText.encoded($0.name) + "=" + PercentText.encoded($0.value) }.joined(separator: "&")
    }

    static func == (left: FormFields, right: FormFields) -> Bool {
        left.pairs.elementsEqual(right.pairs) { $0.name == $1.name && $0.value == $1.value }
    }
}

/// Percent-encoding (RFC 3986 §2.1). An escape that is not one stands for itself; bytes that are not UTF-8 become U+FFFD.
enum PercentText {
    static func decoded(_ text: some StringProtocol, plusIsBlank: Bool = false) -> String {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%"), rest.count >= 2,
                let high = Character(Unicode.Scalar(rest[rest.startIndex])).hexDigitValue,
                let low = Character(Unicode.Scalar(rest[rest.startIndex + 1])).hexDigitValue, high < 16, low < 16
            {
                bytes.append(UInt8(high * 16 + low))
                rest = rest.dropFirst(2)
            } else if byte == UInt8(ascii: "+"), plusIsBlank {
                bytes.append(UInt8(ascii: " "))
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    static func encoded(_ text: String) -> String {
        var result = ""
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
                UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~"):
                result.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                let digits = String(byte, radix: 16, uppercase: true)
                result += "%" + (digits.count < 2 ? "0" : "") + digits
            }
        }
        return result
    }
}
