/// Loops that look at eight bytes at a time. The carry of a subtraction can only flag bytes after one that is rightly
/// flagged, so the lowest flag is always exact.
extension Span<UInt8> {
    /// Eight bytes, the first one lowest. The load is checked against the bounds; it is named unsafe for types that have
    /// invalid bit patterns.
    @inline(__always)
    private func word(at offset: Int) -> UInt64 {
        unsafe UInt64(littleEndian: bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }

    /// First position in `start..<end` whose byte is not plain field text: below 0x20, 0x7F, or 0x80 and above; else `end`.
    @inline(__always)
    func endOfFieldText(from start: Int, to end: Int) -> Int {
        var position = start
        while end &- position >= 8 {
            let flags = flagsOfNotText(word(at: position), below: 0x2020_2020_2020_2020)
            if flags != 0 { return position &+ flags.trailingZeroBitCount &>> 3 }
            position &+= 8
        }
        while position < end, self[position] &- 0x20 < 0x5F { position &+= 1 }
        return position
    }

    /// First position in `start..<end` whose byte cannot stand in a request target: a control byte, a space, 0x7F, 0x80 and
    /// above; else `end`.
    @inline(__always)
    func endOfTargetText(from start: Int, to end: Int) -> Int {
        var position = start
        while end &- position >= 8 {
            let flags = flagsOfNotText(word(at: position), below: 0x2121_2121_2121_2121)
            if flags != 0 { return position &+ flags.trailingZeroBitCount &>> 3 }
            position &+= 8
        }
        while position < end, self[position] &- 0x21 < 0x5E { position &+= 1 }
        return position
    }

    /// First position in `start..<end` whose byte is no letter, digit or hyphen; else `end`.
    @inline(__always)
    func endOfFieldName(from start: Int, to end: Int) -> Int {
        var position = start
        while end &- position >= 8 {
            let flags = flagsOfNotName(word(at: position))
            if flags != 0 { return position &+ flags.trailingZeroBitCount &>> 3 }
            position &+= 8
        }
        while position < end, ByteSet.fieldName.contains(self[position]) { position &+= 1 }
        return position
    }

    /// First position of `byte` in `start..<end`, else `end`.
    @inline(__always)
    func firstPosition(of byte: UInt8, from start: Int, to end: Int) -> Int {
        let pattern = UInt64(byte) &* 0x0101_0101_0101_0101
        var position = start
        while end &- position >= 8 {
            let difference = word(at: position) ^ pattern
            let flags = (difference &- 0x0101_0101_0101_0101) & ~difference & 0x8080_8080_8080_8080
            if flags != 0 { return position &+ flags.trailingZeroBitCount &>> 3 }
            position &+= 8
        }
        while position < end, self[position] != byte { position &+= 1 }
        return position
    }

    /// True when `range` holds these letters in either case. `lowercase` holds no upper-case letter.
    @inline(__always)
    func spells(_ lowercase: StaticString, in range: Range<Int>) -> Bool {
        guard range.count == lowercase.utf8CodeUnitCount else { return false }
        var equal = true
        lowercase.withUTF8Buffer { text in
            for index in 0..<text.count where unsafe text[index] != lowercased(self[range.lowerBound &+ index]) { equal = false }
        }
        return equal
    }

    /// True when `range` holds exactly this text; case matters.
    @inline(__always)
    func spellsExactly(_ text: StaticString, in range: Range<Int>) -> Bool {
        guard range.count == text.utf8CodeUnitCount else { return false }
        var equal = true
        text.withUTF8Buffer { text in
            for index in 0..<text.count where unsafe text[index] != self[range.lowerBound &+ index] { equal = false }
        }
        return equal
    }

    /// True when both ranges hold the same bytes, letters in either case.
    func equalsIgnoringCase(_ first: Range<Int>, _ second: Range<Int>) -> Bool {
        guard first.count == second.count else { return false }
        for index in 0..<first.count where lowercased(self[first.lowerBound + index]) != lowercased(self[second.lowerBound + index]) {
            return false
        }
        return true
    }
}

@inline(__always)
private func flagsOfNotText(_ word: UInt64, below floor: UInt64) -> UInt64 {
    let isDelete = word ^ 0x7F7F_7F7F_7F7F_7F7F
    return ((word &- floor) & ~word | (isDelete &- 0x0101_0101_0101_0101) & ~isDelete | word) & 0x8080_8080_8080_8080
}

/// Bytes of seven bits never carry into their neighbour here, so every flag is exact.
@inline(__always)
private func flagsOfNotName(_ word: UInt64) -> UInt64 {
    let bits = word & 0x7F7F_7F7F_7F7F_7F7F
    let lower = bits | 0x2020_2020_2020_2020
    // The high bit of a sum says that the byte is at least `a`, at least `{`, and so on.
    let letters = (lower &+ 0x1F1F_1F1F_1F1F_1F1F) & ~(lower &+ 0x0505_0505_0505_0505)
    let digits = (bits &+ 0x5050_5050_5050_5050) & ~(bits &+ 0x4646_4646_4646_4646)
    let hyphens = ~((bits ^ 0x2D2D_2D2D_2D2D_2D2D) &+ 0x7F7F_7F7F_7F7F_7F7F)
    return (~(letters | digits | hyphens) | word) & 0x8080_8080_8080_8080
}

@inline(__always)
func lowercased(_ byte: UInt8) -> UInt8 {
    byte &- UInt8(ascii: "A") < 26 ? byte | 0x20 : byte
}
