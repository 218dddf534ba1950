/// Why a connection ends before its time: the client's fault unless it is `.library`.
package enum SessionFault: Error, Sendable, Equatable {
    /// What the client sent too much of. The raw value stands in logs.
    package enum Flood: String, Sendable, CaseIterable {
        case resets = "http2_reset_flood"
        case pings = "http2_ping_flood"
        case settings = "http2_settings_flood"
        case emptyFrames = "http2_empty_frame_flood"
        case priorities = "http2_priority_flood"
        case windowUpdates = "http2_window_update_flood"
        case fields = "http2_field_flood"
        case continuations = "http2_continuation_flood"
        case acknowledgements = "http2_acknowledgement_flood"
    }

    case flood(Flood)
    /// The first bytes are not those of RFC 9113 §3.4.
    case prefaceInvalid
    /// Something that RFC 9113 or RFC 7541 forbids, named by the code that the client was sent.
    case violation(code: UInt32)
    /// Out of memory, or a fault of ours.
    case library(code: Int32)

    /// The word for logs.
    package var code: String {
        switch self {
        case .flood(let flood): flood.rawValue
        case .prefaceInvalid: "http2_preface_invalid"
        case .violation: "http2_protocol_error"
        case .library: "http2_internal_error"
        }
    }
}
