/// The one path of a request (B1): what is matched, authorised, logged, rewritten and forwarded.
///
/// It begins with `/`, holds only the bytes that RFC 3986 §3.3 allows, has no empty, `.` or `..` segment inside, keeps a
/// trailing slash, leaves unreserved characters unescaped and writes every other escape in upper case. Two requests that
/// could be read as the same path have equal values, and what could be read in two ways is refused.
package struct CanonicalPath: Sendable, Hashable, CustomStringConvertible {
    /// What the client sent, compared with what it means.
    package enum Change: UInt8, Sendable {
        /// Byte for byte the canonical form.
        case none
        /// Only escapes were rewritten; the segments are the same.
        case escapes
        /// Slashes were merged or dot segments removed: a GET is redirected to the canonical path, others are refused.
        case structure
    }

    package let bytes: [UInt8]
    package let change: Change
    /// A `;` stands in some segment. Many servers cut it off, so a route with rules refuses it (CVE-2026-73553).
    package let hasParameters: Bool

    /// Longest path that is read, in bytes; a longer one is 414.
    package static let countMax = 8192

    /// Reads the path part of a request target, without its query.
    package init(_ target: Span<UInt8>) throws(PathRejection) {
        guard target.count > 0, target[0] == slash else { throw .notAbsolute }
        guard target.count <= Self.countMax else { throw .tooLong }
        var plain = true
        var parameters = false
        for index in target.indices {
            let byte = target[index]
            if !isPlain[Int(byte)] { plain = false }
            if byte == UInt8(ascii: ";") { parameters = true }
            // A segment that begins with a dot, or is empty, may need work.
            if index > 0, target[index - 1] == slash, byte == slash || byte == dot { plain = false }
        }
        if plain {
            bytes = target.withUnsafeBufferPointer { Array($0) }
            change = .none
            hasParameters = parameters
            return
        }
        let escaped = try Self.normaliseEscapes(target)
        let resolved = try Self.resolveSegments(escaped)
        guard resolved.count <= Self.countMax else { throw .tooLong }
        bytes = resolved
        hasParameters = resolved.contains(UInt8(ascii: ";"))
        change = resolved != escaped ? .structure : target.withUnsafeBufferPointer({ $0.elementsEqual(resolved) }) ? .none : .escapes
    }

    package init(_ text: String) throws(PathRejection) {
        let bytes = Array(text.utf8)
        try self.init(bytes.span)
    }

    package var description: String { String(decoding: bytes, as: UTF8.self) }

    /// Unreserved escapes become their character, all others upper case; bytes that a path may not hold raw are escaped.
    private static func normaliseEscapes(_ target: Span<UInt8>) throws(PathRejection) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(target.count + 16)
        var index = 0
        while index < target.count {
            let byte = target[index]
            if byte == UInt8(ascii: "%") {
                guard index + 2 < target.count, let high = hexValue(target[index + 1]), let low = hexValue(target[index + 2]) else {
                    throw .brokenEscape
                }
                let value = high << 4 | low
                switch value {
                case 0: throw .encodedNUL
                case slash: throw .encodedSlash
                case UInt8(ascii: "\\"): throw .encodedBackslash
                case 1...31, 127: throw .encodedControl
                default: break
                }
                if isUnreserved(value) { result.append(value) } else { result.appendEscape(value) }
                index += 3
                continue
            }
            switch byte {
            case UInt8(ascii: "\\"): throw .backslash
            case UInt8(ascii: "#"): throw .fragment
            case 0...32, 127: throw .control
            case 128...: throw .notASCII
            default: break
            }
            if isPathByte[Int(byte)] { result.append(byte) } else { result.appendEscape(byte) }
            index += 1
        }
        // Looked for in the result, so that `%25%32%66` is caught too: its `%32%66` has become `2f` by now.
        var position = 0
        while position + 4 < result.count {
            if result[position] == UInt8(ascii: "%"), result[position + 1] == UInt8(ascii: "2"), result[position + 2] == UInt8(ascii: "5"),
               hexValue(result[position + 3]) != nil, hexValue(result[position + 4]) != nil { throw .doubleEncoding }
            position += 1
        }
        return result
    }

    /// Merges slashes and removes dot segments (RFC 3986 §5.2.4); climbing above the root is refused, not clamped.
    private static func resolveSegments(_ path: [UInt8]) throws(PathRejection) -> [UInt8] {
        var result: [UInt8] = [slash]
        var starts: [Int] = []
        var index = 1
        while index <= path.count {
            let end = path[index...].firstIndex(of: slash) ?? path.count
            let segment = path[index..<end]
            let isLast = end == path.count
            if segment.elementsEqual([dot, dot]) {
                guard let start = starts.popLast() else { throw .climbsAboveRoot }
                result.removeSubrange(start...)
            } else if !segment.isEmpty, !segment.elementsEqual([dot]) {
                starts.append(result.count)
                result.append(contentsOf: segment)
                if !isLast { result.append(slash) }
            }
            index = end + 1
        }
        return result
    }
}

/// Why a path is refused; each is 400 (414 for the length) and stands in the log as `details`.
package enum PathRejection: String, Error, Sendable, CaseIterable {
    case notAbsolute = "path_not_absolute"
    case tooLong = "path_too_long"
    case backslash = "path_backslash"
    case fragment = "path_fragment"
    case control = "path_control_byte"
    case notASCII = "path_not_ascii"
    case brokenEscape = "path_broken_escape"
    case encodedNUL = "path_encoded_nul"
    case encodedControl = "path_encoded_control"
    case encodedSlash = "path_encoded_slash"
    case encodedBackslash = "path_encoded_backslash"
    case doubleEncoding = "path_double_encoding"
    case climbsAboveRoot = "path_climbs_above_root"
}

private let slash = UInt8(ascii: "/")
private let dot = UInt8(ascii: ".")

/// Bytes that may stand raw in a path (RFC 3986 §3.3: pchar without `%`, and `/`).
private let isPathByte: [Bool] = (0..<256).map { value in
    let byte = UInt8(value)
    return isUnreserved(byte) || "!$&'()*+,;=:@/".utf8.contains(byte)
}

/// Bytes that need no look at all.
private let isPlain: [Bool] = isPathByte

private func isUnreserved(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
         UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~"): true
    default: false
    }
}

/// 0…15 for a hexadecimal digit of either case.
package func hexValue(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
    default: nil
    }
}

extension [UInt8] {
    fileprivate mutating func appendEscape(_ byte: UInt8) {
        append(UInt8(ascii: "%"))
        for digit in [byte >> 4, byte & 15] {
            append(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "A") + digit - 10)
        }
    }
}
