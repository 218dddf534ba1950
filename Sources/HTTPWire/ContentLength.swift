/// The value of a Content-Length field: 1 to `digitsMax` digits and nothing else (RFC 9112 §6.2), else `nil`.
func contentLength(_ bytes: Span<UInt8>, _ value: Slice, digitsMax: Int = RequestLimits.contentLengthDigitsMax) -> UInt64? {
    let range = value.range
    guard !range.isEmpty, range.count <= digitsMax else { return nil }
    var length: UInt64 = 0
    for index in range {
        guard isDigit(bytes[index]) else { return nil }
        length = length &* 10 &+ UInt64(bytes[index] &- 48)
    }
    return length
}
