/// A refusal in OAuth's own words (RFC 6749 §5.2, RFC 7009 §2.2.1). Cognito answers 400 to all of them and says no more than the code.
struct OAuthFault: Error, Equatable {
    var code: String

    static let invalidRequest = OAuthFault(code: "invalid_request")
    static let invalidClient = OAuthFault(code: "invalid_client")
    static let invalidGrant = OAuthFault(code: "invalid_grant")
    static let invalidScope = OAuthFault(code: "invalid_scope")
    static let unauthorizedClient = OAuthFault(code: "unauthorized_client")
    static let unsupportedGrantType = OAuthFault(code: "unsupported_grant_type")
    static let unsupportedTokenType = OAuthFault(code: "unsupported_token_type")

    var reply: Reply { .json(["error": .string(code)], status: 400, [("Cache-Control", "no-store")]) }
}
