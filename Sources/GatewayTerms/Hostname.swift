/// A DNS host name or an IP address literal, as it stands in `Host` without a port: lower case, no trailing dot.
///
/// Names are letters, digits and hyphens in labels of 1 to 63 bytes, at most 253 in all (RFC 1123 §2.1, RFC 5890 §2.3.1:
/// internationalised names come as their `xn--` form). Anything else is refused, since a name that two programs read
/// differently is a way around a rule.
package struct Hostname: Sendable, Hashable, CustomStringConvertible {
    /// The name in lower case; an IPv6 address without its brackets.
    package let text: String
    /// Set when the name is an address literal.
    package let address: IPAddress?

    package init?(_ text: some StringProtocol) {
        let bytes = Array(text.utf8)
        self.init(bytes.span)
    }

    /// Reads the host part of an authority; an IPv6 address stands in brackets (RFC 3986 §3.2.2).
    package init?(_ bytes: Span<UInt8>) {
        guard bytes.count > 0, bytes.count <= 255 else { return nil }
        if bytes[0] == UInt8(ascii: "[") {
            guard bytes.count > 2, bytes[bytes.count - 1] == UInt8(ascii: "]"),
                  let address = IPAddress(String(copying: bytes.extracting(1..<bytes.count - 1))), address.isIPv6 else { return nil }
            self.text = address.description
            self.address = address
            return
        }
        var name: [UInt8] = []
        name.reserveCapacity(bytes.count)
        var labelLength = 0
        for index in bytes.indices {
            let byte = bytes[index]
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"):
                name.append(byte)
                labelLength += 1
            case UInt8(ascii: "A")...UInt8(ascii: "Z"):
                name.append(byte | 0x20)
                labelLength += 1
            case UInt8(ascii: "-"):
                guard labelLength > 0 else { return nil }
                name.append(byte)
                labelLength += 1
            case UInt8(ascii: "."):
                guard labelLength > 0, name.last != UInt8(ascii: "-") else { return nil }
                labelLength = 0
                if index < bytes.count - 1 { name.append(byte) }
            default:
                return nil
            }
            guard labelLength <= 63 else { return nil }
        }
        guard let last = name.last, last != UInt8(ascii: "-"), name.count <= 253 else { return nil }
        let text = String(decoding: name, as: UTF8.self)
        // A name whose last label is all digits is an address or nothing (WHATWG URL §3.5): never a guess.
        let lastLabel = text.split(separator: ".").last ?? ""
        if lastLabel.utf8.allSatisfy({ (48...57).contains($0) }) {
            guard let address = IPAddress(text), !address.isIPv6 else { return nil }
            self.address = address
        } else {
            self.address = nil
        }
        self.text = text
    }

    /// `localhost`, its sub-domains, and the loopback addresses: names that never leave this machine.
    package var isLoopback: Bool {
        if let address { return address.isLoopback }
        return text == "localhost" || text.hasSuffix(".localhost")
    }

    package var description: String { address?.isIPv6 == true ? "[\(text)]" : text }
}

extension String {
    /// A copy of bytes that are known to be UTF-8 text; invalid sequences become U+FFFD.
    package init(copying bytes: Span<UInt8>) {
        self = bytes.withUnsafeBufferPointer { String(decoding: $0, as: UTF8.self) }
    }
}
