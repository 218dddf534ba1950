extension String {
    /// The same bytes. `==` on texts holds canonically equivalent ones equal (K and the Kelvin sign, é in one or two
    /// scalars), which is one reading too many for an issuer, a client, a group or a key id.
    func hasSameBytes(as other: String) -> Bool {
        let left = utf8Span.span
        let right = other.utf8Span.span
        guard left.count == right.count else { return false }
        for index in left.indices where left[index] != right[index] { return false }
        return true
    }
}

extension [String] {
    /// Whether one member has exactly these bytes.
    func holds(_ text: String) -> Bool {
        for index in indices where self[index].hasSameBytes(as: text) { return true }
        return false
    }
}
