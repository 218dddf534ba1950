internal import Foundation

/// Values nobody can guess, from the system's generator (getrandom).
enum RandomText {
    /// 32 random bytes in base64url: codes, refresh tokens, login cookies.
    static func secret() -> String {
        var generator = SystemRandomNumberGenerator()
        return Base64.url((0..<32).map { _ in UInt8.random(in: .min ... .max, using: &generator) })
    }

    /// `jti`, `origin_jti` and `event_id` are UUIDs in Cognito.
    static func identifier() -> String { UUID().uuidString.lowercased() }
}
