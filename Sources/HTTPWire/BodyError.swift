/// Why a body is refused: the fault of the side that sends it. Its connection closes, since the end of the message is not
/// known any more. The raw value stands in the access log as `details`; for a response the status is 502 whatever it says here.
package enum BodyError: String, Error, Sendable, CaseIterable {
    /// More bytes than the limit, told by Content-Length, by a chunk's size, or by counting (RFC 9110 §15.5.14).
    case tooLarge = "body_too_large"
    /// Not 1 to 16 hexadecimal digits (RFC 9112 §7.1).
    case chunkSizeInvalid = "chunk_size_invalid"
    /// Neither `name` nor `name=value` after a `;`, or bytes that cannot stand in one (RFC 9112 §7.1.1).
    case chunkExtensionInvalid = "chunk_extension_invalid"
    /// Over 1 KiB in a chunk, or over 16 KiB in a body.
    case chunkExtensionTooLarge = "chunk_extension_too_large"
    /// A line of a chunk that does not end with CRLF.
    case chunkLineEndInvalid = "chunk_line_end_invalid"
    /// More data than the chunk's size said.
    case chunkDataEndInvalid = "chunk_data_end_invalid"
    /// A trailer line that is no field line (RFC 9112 §7.1.2).
    case trailerInvalid = "trailer_invalid"
    /// A trailer that would say who asks, for what, or how the message is framed (RFC 9110 §6.5.1).
    case trailerForbidden = "trailer_forbidden"
    /// Over 8 KiB or 32 lines of trailers.
    case trailersTooLarge = "trailers_too_large"

    /// The status of the answer to a request with such a body.
    package var status: Int {
        switch self {
        case .tooLarge: 413
        case .chunkSizeInvalid, .chunkExtensionInvalid, .chunkExtensionTooLarge, .chunkLineEndInvalid, .chunkDataEndInvalid,
             .trailerInvalid, .trailerForbidden, .trailersTooLarge: 400
        }
    }
}
