internal import GatewayTerms

/// Times as people read them.
enum Moment {
    /// `2026-11-24 12:03:09` in UTC.
    static func text(milliseconds: Int64) -> String {
        let text = WallTime(milliseconds: milliseconds).description
        return text.prefix(10) + " " + text.dropFirst(11).prefix(8)
    }

    /// `43 s`, `2 min 5 s`, `3 h 12 min`, `2 d 4 h`.
    static func span(seconds: Int64) -> String {
        let seconds = max(0, seconds)
        return switch seconds {
        case ..<60: "\(seconds) s"
        case ..<3600: "\(seconds / 60) min \(seconds % 60) s"
        case ..<86_400: "\(seconds / 3600) h \(seconds / 60 % 60) min"
        default: "\(seconds / 86_400) d \(seconds / 3600 % 24) h"
        }
    }
}
