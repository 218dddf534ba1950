/// Where some bytes of a message stand, counted from the first byte that was given to the parser.
///
/// A head is one buffer and these places in it; a text is made only when somebody asks for one.
package struct Slice: Equatable, Sendable {
    package var start: Int32
    /// Number of bytes; may be 0.
    package var count: Int32

    package init(start: Int32, count: Int32) {
        self.start = start
        self.count = count
    }

    /// The bytes from `start` up to, not including, `end`; both lie within a head, so 32 bits hold them.
    @inline(__always)
    init(from start: Int, to end: Int) {
        self.start = Int32(truncatingIfNeeded: start)
        count = Int32(truncatingIfNeeded: end &- start)
    }

    package var isEmpty: Bool { count <= 0 }

    /// For `Span.extracting`.
    package var range: Range<Int> {
        let lower = Int(start)
        return lower..<lower + max(0, Int(count))
    }
}
