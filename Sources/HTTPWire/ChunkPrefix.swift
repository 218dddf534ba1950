/// What stands before a chunk's data: its size in hexadecimal and CRLF (RFC 9112 §7.1). No heap memory is needed.
package struct ChunkPrefix: Sendable {
    /// What stands behind a chunk's data.
    package static let suffix: StaticString = "\r\n"
    /// The last chunk and the end of a body without trailers.
    package static let last: StaticString = "0\r\n\r\n"
    /// Longest prefix, in bytes.
    package static let countMax = 18

    private var storage = InlineArray<18, UInt8>(repeating: 0)
    private let start: Int

    /// - Parameter size: bytes of data that follow; not 0, which would end the body, so an empty chunk is not to be written.
    package init(size: Int) {
        storage[16] = carriageReturn
        storage[17] = lineFeed
        var first = 16
        var rest = UInt64(max(0, size))
        repeat {
            first -= 1
            storage[first] = uppercaseHexDigit(UInt8(truncatingIfNeeded: rest & 15))
            rest >>= 4
        } while rest > 0
        start = first
    }

    package var count: Int { 18 - start }

    /// Lends the bytes.
    package func withBytes<Result>(_ body: (Span<UInt8>) -> Result) -> Result {
        body(storage.span.extracting(start..<18))
    }

    package func append(to bytes: inout [UInt8]) {
        for index in start..<18 { bytes.append(storage[index]) }
    }
}
