/// Reads JSON (RFC 8259) so that no second reader can understand it otherwise: one value and nothing after it, names that
/// differ (after their escapes are read), valid UTF-8 without a byte order mark, no lone surrogate, no U+0000 (a C reader
/// would end there), numbers by the grammar. Depth, bytes and values are limited, so that a hostile text costs little
/// (CVE-2026-48042) and cannot exhaust the stack.
package enum StrictJSON {
    package struct Limits: Sendable {
        /// Bytes of the whole text.
        package var bytesMax: Int
        /// Arrays and objects inside one another; a scalar alone has depth 0.
        package var depthMax: Int
        /// Values of every kind, names not counted.
        package var valuesMax: Int

        package init(bytesMax: Int, depthMax: Int = 32, valuesMax: Int) {
            self.bytesMax = bytesMax
            self.depthMax = depthMax
            self.valuesMax = valuesMax
        }
    }

    /// What is wrong, and at which byte.
    package struct Fault: Error, Equatable, Sendable, CustomStringConvertible {
        package enum Kind: String, Sendable {
            case tooLong = "longer than allowed"
            case tooDeep = "nested deeper than allowed"
            case tooManyValues = "more values than allowed"
            case notUTF8 = "not UTF-8"
            case unexpectedEnd = "ends too early"
            case unexpectedByte = "not JSON here"
            case duplicateName = "a name stands twice in one object"
            case malformedNumber = "not a JSON number"
            case malformedString = "not a JSON string"
        }
        package let kind: Kind
        package let offset: Int

        package var description: String { "\(kind.rawValue), at byte \(offset)" }
    }

    package static func read(_ text: Span<UInt8>, limits: Limits) throws(Fault) -> JSONValue {
        guard text.count <= limits.bytesMax else { throw Fault(kind: .tooLong, offset: limits.bytesMax) }
        do { _ = try UTF8Span(validating: text) } catch { throw Fault(kind: .notUTF8, offset: error.byteOffsets.lowerBound) }
        var reader = Reader(limits: limits)
        let value = try reader.value(text, depth: 0)
        reader.skipSpace(text)
        guard reader.index == text.count else { throw reader.fault(.unexpectedByte) }
        return value
    }

    private struct Reader {
        let limits: Limits
        var index = 0
        var values = 0

        init(limits: Limits) { self.limits = limits }

        func fault(_ kind: Fault.Kind) -> Fault { Fault(kind: kind, offset: index) }

        mutating func skipSpace(_ text: Span<UInt8>) {
            while index < text.count {
                switch text[index] {
                case 0x20, 0x09, 0x0a, 0x0d: index += 1
                default: return
                }
            }
        }

        mutating func value(_ text: Span<UInt8>, depth: Int) throws(Fault) -> JSONValue {
            skipSpace(text)
            values += 1
            guard values <= limits.valuesMax else { throw fault(.tooManyValues) }
            guard index < text.count else { throw fault(.unexpectedEnd) }
            switch text[index] {
            case UInt8(ascii: "\""):
                return .string(try string(text))
            case UInt8(ascii: "{"):
                return .object(try object(text, depth: depth + 1))
            case UInt8(ascii: "["):
                return .array(try array(text, depth: depth + 1))
            case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
                return try number(text)
            case UInt8(ascii: "t"):
                try word("true", text)
                return .bool(true)
            case UInt8(ascii: "f"):
                try word("false", text)
                return .bool(false)
            case UInt8(ascii: "n"):
                try word("null", text)
                return .null
            default:
                throw fault(.unexpectedByte)
            }
        }

        mutating func word(_ word: String, _ text: Span<UInt8>) throws(Fault) {
            for byte in word.utf8 {
                guard index < text.count else { throw fault(.unexpectedEnd) }
                guard text[index] == byte else { throw fault(.unexpectedByte) }
                index += 1
            }
        }

        mutating func array(_ text: Span<UInt8>, depth: Int) throws(Fault) -> [JSONValue] {
            guard depth <= limits.depthMax else { throw fault(.tooDeep) }
            index += 1
            var result: [JSONValue] = []
            skipSpace(text)
            if index < text.count, text[index] == UInt8(ascii: "]") {
                index += 1
                return result
            }
            while true {
                result.append(try value(text, depth: depth))
                skipSpace(text)
                guard index < text.count else { throw fault(.unexpectedEnd) }
                switch text[index] {
                case UInt8(ascii: ","): index += 1
                case UInt8(ascii: "]"):
                    index += 1
                    return result
                default: throw fault(.unexpectedByte)
                }
            }
        }

        mutating func object(_ text: Span<UInt8>, depth: Int) throws(Fault) -> JSONObject {
            guard depth <= limits.depthMax else { throw fault(.tooDeep) }
            index += 1
            var members: [JSONObject.Member] = []
            var names: Set<String> = []
            skipSpace(text)
            if index < text.count, text[index] == UInt8(ascii: "}") {
                index += 1
                return JSONObject(members: members)
            }
            while true {
                skipSpace(text)
                guard index < text.count else { throw fault(.unexpectedEnd) }
                guard text[index] == UInt8(ascii: "\"") else { throw fault(.unexpectedByte) }
                let start = index
                let name = try string(text)
                // Canonically equivalent names count as one as well: nobody honest writes both.
                var isNew = true
                if members.count < 24 {
                    for position in members.indices where members[position].name == name { isNew = false }
                } else {
                    if names.isEmpty { for member in members { names.insert(member.name) } }
                    isNew = names.insert(name).inserted
                }
                guard isNew else { throw Fault(kind: .duplicateName, offset: start) }
                skipSpace(text)
                guard index < text.count else { throw fault(.unexpectedEnd) }
                guard text[index] == UInt8(ascii: ":") else { throw fault(.unexpectedByte) }
                index += 1
                members.append(JSONObject.Member(name: name, value: try value(text, depth: depth)))
                skipSpace(text)
                guard index < text.count else { throw fault(.unexpectedEnd) }
                switch text[index] {
                case UInt8(ascii: ","): index += 1
                case UInt8(ascii: "}"):
                    index += 1
                    return JSONObject(members: members)
                default: throw fault(.unexpectedByte)
                }
            }
        }

        /// Called at the opening quotation mark.
        mutating func string(_ text: Span<UInt8>) throws(Fault) -> String {
            index += 1
            let start = index
            while index < text.count {
                switch text[index] {
                case UInt8(ascii: "\""):
                    let result = copy(text.extracting(start..<index))
                    index += 1
                    return result
                case UInt8(ascii: "\\"):
                    return try escapedString(text, from: start)
                case 0..<0x20:
                    throw fault(.malformedString)
                default:
                    index += 1
                }
            }
            throw fault(.unexpectedEnd)
        }

        /// Called at the first backslash of a string that began at `start`.
        mutating func escapedString(_ text: Span<UInt8>, from start: Int) throws(Fault) -> String {
            var bytes: [UInt8] = []
            for position in start..<index { bytes.append(text[position]) }
            while index < text.count {
                let byte = text[index]
                switch byte {
                case UInt8(ascii: "\""):
                    index += 1
                    return copy(bytes.span)
                case UInt8(ascii: "\\"):
                    index += 1
                    guard index < text.count else { throw fault(.unexpectedEnd) }
                    switch text[index] {
                    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): bytes.append(text[index])
                    case UInt8(ascii: "b"): bytes.append(0x08)
                    case UInt8(ascii: "f"): bytes.append(0x0c)
                    case UInt8(ascii: "n"): bytes.append(0x0a)
                    case UInt8(ascii: "r"): bytes.append(0x0d)
                    case UInt8(ascii: "t"): bytes.append(0x09)
                    case UInt8(ascii: "u"):
                        for unit in UTF8.encode(try scalar(text)) ?? UTF8.EncodedScalar() { bytes.append(unit) }
                        continue
                    default: throw fault(.malformedString)
                    }
                    index += 1
                case 0..<0x20:
                    throw fault(.malformedString)
                default:
                    bytes.append(byte)
                    index += 1
                }
            }
            throw fault(.unexpectedEnd)
        }

        /// Called at the `u` of `\uXXXX`; reads the second half of a pair as well.
        mutating func scalar(_ text: Span<UInt8>) throws(Fault) -> Unicode.Scalar {
            let first = try fourDigits(text)
            if first >= 0xd800, first <= 0xdbff {
                guard index + 1 < text.count, text[index] == UInt8(ascii: "\\"), text[index + 1] == UInt8(ascii: "u") else {
                    throw fault(.malformedString)
                }
                index += 1
                let second = try fourDigits(text)
                guard second >= 0xdc00, second <= 0xdfff,
                      let scalar = Unicode.Scalar(0x10000 + (first - 0xd800) << 10 + (second - 0xdc00)) else { throw fault(.malformedString) }
                return scalar
            }
            guard first != 0, let scalar = Unicode.Scalar(first) else { throw fault(.malformedString) }
            return scalar
        }

        mutating func fourDigits(_ text: Span<UInt8>) throws(Fault) -> UInt32 {
            index += 1
            guard index + 4 <= text.count else { throw fault(.unexpectedEnd) }
            var result: UInt32 = 0
            for _ in 0..<4 {
                let digit: UInt8
                switch text[index] {
                case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = text[index] - UInt8(ascii: "0")
                case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = text[index] - UInt8(ascii: "a") + 10
                case UInt8(ascii: "A")...UInt8(ascii: "F"): digit = text[index] - UInt8(ascii: "A") + 10
                default: throw fault(.malformedString)
                }
                result = result << 4 | UInt32(digit)
                index += 1
            }
            return result
        }

        mutating func number(_ text: Span<UInt8>) throws(Fault) -> JSONValue {
            let start = index
            if text[index] == UInt8(ascii: "-") { index += 1 }
            let firstDigit = index
            guard digits(text) > 0 else { throw fault(.malformedNumber) }
            guard text[firstDigit] != UInt8(ascii: "0") || index == firstDigit + 1 else { throw fault(.malformedNumber) }
            var isWhole = true
            if index < text.count, text[index] == UInt8(ascii: ".") {
                isWhole = false
                index += 1
                guard digits(text) > 0 else { throw fault(.malformedNumber) }
            }
            if index < text.count, text[index] | 0x20 == UInt8(ascii: "e") {
                isWhole = false
                index += 1
                if index < text.count, text[index] == UInt8(ascii: "+") || text[index] == UInt8(ascii: "-") { index += 1 }
                guard digits(text) > 0 else { throw fault(.malformedNumber) }
            }
            guard index - start <= 64 else { throw Fault(kind: .malformedNumber, offset: start) }
            let written = copy(text.extracting(start..<index))
            if isWhole, let integer = Int64(written) { return .integer(integer) }
            guard let number = Double(written), number.isFinite else { throw Fault(kind: .malformedNumber, offset: start) }
            return .number(number)
        }

        mutating func digits(_ text: Span<UInt8>) -> Int {
            let start = index
            while index < text.count, text[index] >= UInt8(ascii: "0"), text[index] <= UInt8(ascii: "9") { index += 1 }
            return index - start
        }

        /// The whole text was found to be UTF-8, and a string ends at ASCII bytes, so nothing is repaired here.
        func copy(_ bytes: Span<UInt8>) -> String {
            unsafe bytes.withUnsafeBufferPointer { unsafe String(decoding: $0, as: UTF8.self) }
        }
    }
}
