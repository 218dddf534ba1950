/// What `gw_auth_decisions_total` tells decisions apart by, in one number.
package struct AuthenticationSeries: Sendable, Hashable {
    package enum Method: UInt8, Sendable, CaseIterable { case none, bearer, loginSession }
    package enum Result: UInt8, Sendable, CaseIterable { case allowed, refused, undecidable }

    /// In ``MetricNames/issuers``.
    package var issuer: Int
    package var method: Method
    package var result: Result
    /// Index in ``reasons``.
    package var reason: Int

    package init(issuer: Int, method: Method, result: Result, reason: Int) {
        (self.issuer, self.method, self.result, self.reason) = (issuer, method, result, reason)
    }

    package init(_ key: UInt64) {
        issuer = Int(truncatingIfNeeded: key & 0xffff)
        method = Method(rawValue: UInt8(truncatingIfNeeded: key >> 16 & 0xff)) ?? .none
        result = Result(rawValue: UInt8(truncatingIfNeeded: key >> 24 & 0xff)) ?? .refused
        reason = Int(truncatingIfNeeded: key >> 32 & 0xff)
    }

    /// Never 0.
    package var key: UInt64 {
        UInt64(truncatingIfNeeded: issuer & 0xffff) | UInt64(method.rawValue) << 16 | UInt64(result.rawValue) << 24
            | UInt64(truncatingIfNeeded: reason & 0xff) << 32 | 1 << 63
    }

    /// The closed vocabulary of the label: codes of refusals; the first stands for none, the last for whatever else there may be.
    package static let reasons = [
        "none", "token_missing", "wrong_scheme", "authorization_duplicated", "token_too_large", "token_malformed", "algorithm_not_allowed",
        "issuer_not_allowed", "issuer_of_another_stage", "key_unknown", "signature_invalid", "token_expired", "token_not_yet_valid",
        "token_use_not_allowed", "client_not_allowed", "audience_not_allowed", "token_revoked", "insufficient_scope", "group_missing",
        "token_undecidable", "login_required", "login_started", "login_incomplete", "login_malformed", "login_key_unknown", "login_not_authentic",
        "login_unreadable", "login_ended_lifetime", "login_ended_idle", "login_ended_expired", "login_ended_refused", "login_ended_revoked",
        "too_many_cookies", "provider_unavailable", "origin_refused", "rule_denied", "login_loop", "session_too_large", "other",
    ]

    private static let numbers = Dictionary(uniqueKeysWithValues: reasons.enumerated().map { ($1, $0) })

    package static func reason(_ code: String?) -> Int {
        guard let code else { return 0 }
        return numbers[code] ?? reasons.count - 1
    }
}
