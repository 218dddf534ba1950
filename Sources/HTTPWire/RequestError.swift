/// Why a request's head is refused: always the client's fault. The connection closes after the answer, since where the next
/// request would begin is not known. The raw value stands in the access log as `details`.
package enum RequestError: String, Error, Sendable, CaseIterable {
    // The request line (RFC 9112 §3)
    /// Not `METHOD SP target SP version CRLF`: an empty part, a blank too many, no version (HTTP/0.9), or not HTTP at all.
    case requestLineMalformed = "request_line_malformed"
    /// More than 32 bytes of method.
    case methodTooLong = "method_too_long"
    /// A method that no policy of ours knows (RFC 9110 §15.6.2).
    case methodUnknown = "method_unknown"
    /// CONNECT: this is no tunnel (RFC 9110 §9.3.6).
    case methodConnect = "method_connect"
    /// TRACE would repeat the caller's credentials in its answer (RFC 9110 §9.3.8).
    case methodTrace = "method_trace"
    /// Over `targetBytesMax` (RFC 9110 §15.5.15).
    case targetTooLong = "target_too_long"
    /// A control byte or one of 0x80 and above in the target (RFC 3986 §2).
    case targetInvalidByte = "target_invalid_byte"
    /// A `#`: fragments never travel (RFC 9110 §7.1).
    case targetFragment = "target_fragment"
    /// Neither origin-form nor absolute-form with http or https, nor `*` with OPTIONS (RFC 9112 §3.2).
    case targetForm = "target_form"
    /// `user@` in an absolute-form target (RFC 9110 §4.2.4).
    case targetUserinfo = "target_userinfo"
    /// Well-formed, but neither HTTP/1.0 nor HTTP/1.1 (RFC 9110 §15.6.6).
    case versionUnsupported = "version_unsupported"

    // Lines (RFC 9112 §2.2, §5)
    /// A line that ends with LF alone.
    case bareLineFeed = "bare_line_feed"
    /// A CR that no LF follows.
    case bareCarriageReturn = "bare_carriage_return"
    /// A line that begins with a blank (RFC 9112 §5.2), also directly after the request line.
    case obsoleteFold = "obsolete_fold"
    /// A line that begins with its colon.
    case fieldNameEmpty = "field_name_empty"
    /// A blank in a name or before its colon (RFC 9112 §5.1).
    case fieldNameBlank = "field_name_blank"
    /// An underscore in a name: many programs read `X_Forwarded_For` as `X-Forwarded-For` (B10).
    case fieldNameUnderscore = "field_name_underscore"
    /// Another byte than a letter, digit or hyphen in a name (B10).
    case fieldNameInvalid = "field_name_invalid"
    /// A line of the field section without a colon.
    case fieldWithoutColon = "field_without_colon"
    /// A control byte other than HTAB in a value (RFC 9110 §5.5).
    case fieldValueControl = "field_value_control"
    /// A byte of 0x80 and above in a field that a decision reads (CVE-2026-73552).
    case fieldValueNotASCII = "field_value_not_ascii"
    /// Over `fieldLineBytesMax`, `cookieBytesMax` or `authorizationBytesMax` (RFC 6585 §5).
    case fieldTooLarge = "field_too_large"
    /// More than `fieldsMax` lines (RFC 6585 §5).
    case tooManyFields = "too_many_fields"
    /// Over `headBytesMax` (RFC 6585 §5).
    case headTooLarge = "head_too_large"

    // Host (RFC 9112 §3.2)
    /// No Host; refused in HTTP/1.0 too, since a stage is chosen by it.
    case hostMissing = "host_missing"
    /// More than one Host.
    case hostDuplicate = "host_duplicate"
    /// Not `host[:port]` (RFC 3986 §3.2.2).
    case hostInvalid = "host_invalid"
    /// An absolute-form target that names another authority than Host.
    case hostMismatch = "host_mismatch"

    // Framing (RFC 9112 §6)
    /// Not 1 to 18 digits.
    case contentLengthInvalid = "content_length_invalid"
    /// More than one Content-Length, also when they agree (B10).
    case contentLengthDuplicate = "content_length_duplicate"
    /// Anything but `chunked` alone.
    case transferEncodingInvalid = "transfer_encoding_invalid"
    /// More than one Transfer-Encoding line.
    case transferEncodingDuplicate = "transfer_encoding_duplicate"
    /// Both Content-Length and Transfer-Encoding: the classic of request smuggling (RFC 9112 §6.1).
    case framingAmbiguous = "framing_ambiguous"
    /// Transfer-Encoding in HTTP/1.0, which does not know it (RFC 9112 §6.1).
    case transferEncodingInHTTP10 = "transfer_encoding_in_http10"

    // Other fields that decisions read
    /// More than one Authorization (CVE-2025-64527).
    case authorizationDuplicate = "authorization_duplicate"
    /// More than one Content-Type.
    case contentTypeDuplicate = "content_type_duplicate"
    /// More than one Expect.
    case expectDuplicate = "expect_duplicate"
    /// Anything but `100-continue` (RFC 9110 §10.1.1).
    case expectationUnsupported = "expectation_unsupported"
    /// Not a list of tokens, or one of more than 32 options (RFC 9110 §7.6.1).
    case connectionInvalid = "connection_invalid"
    /// Connection names a field whose loss would change who asks, for what, or how much (B10, CVE-2024-45410).
    case connectionNamesProtected = "connection_names_protected"
    /// Not a list of protocols, or more than one Upgrade (RFC 9110 §7.8).
    case upgradeInvalid = "upgrade_invalid"
    /// A body before the switch: it could be read as the first bytes of the new protocol (CVE-2026-2833).
    case upgradeWithBody = "upgrade_with_body"

    // HTTP/2 (RFC 9113 §8)
    /// A head that the protocol forbids, so that its stream was reset before anything of it was looked at (RFC 9113 §8.1.1).
    case headMalformed = "http2_head_malformed"
    /// A pseudo-field that is unknown, missing, there twice, or behind another field (RFC 9113 §8.3).
    case pseudoFieldInvalid = "pseudo_field_invalid"
    /// Another scheme than the connection's own: `http` over TLS, say (RFC 9113 §8.3.1).
    case schemeInvalid = "scheme_invalid"
    /// A field that means something to an HTTP/1.1 connection only (RFC 9113 §8.2.2).
    case connectionSpecificField = "connection_specific_field"
    /// A value that begins or ends with a blank (RFC 9113 §8.2.1).
    case fieldValueBlank = "field_value_blank"

    /// The status of the answer.
    package var status: Int {
        switch self {
        case .methodTrace: 405
        case .targetTooLong: 414
        case .expectationUnsupported: 417
        case .fieldTooLarge, .tooManyFields, .headTooLarge: 431
        case .methodUnknown, .methodConnect: 501
        case .versionUnsupported: 505
        case .requestLineMalformed, .methodTooLong, .targetInvalidByte, .targetFragment, .targetForm, .targetUserinfo,
             .bareLineFeed, .bareCarriageReturn, .obsoleteFold, .fieldNameEmpty, .fieldNameBlank, .fieldNameUnderscore,
             .fieldNameInvalid, .fieldWithoutColon, .fieldValueControl, .fieldValueNotASCII, .hostMissing, .hostDuplicate,
             .hostInvalid, .hostMismatch, .contentLengthInvalid, .contentLengthDuplicate, .transferEncodingInvalid,
             .transferEncodingDuplicate, .framingAmbiguous, .transferEncodingInHTTP10, .authorizationDuplicate,
             .contentTypeDuplicate, .expectDuplicate, .connectionInvalid, .connectionNamesProtected, .upgradeInvalid,
             .upgradeWithBody, .headMalformed, .pseudoFieldInvalid, .schemeInvalid, .connectionSpecificField, .fieldValueBlank: 400
        }
    }
}

extension RequestError {
    init(_ fault: FieldFault) {
        self = switch fault {
        case .obsoleteFold: .obsoleteFold
        case .nameEmpty: .fieldNameEmpty
        case .nameBlank: .fieldNameBlank
        case .nameUnderscore: .fieldNameUnderscore
        case .nameInvalid: .fieldNameInvalid
        case .withoutColon: .fieldWithoutColon
        case .valueControl: .fieldValueControl
        case .bareLineFeed: .bareLineFeed
        case .bareCarriageReturn: .bareCarriageReturn
        case .lineTooLong: .fieldTooLarge
        }
    }
}
