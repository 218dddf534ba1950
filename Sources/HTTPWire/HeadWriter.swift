package import GatewayTerms

/// Writes message heads (RFC 9112 §3–§5) into one buffer that is reused.
///
/// Field names are constants of our own; every value is made safe as it is written, so that no text that was configured or
/// taken from a token can end a line: a control byte other than HTAB becomes a space.
package struct HeadWriter: Sendable {
    package private(set) var bytes: [UInt8] = []

    package init(capacity: Int) {
        bytes.reserveCapacity(max(0, capacity))
    }

    /// Begins anew in the same buffer.
    package mutating func removeAll() {
        bytes.removeAll(keepingCapacity: true)
    }

    /// Method, target and `HTTP/1.1`. Bytes that cannot stand in a target are escaped.
    package mutating func requestLine(_ method: Method, path: Span<UInt8>, query: Span<UInt8>?) {
        append(method.name)
        bytes.append(space)
        appendTarget(path)
        if let query {
            bytes.append(UInt8(ascii: "?"))
            appendTarget(query)
        }
        append(" HTTP/1.1\r\n")
    }

    /// `HTTP/1.1`, the status and its reason phrase, by default the registry's.
    /// - Parameter status: 100…999; another one, which would be a fault of ours, is written as 500.
    package mutating func statusLine(_ status: Int, reason: Span<UInt8>? = nil) {
        let status = (100...999).contains(status) ? status : 500
        append("HTTP/1.1 ")
        appendNumber(UInt64(status))
        bytes.append(space)
        if let reason, reason.count > 0 { appendValue(reason) } else { append(reasonPhrase(status)) }
        endLine()
    }

    package mutating func field(_ name: StaticString, _ value: Span<UInt8>) {
        beginField(name)
        appendValue(value)
        endLine()
    }

    package mutating func field(_ name: StaticString, _ value: String) {
        beginField(name)
        appendValue(value.utf8.span)
        endLine()
    }

    package mutating func field(_ name: StaticString, number: UInt64) {
        beginField(name)
        appendNumber(number)
        endLine()
    }

    /// Repeats a field line that `RequestParser` or `ResponseParser` has accepted.
    package mutating func rawField(name: Span<UInt8>, value: Span<UInt8>) {
        append(name)
        bytes.append(colon)
        bytes.append(space)
        append(value)
        endLine()
    }

    /// Whole field lines that were made safe when they were made, each ended by CR LF.
    package mutating func lines(_ lines: Span<UInt8>) {
        append(lines)
    }

    /// The empty line that ends the head.
    package mutating func end() {
        endLine()
    }

    private mutating func beginField(_ name: StaticString) {
        append(name)
        bytes.append(colon)
        bytes.append(space)
    }

    @inline(__always)
    private mutating func endLine() {
        bytes.append(carriageReturn)
        bytes.append(lineFeed)
    }

    @inline(__always)
    private mutating func append(_ text: StaticString) {
        text.withUTF8Buffer { unsafe bytes.append(contentsOf: $0) }
    }

    @inline(__always)
    private mutating func append(_ text: Span<UInt8>) {
        unsafe text.withUnsafeBufferPointer { unsafe bytes.append(contentsOf: $0) }
    }

    private mutating func appendValue(_ value: Span<UInt8>) {
        var position = 0
        while position < value.count {
            let stop = value.endOfFieldText(from: position, to: value.count)
            append(value.extracting(position..<stop))
            guard stop < value.count else { return }
            let byte = value[stop]
            bytes.append(byte == tab || byte >= 0x80 ? byte : space)
            position = stop + 1
        }
    }

    private mutating func appendTarget(_ target: Span<UInt8>) {
        var position = 0
        while position < target.count {
            let stop = target.endOfTargetText(from: position, to: target.count)
            append(target.extracting(position..<stop))
            guard stop < target.count else { return }
            bytes.append(UInt8(ascii: "%"))
            bytes.append(uppercaseHexDigit(target[stop] >> 4))
            bytes.append(uppercaseHexDigit(target[stop] & 15))
            position = stop + 1
        }
    }

    private mutating func appendNumber(_ number: UInt64) {
        var digits = InlineArray<20, UInt8>(repeating: 0)
        var first = 20
        var rest = number
        repeat {
            first -= 1
            digits[first] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        } while rest > 0
        for index in first..<20 { bytes.append(digits[index]) }
    }
}

/// The digit of a value below 16.
func uppercaseHexDigit(_ value: UInt8) -> UInt8 {
    value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "A") &- 10 &+ value
}
