/// Why the gateway ends a tunnel. The client of a WebSocket reads it in a Close frame (RFC 6455 §7.4.1).
package enum TunnelEnd: Equatable, Sendable, CaseIterable {
    /// The login that opened it has ended (D12).
    case loginEnded
    /// This instance stops (A10); another one will answer.
    case goingAway
    /// Nothing has passed for `timeouts.stream_idle`.
    case idle

    package var code: UInt16 {
        switch self {
        case .loginEnded: 1008
        case .goingAway, .idle: 1001
        }
    }

    package var reason: StaticString {
        switch self {
        case .loginEnded: "The login has ended. Log in again."
        case .goingAway: "This gateway instance is being replaced. Connect again."
        case .idle: "Nothing was said for too long. Connect again."
        }
    }

    /// For `details` of the access log.
    var word: String {
        switch self {
        case .loginEnded: "tunnel_login_ended"
        case .goingAway: "tunnel_going_away"
        case .idle: "tunnel_idle"
        }
    }
}
