package import GatewayTerms

/// Writes one JSON object a line (RFC 8259) into a buffer that it keeps for the next line.
///
/// Member names are literals of this module with their quotes and colon; values may hold any bytes. What leaves is valid
/// UTF-8 and valid JSON: quotes, backslashes, control bytes (DEL and C1 included), U+2028, U+2029 and bidirectional controls
/// are escaped, so that no text can break the line or repaint a terminal; broken UTF-8 becomes U+FFFD.
package struct JSONLineWriter: Sendable {
    /// The line, from `{` to its newline.
    package private(set) var bytes: [UInt8] = []
    private var timestamp = LogTimestamp()

    package init() { bytes.reserveCapacity(2048) }

    package mutating func begin() {
        bytes.removeAll(keepingCapacity: true)
        bytes.append(UInt8(ascii: "{"))
    }

    package mutating func end() { append("}\n") }

    package mutating func beginObject(_ name: StaticString) {
        start(name)
        bytes.append(UInt8(ascii: "{"))
    }

    package mutating func endObject() { bytes.append(UInt8(ascii: "}")) }

    package mutating func beginArray(_ name: StaticString) {
        start(name)
        bytes.append(UInt8(ascii: "["))
    }

    package mutating func endArray() { bytes.append(UInt8(ascii: "]")) }

    // MARK: Members; an absent value writes nothing.

    /// `quoted` is a value as it stands in JSON.
    package mutating func member(_ name: StaticString, quoted value: StaticString) {
        start(name)
        append(value)
    }

    package mutating func member(_ name: StaticString, _ text: LogText?, bytesMax: Int = AccessLogEntry.textBytesMax) {
        guard let text else { return }
        start(name)
        append(text, bytesMax: bytesMax)
    }

    package mutating func member(_ name: StaticString, _ number: Int) {
        start(name)
        append(number)
    }

    package mutating func member(_ name: StaticString, _ time: WallTime) {
        start(name)
        bytes.append(quote)
        timestamp.append(time, to: &bytes)
        bytes.append(quote)
    }

    /// Milliseconds with three decimals.
    package mutating func member(_ name: StaticString, _ duration: LogDuration?) {
        guard let duration else { return }
        start(name)
        let (milliseconds, rest) = duration.microseconds.quotientAndRemainder(dividingBy: 1000)
        append(decimal: milliseconds)
        bytes.append(UInt8(ascii: "."))
        bytes.appendThreeDigits(Int(rest))
    }

    package mutating func member(_ name: StaticString, _ identifier: RequestID) {
        start(name)
        bytes.append(quote)
        identifier.append(to: &bytes)
        bytes.append(quote)
    }

    package mutating func member(_ name: StaticString, _ address: IPAddress?) {
        guard let address else { return }
        start(name)
        bytes.append(quote)
        append(address)
        bytes.append(quote)
    }

    /// Sixteen digits a word, in lower case.
    package mutating func member(_ name: StaticString, hexadecimal words: UInt64...) {
        start(name)
        bytes.append(quote)
        for word in words {
            for shift in stride(from: 60, through: 0, by: -4) { bytes.append(hexadecimalDigit(UInt8(truncatingIfNeeded: word >> UInt64(shift)) & 15)) }
        }
        bytes.append(quote)
    }

    /// Members that were rendered before.
    package mutating func members(_ prepared: LogMembers) {
        guard !prepared.bytes.isEmpty else { return }
        separate()
        bytes.append(contentsOf: prepared.bytes)
    }

    package mutating func element(quoted value: StaticString) {
        separate()
        append(value)
    }

    package mutating func element(_ text: LogText, bytesMax: Int) {
        separate()
        append(text, bytesMax: bytesMax)
    }

    // MARK: Parts

    private mutating func start(_ name: StaticString) {
        separate()
        append(name)
    }

    /// A comma, unless the object or array has just begun.
    private mutating func separate() {
        switch bytes.last {
        case UInt8(ascii: "{"), UInt8(ascii: "["): break
        default: bytes.append(UInt8(ascii: ","))
        }
    }

    private mutating func append(_ literal: StaticString) {
        unsafe bytes.append(contentsOf: UnsafeBufferPointer(start: literal.utf8Start, count: literal.utf8CodeUnitCount))
    }

    private mutating func append(_ number: Int) {
        if number < 0 { bytes.append(UInt8(ascii: "-")) }
        append(decimal: UInt64(number.magnitude))
    }

    private mutating func append(decimal number: UInt64) {
        guard number >= 10 else {
            bytes.append(UInt8(ascii: "0") + UInt8(number))
            return
        }
        var digits: InlineArray<20, UInt8> = .init(repeating: 0)
        var index = 20
        var rest = number
        while rest > 0 {
            index -= 1
            digits[index] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        }
        unsafe digits.span.withUnsafeBufferPointer { unsafe bytes.append(contentsOf: $0[index...]) }
    }

    /// As RFC 5952 writes it; without brackets.
    private mutating func append(_ address: IPAddress) {
        guard !address.isIPv6 else {
            bytes.append(contentsOf: address.description.utf8)
            return
        }
        for shift: UInt64 in [24, 16, 8, 0] {
            append(decimal: address.low >> shift & 255)
            if shift > 0 { bytes.append(UInt8(ascii: ".")) }
        }
    }

    private mutating func append(_ text: LogText, bytesMax: Int) {
        bytes.append(quote)
        switch text {
        case .literal(let literal):
            unsafe append(escaping: UnsafeBufferPointer(start: literal.utf8Start, count: literal.utf8CodeUnitCount), bytesMax: bytesMax)
        case .text(let string):
            let span = string.utf8.span
            unsafe span.withUnsafeBufferPointer { unsafe append(escaping: $0, bytesMax: bytesMax) }
        case .bytes(let array):
            unsafe array.withUnsafeBufferPointer { unsafe append(escaping: $0, bytesMax: bytesMax) }
        }
        bytes.append(quote)
    }

    private mutating func append(escaping text: UnsafeBufferPointer<UInt8>, bytesMax: Int) {
        guard let base = text.baseAddress else { return }
        var end = text.count
        if end > bytesMax {
            // Not within a character: back over its continuation bytes, of which there are at most three.
            end = max(0, bytesMax)
            for _ in 0..<3 where unsafe end > 0 && base[end] & 0xc0 == 0x80 { end -= 1 }
        }
        var index = 0
        var plainStart = 0
        while index < end {
            if index &+ 8 <= end, unsafe isPlain(UnsafeRawPointer(base + index).loadUnaligned(as: UInt64.self)) {
                index &+= 8
                continue
            }
            if unsafe isPlain(base[index]) {
                index &+= 1
                continue
            }
            unsafe bytes.append(contentsOf: UnsafeBufferPointer(start: base + plainStart, count: index - plainStart))
            index += unsafe append(special: UnsafeBufferPointer(start: base + index, count: end - index))
            plainStart = index
        }
        unsafe bytes.append(contentsOf: UnsafeBufferPointer(start: base + plainStart, count: end - plainStart))
        if end < text.count { bytes.append(contentsOf: [0xe2, 0x80, 0xa6]) }
    }

    /// Writes the first character of `text`, which is not plain, and tells how many bytes it took.
    private mutating func append(special text: UnsafeBufferPointer<UInt8>) -> Int {
        let first = unsafe text[0]
        switch first {
        case UInt8(ascii: "\""): append(#"\""#)
        case UInt8(ascii: "\\"): append(#"\\"#)
        case UInt8(ascii: "\n"): append(#"\n"#)
        case UInt8(ascii: "\r"): append(#"\r"#)
        case UInt8(ascii: "\t"): append(#"\t"#)
        case 0..<0x80: append(escape: UInt32(first))
        default:
            let character = unsafe UTF8Character(first: text)
            if let value = character.value, !isHidden(value) {
                unsafe bytes.append(contentsOf: text[..<character.length])
            } else {
                if let value = character.value { append(escape: value) } else { bytes.append(contentsOf: [0xef, 0xbf, 0xbd]) }
            }
            return character.length
        }
        return 1
    }

    private mutating func append(escape value: UInt32) {
        append(#"\u"#)
        for shift: UInt32 in [12, 8, 4, 0] { bytes.append(hexadecimalDigit(UInt8(truncatingIfNeeded: value >> shift) & 15)) }
    }
}

/// The first character of a text that begins with a byte of 0x80 or more (RFC 3629 §4).
private struct UTF8Character {
    /// Bytes to step over, at least 1: the character, or the longest beginning of one (Unicode §3.9, maximal subpart).
    let length: Int
    /// `nil` when the bytes are no character.
    let value: UInt32?

    init(first text: UnsafeBufferPointer<UInt8>) {
        let first = unsafe text[0]
        let (count, seconds): (Int, ClosedRange<UInt8>) = switch first {
        case 0xc2...0xdf: (2, 0x80...0xbf)
        case 0xe0: (3, 0xa0...0xbf)
        case 0xe1...0xec, 0xee...0xef: (3, 0x80...0xbf)
        case 0xed: (3, 0x80...0x9f)
        case 0xf0: (4, 0x90...0xbf)
        case 0xf1...0xf3: (4, 0x80...0xbf)
        case 0xf4: (4, 0x80...0x8f)
        default: (1, 0...0)
        }
        guard count > 1 else {
            (length, value) = (1, nil)
            return
        }
        var value = UInt32(first & (0xff >> UInt8(count + 1)))
        for index in 1..<count {
            guard index < text.count, unsafe index == 1 ? seconds.contains(text[1]) : text[index] & 0xc0 == 0x80 else {
                (length, self.value) = (index, nil)
                return
            }
            value = unsafe value << 6 | UInt32(text[index] & 0x3f)
        }
        (length, self.value) = (count, value)
    }
}

/// Characters that a terminal or a reader obeys instead of showing: C1 controls, line and paragraph separators,
/// bidirectional controls. All are below U+10000.
private func isHidden(_ value: UInt32) -> Bool {
    switch value {
    case 0x80...0x9f, 0x61c, 0x200e...0x200f, 0x2028...0x202e, 0x2066...0x2069, 0xfeff: true
    default: false
    }
}

private func isPlain(_ byte: UInt8) -> Bool {
    byte >= 0x20 && byte < 0x7f && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "\\")
}

/// True when each of eight bytes is plain: none below 0x20, above 0x7e, `"` or `\`.
private func isPlain(_ word: UInt64) -> Bool {
    let ones: UInt64 = 0x0101_0101_0101_0101
    let highs: UInt64 = 0x8080_8080_8080_8080
    func zeroes(_ word: UInt64) -> UInt64 { (word &- ones) & ~word }
    let bad = word | (word &- ones &* 0x20) | zeroes(word ^ ones &* 0x22) | zeroes(word ^ ones &* 0x5c) | zeroes(word ^ ones &* 0x7f)
    return bad & highs == 0
}

func hexadecimalDigit(_ value: UInt8) -> UInt8 {
    value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10
}

private let quote = UInt8(ascii: "\"")
