/// An IPv4 or IPv6 address as 128 bits; an IPv4-mapped IPv6 address is the IPv4 address that it maps (RFC 4291 §2.5.5.2),
/// so that a rule for 10.0.0.0/8 also holds on a dual-stack socket.
package struct IPAddress: Sendable, Hashable, CustomStringConvertible {
    /// Network order; an IPv4 address fills the low 32 bits of `low` and leaves `high` zero.
    package let high: UInt64
    package let low: UInt64
    package let isIPv6: Bool

    package init(ipv4 bits: UInt32) {
        (high, low, isIPv6) = (0, UInt64(bits), false)
    }

    package init(ipv6High high: UInt64, low: UInt64) {
        let isMapped = high == 0 && low >> 32 == 0xffff
        (self.high, self.low, isIPv6) = (high, isMapped ? low & 0xffff_ffff : low, !isMapped)
    }

    /// Reads dotted decimal (four parts, no leading zeros) or RFC 4291 §2.2 text, without brackets or zone.
    package init?(_ text: some StringProtocol) {
        if let bits = Self.dottedQuad(Array(text.utf8)[...]) {
            self.init(ipv4: bits)
        } else if let (high, low) = Self.groups(Array(text.utf8)) {
            self.init(ipv6High: high, low: low)
        } else {
            return nil
        }
    }

    package var isLoopback: Bool {
        isIPv6 ? (high == 0 && low == 1) : low >> 24 == 127
    }

    package var description: String {
        guard isIPv6 else {
            return "\(low >> 24 & 255).\(low >> 16 & 255).\(low >> 8 & 255).\(low & 255)"
        }
        let groups = (0..<8).map { UInt16(truncatingIfNeeded: ($0 < 4 ? high : low) >> UInt64(48 - 16 * ($0 % 4))) }
        // RFC 5952 §4.2: the longest run of two or more zero groups becomes `::`, the first one on a tie.
        var best = 0..<0
        var start: Int?
        for index in 0...8 {
            if index < 8, groups[index] == 0 {
                if start == nil { start = index }
            } else if let begun = start {
                if index - begun > best.count, index - begun > 1 { best = begun..<index }
                start = nil
            }
        }
        func hex(_ range: Range<Int>) -> String { range.map { String(groups[$0], radix: 16) }.joined(separator: ":") }
        return best.isEmpty ? hex(0..<8) : hex(0..<best.lowerBound) + "::" + hex(best.upperBound..<8)
    }

    private static func dottedQuad(_ bytes: ArraySlice<UInt8>) -> UInt32? {
        let parts = bytes.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var bits: UInt32 = 0
        for part in parts {
            guard (1...3).contains(part.count), part.allSatisfy({ (48...57).contains($0) }),
                  part.count == 1 || part.first != 48 else { return nil }
            let value = part.reduce(0) { $0 * 10 + UInt32($1 - 48) }
            guard value <= 255 else { return nil }
            bits = bits << 8 | value
        }
        return bits
    }

    private static func groups(_ bytes: [UInt8]) -> (UInt64, UInt64)? {
        guard (2...45).contains(bytes.count) else { return nil }
        // `::ffff:1.2.3.4`: the dotted quad at the end stands for two groups.
        if bytes.contains(UInt8(ascii: ".")) {
            guard let colon = bytes.lastIndex(of: UInt8(ascii: ":")), let quad = dottedQuad(bytes[(colon + 1)...]) else { return nil }
            return groups(Array(bytes[...colon]) + Array("\(String(quad >> 16, radix: 16)):\(String(quad & 0xffff, radix: 16))".utf8))
        }
        let parts = bytes.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        guard let gap = gapIndex(of: parts) else {
            guard let words = words(parts), words.count == 8 else { return nil }
            return pack(words)
        }
        guard gap >= 0, let left = words(parts[..<gap].filter { !$0.isEmpty }), let right = words(parts[(gap + 1)...].filter { !$0.isEmpty }),
              left.count + right.count <= 7 else { return nil }
        return pack(left + Array(repeating: 0, count: 8 - left.count - right.count) + right)
    }

    /// The index of the part that `::` left empty, `nil` without one, -1 where empty parts stand in no legal place.
    private static func gapIndex(of parts: [ArraySlice<UInt8>]) -> Int? {
        let empty = parts.indices.filter { parts[$0].isEmpty }
        switch empty.count {
        case 0: return nil
        case 1: return (empty[0] == 0 || empty[0] == parts.count - 1) ? -1 : empty[0]
        case 2 where empty == [0, 1]: return 1
        case 2 where empty == [parts.count - 2, parts.count - 1]: return parts.count - 2
        case 3 where parts.count == 3: return 1
        default: return -1
        }
    }

    private static func words(_ parts: [ArraySlice<UInt8>]) -> [UInt16]? {
        var words: [UInt16] = []
        for part in parts {
            guard (1...4).contains(part.count), let word = UInt16(String(decoding: part, as: UTF8.self), radix: 16),
                  part.first != UInt8(ascii: "+") else { return nil }
            words.append(word)
        }
        return words
    }

    private static func pack(_ words: [UInt16]) -> (UInt64, UInt64) {
        (words[..<4].reduce(0) { $0 << 16 | UInt64($1) }, words[4...].reduce(0) { $0 << 16 | UInt64($1) })
    }
}

/// A block of addresses in CIDR form (RFC 4632 §3.1): `10.0.0.0/8`, `2001:db8::/32`, or one address.
package struct AddressRange: Sendable, Hashable, CustomStringConvertible {
    package let base: IPAddress
    /// Leading bits that count: 0…32 for IPv4, 0…128 for IPv6.
    package let prefixLength: Int

    /// `nil` when the text is no block, or when bits stand behind its prefix (`10.1.2.3/8` is a slip, not a block).
    package init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count <= 2, let base = IPAddress(parts[0]) else { return nil }
        let width = base.isIPv6 ? 128 : 32
        var length = width
        if parts.count == 2 {
            guard !parts[1].isEmpty, parts[1].utf8.allSatisfy({ (48...57).contains($0) }),
                  let number = Int(parts[1]), number <= width else { return nil }
            length = number
        }
        self.base = base
        prefixLength = length
        guard AddressRange.masked(base, length) == base else { return nil }
    }

    package func contains(_ address: IPAddress) -> Bool {
        address.isIPv6 == base.isIPv6 && AddressRange.masked(address, prefixLength) == base
    }

    package var description: String { "\(base)/\(prefixLength)" }

    private static func masked(_ address: IPAddress, _ length: Int) -> IPAddress {
        if !address.isIPv6 {
            let mask: UInt32 = length == 0 ? 0 : ~UInt32(0) << UInt32(32 - length)
            return IPAddress(ipv4: UInt32(truncatingIfNeeded: address.low) & mask)
        }
        let high = length >= 64 ? ~UInt64(0) : (length == 0 ? 0 : ~UInt64(0) << UInt64(64 - length))
        let low = length <= 64 ? 0 : ~UInt64(0) << UInt64(128 - length)
        return IPAddress(ipv6High: address.high & high, low: address.low & low)
    }
}
