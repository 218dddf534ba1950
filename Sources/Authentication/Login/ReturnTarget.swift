internal import GatewayTerms

/// Where the browser goes after its login (`rd`, D6): a path on this host, so that no link can use the login to lead anybody elsewhere.
/// What is not plainly that becomes `/`.
package struct ReturnTarget: Sendable, Equatable {
    package let text: String

    package static let root = ReturnTarget(verified: "/")
    package static let bytesMax = 2048

    private init(verified: String) { text = verified }

    package init(_ text: String) { self.init(bytes: Array(text.utf8)) }

    /// - Parameter bytes: a path and, behind `?`, a query, as they would stand in Location.
    package init(bytes: [UInt8]) {
        guard bytes.count <= Self.bytesMax, bytes.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else {
            self = .root
            return
        }
        // As it is, and as a careless reader behind one or two decodings would see it.
        let once = PercentText.decode(bytes)
        let twice = PercentText.decode(once)
        guard Self.isLocal(bytes), Self.isLocal(once), Self.isLocal(twice), !Self.isReserved(bytes) else {
            self = .root
            return
        }
        text = String(decoding: bytes, as: UTF8.self)
    }

    /// One slash, then neither slash nor backslash; no control byte, no backslash, no `#`. A blank may stand, encoded, in names and queries,
    /// yet not right behind the first slash, where a reader that trims would see the next slash in its place.
    private static func isLocal(_ bytes: [UInt8]) -> Bool {
        guard bytes.first == UInt8(ascii: "/") else { return false }
        if bytes.count > 1, [UInt8(ascii: "/"), UInt8(ascii: "\\"), 0x20].contains(bytes[1]) { return false }
        for byte in bytes {
            switch byte {
            case UInt8(ascii: "\\"), UInt8(ascii: "#"), 0x7f, 0..<0x20: return false
            default: continue
            }
        }
        return true
    }

    /// Under /oauth2, or a path that two programs could read differently.
    private static func isReserved(_ bytes: [UInt8]) -> Bool {
        let path = bytes.prefix { $0 != UInt8(ascii: "?") }
        guard let canonical = try? CanonicalPath(Array(path).span), canonical.change != .structure else { return true }
        let reserved = Array("/oauth2".utf8)
        return canonical.bytes.starts(with: reserved) && (canonical.bytes.count == reserved.count || canonical.bytes[reserved.count] == UInt8(ascii: "/"))
    }
}

/// Percent-encoding (RFC 3986 §2.1).
enum PercentText {
    /// Each `%XX` becomes its byte; what only looks like one stays.
    static func decode(_ bytes: [UInt8], plusIsBlank: Bool = false) -> [UInt8] {
        var decoded: [UInt8] = []
        decoded.reserveCapacity(bytes.count)
        var index = 0
        while index < bytes.count {
            if bytes[index] == UInt8(ascii: "%"), index + 2 < bytes.count, let high = hexValue(bytes[index + 1]), let low = hexValue(bytes[index + 2]) {
                decoded.append(high << 4 | low)
                index += 3
            } else {
                decoded.append(plusIsBlank && bytes[index] == UInt8(ascii: "+") ? 0x20 : bytes[index])
                index += 1
            }
        }
        return decoded
    }

    /// Everything but unreserved characters is encoded, so that the text may stand in any query or form.
    static func encode(_ text: some StringProtocol) -> String { encode(Array(text.utf8)) }

    static func encode(_ bytes: [UInt8]) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var encoded: [UInt8] = []
        encoded.reserveCapacity(bytes.count)
        for byte in bytes {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
                 UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~"):
                encoded.append(byte)
            default:
                encoded += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: encoded, as: UTF8.self)
    }
}

/// The parameters of a query (`application/x-www-form-urlencoded`), read so that a doubled name is seen.
struct QueryParameters {
    enum Value: Equatable {
        case absent
        case one([UInt8])
        case many
    }

    static let countMax = 64
    private var pairs: [(name: [UInt8], value: [UInt8])] = []
    let hasTooMany: Bool

    init(_ query: [UInt8]?) {
        let parts = (query ?? []).split(separator: UInt8(ascii: "&"))
        hasTooMany = parts.count > Self.countMax
        for part in parts.prefix(Self.countMax) {
            let equals = part.firstIndex(of: UInt8(ascii: "=")) ?? part.endIndex
            let value = equals < part.endIndex ? Array(part[(equals + 1)...]) : []
            pairs.append((PercentText.decode(Array(part[..<equals]), plusIsBlank: true), PercentText.decode(value, plusIsBlank: true)))
        }
    }

    subscript(_ name: String) -> Value {
        if hasTooMany { return .many }
        var found: [UInt8]?
        for pair in pairs where pair.name == Array(name.utf8) {
            if found != nil { return .many }
            found = pair.value
        }
        return found.map { .one($0) } ?? .absent
    }
}
