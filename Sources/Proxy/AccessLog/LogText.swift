/// The text of one log field, in whichever form its owner already holds it, so that logging copies nothing.
///
/// There is no way in for a `Secret`: it has no bytes to give but a borrowed `Span`, and no initialiser here takes one (E5).
package enum LogText: Sendable, ExpressibleByStringLiteral, CustomStringConvertible {
    /// A word of a closed vocabulary.
    case literal(StaticString)
    /// A name out of the configuration or the TLS layer.
    case text(String)
    /// Bytes that a client sent, valid UTF-8 or not; the line writer makes them harmless.
    case bytes([UInt8])

    package init(stringLiteral value: StaticString) { self = .literal(value) }

    package var description: String {
        switch self {
        case .literal(let text): text.description
        case .text(let text): text
        case .bytes(let bytes): String(decoding: bytes, as: UTF8.self)
        }
    }
}
