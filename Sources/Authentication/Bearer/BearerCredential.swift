/// The token in an Authorization field's value (RFC 6750 §2.1): `Bearer`, in any letter case, one space, a token68.
enum BearerCredential {
    /// Where the token stands in the value.
    static func tokenRange(in value: Span<UInt8>) throws(BearerRefusal) -> Range<Int> {
        let schemeCount = 6
        guard value.count > 0 else { throw .missing }
        guard matches(value, "bearer"), value.count == schemeCount || value[schemeCount] == UInt8(ascii: " ") else {
            throw .wrongScheme(isBasic: matches(value, "basic") && (value.count == 5 || value[5] == UInt8(ascii: " ")))
        }
        guard value.count > schemeCount + 1 else { throw .missing }
        return (schemeCount + 1)..<value.count
    }

    /// Whether the value begins with this word of lower-case letters.
    private static func matches(_ value: Span<UInt8>, _ word: String) -> Bool {
        guard value.count >= word.utf8.count else { return false }
        var index = 0
        for letter in word.utf8 {
            guard value[index] | 0x20 == letter else { return false }
            index += 1
        }
        return true
    }
}
