extension FieldName {
    /// The field that these bytes name, in any case; `.other` for a name that the gateway does not know, and
    /// `.forwardedFamily` for every name of `forwardedNames` and every name that begins with one of `forwardedPrefixes`.
    ///
    /// Names are compared as words of eight lower-case bytes: first, second, third and last word and the length tell every name of up
    /// to 32 bytes apart. A byte that `| 0x20` would turn into a letter, digit or hyphen without being one never matches.
    package init(_ name: Span<UInt8>) {
        self = spellings.field(of: name)
    }

    /// Written out so that other modules compare two bytes in place: the synthesised operator is a call through a witness
    /// for them, and heads are searched by it.
    @inlinable
    package static func == (left: FieldName, right: FieldName) -> Bool {
        unsafe unsafeBitCast(left, to: UInt8.self) == unsafeBitCast(right, to: UInt8.self)
    }
}

/// Built once, on the first classification.
private let spellings = FieldSpellings()

/// A hash table from the words of a name to its field; open addressing, less than half full.
private struct FieldSpellings: Sendable {
    /// Words of the name in lower case; those that a short name does not have are 0. Of a name of 4 to 7 bytes the first four
    /// bytes and the last four make one word.
    struct Words: Equatable, Sendable {
        var first: UInt64 = 0
        var second: UInt64 = 0
        var third: UInt64 = 0
        var last: UInt64 = 0

        @inline(__always)
        func slot(_ count: Int) -> Int {
            let mixed = (first ^ last &<< 7 ^ UInt64(truncatingIfNeeded: count)) &* 0x9E37_79B9_7F4A_7C15
            return Int(truncatingIfNeeded: mixed &>> 57)
        }
    }
    struct Slot: Sendable {
        var words = Words()
        /// 0 for an empty slot.
        var count = 0
        var field = FieldName.other
    }
    struct Prefix: Sendable {
        var count: Int
        /// Selects the bytes of the first word that belong to the prefix.
        var mask: UInt64
        var first: UInt64
        /// The eight bytes that end the prefix, when it is longer than a word.
        var last: UInt64
    }

    /// Longest name that is told by its words.
    static let countMax = 32
    private static let slotMask = 127

    private var slots = [Slot](repeating: Slot(), count: 128)
    private var prefixes: [Prefix] = []

    init() {
        for field in FieldName.allCases { insert(field.text, field) }
        for name in FieldName.forwardedNames { insert(name, .forwardedFamily) }
        for prefix in FieldName.forwardedPrefixes.map({ Array($0.description.utf8) }) {
            var first: UInt64 = 0
            for (index, byte) in prefix.prefix(8).enumerated() { first |= UInt64(byte) << UInt64(8 * index) }
            prefixes.append(Prefix(
                count: prefix.count,
                mask: prefix.count >= 8 ? .max : (1 << UInt64(8 * prefix.count)) - 1,
                first: first,
                last: prefix.count > 8 ? lowercaseWord(prefix.span, at: prefix.count - 8) ?? 0 : 0
            ))
        }
    }

    private mutating func insert(_ name: StaticString, _ field: FieldName) {
        let bytes = Array(name.description.utf8)
        guard !bytes.isEmpty, let words = Self.words(of: bytes.span) else { return }
        var slot = words.slot(bytes.count)
        while slots[slot].count != 0 { slot = (slot + 1) & Self.slotMask }
        slots[slot] = Slot(words: words, count: bytes.count, field: field)
    }

    @inline(__always)
    func field(of name: Span<UInt8>) -> FieldName {
        let count = name.count
        if count <= Self.countMax {
            guard let words = Self.words(of: name) else { return .other }
            var slot = words.slot(count)
            while slots[slot].count != 0 {
                if slots[slot].words == words, slots[slot].count == count { return slots[slot].field }
                slot = (slot + 1) & Self.slotMask
            }
        }
        guard count >= 7, name[0] | 0x20 == UInt8(ascii: "x"), name[1] == UInt8(ascii: "-") else { return .other }
        return familyField(of: name)
    }

    private func familyField(of name: Span<UInt8>) -> FieldName {
        let count = name.count
        var first: UInt64 = 0
        for index in 0..<min(count, 8) {
            guard name[index] >= 0x20 else { return .other }
            first |= UInt64(name[index] | 0x20) &<< UInt64(8 &* index)
        }
        for prefix in prefixes where count >= prefix.count && first & prefix.mask == prefix.first {
            if prefix.count <= 8 || lowercaseWord(name, at: prefix.count - 8) == prefix.last { return .forwardedFamily }
        }
        return .other
    }

    /// `nil` when a control byte stands in the name.
    @inline(__always)
    static func words(of name: Span<UInt8>) -> Words? {
        let count = name.count
        if count >= 8 {
            guard let first = lowercaseWord(name, at: 0), let last = lowercaseWord(name, at: count &- 8) else { return nil }
            guard count > 16 else { return Words(first: first, last: last) }
            guard let second = lowercaseWord(name, at: 8) else { return nil }
            guard count > 24 else { return Words(first: first, second: second, last: last) }
            guard let third = lowercaseWord(name, at: 16) else { return nil }
            return Words(first: first, second: second, third: third, last: last)
        }
        if count >= 4 {
            let head = unsafe UInt32(littleEndian: name.bytes.unsafeLoadUnaligned(fromByteOffset: 0, as: UInt32.self))
            let tail = unsafe UInt32(littleEndian: name.bytes.unsafeLoadUnaligned(fromByteOffset: count &- 4, as: UInt32.self))
            guard let word = lowercaseWord(UInt64(head) | UInt64(tail) &<< 32) else { return nil }
            return Words(first: word)
        }
        var word: UInt64 = 0
        for index in 0..<count {
            guard name[index] >= 0x20 else { return nil }
            word |= UInt64(name[index] | 0x20) &<< UInt64(8 &* index)
        }
        return Words(first: word)
    }
}

/// Eight bytes of a name with bit 5 set, which makes lower case of letters and leaves digits and hyphens as they are;
/// `nil` when one of them is a control byte, which would turn into a digit or a hyphen.
@inline(__always)
private func lowercaseWord(_ word: UInt64) -> UInt64? {
    let visible: UInt64 = 0x4040_4040_4040_4040
    guard (word | word &<< 1) & visible == visible else { return nil }
    return word | 0x2020_2020_2020_2020
}

/// The same for the eight bytes at `offset`. The load is checked against the bounds; it is named unsafe for types that have
/// invalid bit patterns.
@inline(__always)
private func lowercaseWord(_ name: Span<UInt8>, at offset: Int) -> UInt64? {
    lowercaseWord(unsafe UInt64(littleEndian: name.bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self)))
}
