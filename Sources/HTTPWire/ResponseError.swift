/// Why a response's head is refused: always the upstream's fault, answered with 502 (503 where the route says so), and its
/// connection is closed. The raw value stands in the access log as `details`.
package enum ResponseError: String, Error, Sendable, CaseIterable {
    /// Not `HTTP/1.x SP status [SP reason] CRLF` (RFC 9112 §4).
    case statusLineMalformed = "upstream_status_line_malformed"
    /// Neither HTTP/1.0 nor HTTP/1.1.
    case versionUnsupported = "upstream_version_unsupported"
    /// A status below 100.
    case statusInvalid = "upstream_status_invalid"
    /// A line that is no field line: its name, its colon, a fold, a bare CR or LF, a control byte (RFC 9112 §5).
    case fieldMalformed = "upstream_field_malformed"
    /// Over `fieldLineBytesMax`.
    case fieldTooLarge = "upstream_field_too_large"
    /// More than `fieldsMax` lines.
    case tooManyFields = "upstream_too_many_fields"
    /// Over `headBytesMax`.
    case headTooLarge = "upstream_head_too_large"
    /// Not 1 to 18 digits.
    case contentLengthInvalid = "upstream_content_length_invalid"
    /// Two that differ (RFC 9112 §6.3).
    case contentLengthConflict = "upstream_content_length_conflict"
    /// Anything but one `chunked`, or any in HTTP/1.0 (RFC 9112 §6.1).
    case transferEncodingInvalid = "upstream_transfer_encoding_invalid"
    /// Both Content-Length and Transfer-Encoding (RFC 9112 §6.1).
    case framingAmbiguous = "upstream_framing_ambiguous"
    /// Not a list of tokens, or one of more than 32 options.
    case connectionInvalid = "upstream_connection_invalid"
    /// 101 without a protocol to switch to (RFC 9110 §15.2.2).
    case upgradeInvalid = "upstream_upgrade_invalid"
    /// 101 to a request that asked for no switch (RFC 9110 §15.2.2).
    case upgradeUnasked = "upstream_upgrade_unasked"

    init(_ fault: FieldFault) {
        self = switch fault {
        case .lineTooLong: .fieldTooLarge
        case .obsoleteFold, .nameEmpty, .nameBlank, .nameUnderscore, .nameInvalid, .withoutColon, .valueControl, .bareLineFeed,
             .bareCarriageReturn: .fieldMalformed
        }
    }
}
