/// Which trace a request belongs to, and which span sent it: the `traceparent` of W3C Trace Context, level 1 (§3.2).
package struct TraceContext: Sendable, Hashable {
    /// The trace-id, 16 bytes; never all zero in one that was read.
    package let traceHigh, traceLow: UInt64
    /// The parent-id, 8 bytes: the span that sends. Never zero in one that was read.
    package let span: UInt64
    /// The only flag of level 1: the sender may have recorded its span.
    package let isSampled: Bool

    package init(traceHigh: UInt64, traceLow: UInt64, span: UInt64, isSampled: Bool) {
        (self.traceHigh, self.traceLow, self.span, self.isSampled) = (traceHigh, traceLow, span, isSampled)
    }

    /// The bytes of version 00.
    package static let byteCount = 55

    /// Reads a field's value. `nil`, upon which a new trace begins (§4.3), for everything but `00-` 32 digits `-` 16 digits `-` 2 digits, in
    /// lower case; a later version may go on behind another `-`, and `ff` is none.
    package init?(_ text: Span<UInt8>) {
        guard text.count >= Self.byteCount, text[2] == hyphen, text[35] == hyphen, text[52] == hyphen,
              let version = hexadecimal(text, 0..<2), version != 0xff,
              let high = hexadecimal(text, 3..<19), let low = hexadecimal(text, 19..<35),
              let span = hexadecimal(text, 36..<52), let flags = hexadecimal(text, 53..<55)
        else { return nil }
        if text.count > Self.byteCount, version == 0 || text[Self.byteCount] != hyphen { return nil }
        guard high | low != 0, span != 0 else { return nil }
        self.init(traceHigh: high, traceLow: low, span: span, isSampled: flags & 1 == 1)
    }

    /// The same trace, as `span` goes on with it.
    package func continued(by span: UInt64) -> TraceContext {
        TraceContext(traceHigh: traceHigh, traceLow: traceLow, span: span, isSampled: isSampled)
    }

    /// The value of a `traceparent` of version 00. Flags that level 1 does not know are not passed on (§3.2.2.5).
    package var text: InlineArray<55, UInt8> {
        var text = InlineArray<55, UInt8>(repeating: UInt8(ascii: "0"))
        (text[2], text[35], text[52]) = (hyphen, hyphen, hyphen)
        write(traceHigh, at: 3, &text)
        write(traceLow, at: 19, &text)
        write(span, at: 36, &text)
        if isSampled { text[54] = UInt8(ascii: "1") }
        return text
    }

    private func write(_ word: UInt64, at start: Int, _ text: inout InlineArray<55, UInt8>) {
        for digit in 0..<16 {
            let value = UInt8(truncatingIfNeeded: word &>> UInt64(60 &- 4 &* digit)) & 15
            text[start &+ digit] = value < 10 ? UInt8(ascii: "0") &+ value : UInt8(ascii: "a") &- 10 &+ value
        }
    }
}

private let hyphen = UInt8(ascii: "-")

/// At most 16 digits of lower case.
private func hexadecimal(_ text: Span<UInt8>, _ range: Range<Int>) -> UInt64? {
    var word: UInt64 = 0
    for index in range {
        let digit: UInt8
        switch text[index] {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = text[index] &- UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = text[index] &- UInt8(ascii: "a") &+ 10
        default: return nil
        }
        word = word &<< 4 | UInt64(digit)
    }
    return word
}
