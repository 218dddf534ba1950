/// What went out of the ordinary in an exchange, in Envoy's letters where Envoy has them, so that dashboards survive (E2).
///
/// | Letters | Meaning | Letters | Meaning |
/// |---|---|---|---|
/// | NR | no route matched | RL | local rate limit |
/// | UH | no healthy endpoint | UAEX | refused by authentication or authorisation |
/// | UF | connecting upstream failed | SI | stream idle timeout |
/// | UO | overflow: a pool's or queue's limit | DPE | downstream protocol error |
/// | UC | upstream closed the connection | SX | login session absent, broken or ended |
/// | UR | upstream reset the stream | JW | token refused |
/// | URX | a retry failed too | CB | path refused by canonicalisation |
/// | UT | upstream answered too late | DR | answered while draining |
/// | DC | downstream left | LR | reset by the gateway |
package struct AccessLogFlags: OptionSet, Sendable, Hashable {
    package let rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }

    package static let noRoute = AccessLogFlags(rawValue: 1 << 0)
    package static let noHealthyEndpoint = AccessLogFlags(rawValue: 1 << 1)
    package static let upstreamConnectFailure = AccessLogFlags(rawValue: 1 << 2)
    package static let upstreamOverflow = AccessLogFlags(rawValue: 1 << 3)
    package static let upstreamClosed = AccessLogFlags(rawValue: 1 << 4)
    package static let upstreamReset = AccessLogFlags(rawValue: 1 << 5)
    package static let upstreamRetriesExhausted = AccessLogFlags(rawValue: 1 << 6)
    package static let upstreamTimeout = AccessLogFlags(rawValue: 1 << 7)
    package static let downstreamClosed = AccessLogFlags(rawValue: 1 << 8)
    package static let localReset = AccessLogFlags(rawValue: 1 << 9)
    package static let rateLimited = AccessLogFlags(rawValue: 1 << 10)
    package static let unauthorized = AccessLogFlags(rawValue: 1 << 11)
    package static let streamIdle = AccessLogFlags(rawValue: 1 << 12)
    package static let downstreamProtocolError = AccessLogFlags(rawValue: 1 << 13)
    package static let loginSession = AccessLogFlags(rawValue: 1 << 14)
    package static let tokenRefused = AccessLogFlags(rawValue: 1 << 15)
    package static let pathRefused = AccessLogFlags(rawValue: 1 << 16)
    package static let draining = AccessLogFlags(rawValue: 1 << 17)

    /// How many flags there are; bits above it mean nothing and are not written.
    package static let count = 18

    /// The bit number of the first flag; `nil` without one.
    package var first: Int? { rawValue == 0 ? nil : rawValue.trailingZeroBitCount }

    /// The letters of the flag with this bit number.
    package static func letters(_ bit: Int) -> String { String(quotedLetters(bit).description.dropFirst().dropLast()) }

    /// The letters of the flag with this bit number, 0…`count` - 1, with the quotes of JSON.
    static func quotedLetters(_ bit: Int) -> StaticString {
        switch bit {
        case 0: #""NR""#
        case 1: #""UH""#
        case 2: #""UF""#
        case 3: #""UO""#
        case 4: #""UC""#
        case 5: #""UR""#
        case 6: #""URX""#
        case 7: #""UT""#
        case 8: #""DC""#
        case 9: #""LR""#
        case 10: #""RL""#
        case 11: #""UAEX""#
        case 12: #""SI""#
        case 13: #""DPE""#
        case 14: #""SX""#
        case 15: #""JW""#
        case 16: #""CB""#
        default: #""DR""#
        }
    }
}
