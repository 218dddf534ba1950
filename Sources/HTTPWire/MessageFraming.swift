/// The two versions that the parsers read (RFC 9112 §2.3), and the one whose heads ``RequestHeadBuilder`` makes.
package enum HTTPVersion: Sendable, Equatable {
    case http10, http11, http2
}

/// How the end of a message's body is told (RFC 9112 §6.3).
package enum MessageFraming: Equatable, Sendable {
    /// No body follows the head.
    case none
    /// Exactly so many bytes; may be 0.
    case length(UInt64)
    /// Chunks, and perhaps trailers.
    case chunked
    /// All bytes until the connection closes; responses only.
    case untilClose
}
