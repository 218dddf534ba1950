/// What a `Content-Type` says of whether gzip makes the body smaller (RFC 9110 §8.3).
package enum MediaType {
    /// Text of some kind: pages, styles, scripts, data, pictures in SVG. A closed list, without `text/event-stream`, whose events must never be
    /// held up, and without everything that is compressed by nature.
    package static func isCompressible(_ value: Span<UInt8>) -> Bool {
        let end = value.firstPosition(of: UInt8(ascii: ";"), from: 0, to: value.count)
        let range = value.trimmed(0..<end)
        // By length first: one comparison decides for most.
        return switch range.count {
        case 8: value.spells("text/css", in: range) || value.spells("text/csv", in: range) || value.spells("text/xml", in: range)
        case 9: value.spells("text/html", in: range)
        case 10: value.spells("text/plain", in: range)
        case 13: value.spells("image/svg+xml", in: range) || value.spells("text/markdown", in: range)
        case 15: value.spells("text/javascript", in: range) || value.spells("application/xml", in: range)
        case 16: value.spells("application/json", in: range)
        case 19: value.spells("application/ld+json", in: range)
        case 20: value.spells("application/x-ndjson", in: range)
        case 21: value.spells("application/xhtml+xml", in: range)
        case 22: value.spells("application/javascript", in: range)
        case 24: value.spells("application/problem+json", in: range)
        case 25: value.spells("application/manifest+json", in: range)
        default: false
        }
    }
}
