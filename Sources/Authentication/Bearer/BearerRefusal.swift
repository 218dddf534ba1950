internal import GatewayTerms

/// Why a bearer request is not let through: the status, the code and the sentence for the caller, the challenge, and the
/// reason for the log. Before the signature is verified nothing of the token is repeated to the caller (C8).
package enum BearerRefusal: Error, Sendable, Equatable {
    // Definitely bad: 401.
    case missing
    /// The Authorization scheme is not Bearer; Basic is what a ~/.netrc entry makes of a token.
    case wrongScheme(isBasic: Bool)
    /// More than one Authorization field.
    case duplicated
    case tooLarge(bytesMax: Int)
    case malformed(TokenFault)
    case wrongAlgorithm
    case issuerUnknown
    case issuerOfAnotherStage(stage: String)
    case unknownKey(keyID: String)
    case badSignature
    case expired(secondsAgo: Int64)
    case notYetValid(secondsAhead: Int64)
    case issuedInTheFuture(secondsAhead: Int64)
    case wrongTokenUse(TokenUse)
    case clientNotAllowed(client: String)
    case audienceNotAllowed
    case revoked(RevocationKind)
    // Known, but not allowed to: 403.
    case scopeMissing([String], policy: String)
    case groupMissing([String], policy: String)
    /// A rule of the policy denies (C10); nil: none of its rules lets the caller in.
    case ruleDenied(rule: String?, policy: String)
    // Not decidable now: 503, which the Metaflow client retries.
    case undecidable(UndecidableReason)

    package enum UndecidableReason: String, Sendable {
        case noKeySet = "no_key_set"
        case refetchThrottled = "refetch_throttled"
        case refetchFailed = "refetch_failed"
        /// libcrypto had no memory.
        case digestFailed = "digest_failed"
    }

    /// The name of the rule that denies, where one does.
    package var rule: String? {
        guard case .ruleDenied(let rule, _) = self else { return nil }
        return rule
    }

    package var status: Int {
        switch self {
        case .missing, .wrongScheme, .duplicated, .tooLarge, .malformed, .wrongAlgorithm, .issuerUnknown, .issuerOfAnotherStage,
             .unknownKey, .badSignature, .expired, .notYetValid, .issuedInTheFuture, .wrongTokenUse, .clientNotAllowed,
             .audienceNotAllowed, .revoked: 401
        case .scopeMissing, .groupMissing, .ruleDenied: 403
        case .undecidable: 503
        }
    }

    /// Seconds for Retry-After; nil where trying again does not help.
    package var retryAfterSeconds: Int? {
        switch self {
        case .undecidable(.refetchThrottled): Int(UnknownKeyCache.lifetimeSeconds)
        case .undecidable: 2
        default: nil
        }
    }

    /// For programs: stable.
    package var code: String {
        switch self {
        case .missing: "token_missing"
        case .wrongScheme: "wrong_scheme"
        case .duplicated: "authorization_duplicated"
        case .tooLarge: "token_too_large"
        case .malformed: "token_malformed"
        case .wrongAlgorithm: "algorithm_not_allowed"
        case .issuerUnknown: "issuer_not_allowed"
        case .issuerOfAnotherStage: "issuer_of_another_stage"
        case .unknownKey: "key_unknown"
        case .badSignature: "signature_invalid"
        case .expired: "token_expired"
        case .notYetValid, .issuedInTheFuture: "token_not_yet_valid"
        case .wrongTokenUse: "token_use_not_allowed"
        case .clientNotAllowed: "client_not_allowed"
        case .audienceNotAllowed: "audience_not_allowed"
        case .revoked: "token_revoked"
        case .scopeMissing: "insufficient_scope"
        case .groupMissing: "group_missing"
        case .ruleDenied: "rule_denied"
        case .undecidable: "token_undecidable"
        }
    }

    /// For the access log: the code and what explains it to an operator.
    package var logReason: String {
        switch self {
        case .malformed(let fault): "\(code): \(fault.reason)"
        case .issuerOfAnotherStage(let stage): "\(code): \(stage)"
        case .unknownKey(let keyID): "\(code): \(keyID)"
        case .expired(let seconds): "\(code): \(seconds) s ago"
        case .notYetValid(let seconds): "\(code): nbf \(seconds) s ahead"
        case .issuedInTheFuture(let seconds): "\(code): iat \(seconds) s ahead"
        case .wrongTokenUse(let use): "\(code): \(use.rawValue)"
        case .clientNotAllowed(let client): "\(code): \(client)"
        case .revoked(let kind): "\(code): by \(kind.rawValue)"
        case .scopeMissing(let scopes, let policy): "\(code): \(policy) wants \(scopes.joined(separator: " "))"
        case .groupMissing(let groups, let policy): "\(code): \(policy) wants one of \(groups.joined(separator: ", "))"
        case .ruleDenied(let rule, let policy): "\(code): \(rule.map { "rule \($0)" } ?? "no rule") of \(policy)"
        case .undecidable(let reason): "\(code): \(reason.rawValue)"
        case .tooLarge(let bytesMax): "\(code): over \(bytesMax) bytes"
        case .wrongScheme(let isBasic): isBasic ? "\(code): Basic" : code
        case .missing, .duplicated, .wrongAlgorithm, .issuerUnknown, .badSignature, .audienceNotAllowed: code
        }
    }

    /// For the person: what happened and what to do, one or two sentences.
    package func message(on stage: StageRules) -> String {
        let login = "run `metaflow-gateway-login \(stage.publicURL)`"
        return switch self {
        case .missing:
            "This address wants a login: \(login)."
        case .wrongScheme(isBasic: true):
            "This request carried a password instead of a login token. A ~/.netrc entry for \(stage.host) replaces the token by a password: remove that entry, then \(login)."
        case .wrongScheme(isBasic: false):
            "The Authorization header must be `Bearer` and a token: \(login)."
        case .duplicated:
            "The request carried more than one Authorization header. Send exactly one; look at METAFLOW_SERVICE_HEADERS."
        case .tooLarge(let bytesMax):
            "The login token is larger than \(bytesMax) bytes. Ask the operators of \(stage.stage) to shorten your list of groups or to raise the limit."
        case .malformed, .wrongAlgorithm, .badSignature, .unknownKey:
            "This is not a valid login token for \(stage.stage): \(login)."
        case .issuerUnknown:
            "This token comes from a login that \(stage.stage) does not accept: \(login)."
        case .issuerOfAnotherStage(let other):
            "This is \(Self.article(other)) \(other) login; you are calling \(stage.stage). To work on \(stage.stage), \(login); to work on \(other), set METAFLOW_SERVICE_URL to the address of \(other)."
        case .expired(let seconds):
            "Your login expired \(Self.span(seconds)) ago: \(login)."
        case .notYetValid(let seconds):
            "Your login is valid only from \(Self.span(seconds)) from now on. Try again then, or \(login)."
        case .issuedInTheFuture(let seconds):
            "Your login says that it was made \(Self.span(seconds)) from now, so the clock of \(stage.host) or of its identity provider is wrong by that much. Tell the operators of \(stage.stage)."
        case .wrongTokenUse(.id):
            "This is an ID token; \(stage.stage) wants an access token here: \(login), or send the access token of your login."
        case .wrongTokenUse(.access):
            "This is an access token; \(stage.stage) takes another kind from this client. Ask its operators."
        case .clientNotAllowed:
            "The program that made this login is not one that \(stage.stage) accepts: \(login)."
        case .audienceNotAllowed:
            "This token was made for another service, not for \(stage.stage): \(login)."
        case .revoked:
            "This login was ended, by signing out everywhere or by an operator: \(login)."
        case .scopeMissing(let scopes, let policy):
            "Your login lacks the scope \(scopes.joined(separator: ", ")), which \(policy) of \(stage.stage) asks for. Log in with it, or ask the operators of \(stage.stage)."
        case .groupMissing(let groups, let policy):
            "You are not in \(groups.count == 1 ? "the group" : "any of the groups") \(groups.joined(separator: ", ")), which \(policy) of \(stage.stage) asks for. Ask the operators of \(stage.stage) to add you, then \(login)."
        case .ruleDenied(let rule?, let policy):
            "The rule \(rule) of \(policy) of \(stage.stage) does not let you in. Ask the operators of \(stage.stage) what it demands."
        case .ruleDenied(nil, let policy):
            "None of the rules of \(policy) of \(stage.stage) lets you in. Ask the operators of \(stage.stage) what they demand."
        case .undecidable:
            "\(stage.stage) cannot check your login at this moment, because its identity provider does not answer. Nothing is wrong with your login; try again shortly."
        }
    }

    /// The value of WWW-Authenticate (RFC 6750 §3); nil for 503. A request without a bearer token gets no error (§3.1).
    package func challenge(on stage: StageRules) -> String? {
        let realm = "Bearer realm=\"\(Self.quotable(stage.host.description))\""
        switch self {
        case .undecidable:
            return nil
        case .missing, .wrongScheme:
            return realm
        case .duplicated:
            return "\(realm), error=\"invalid_request\", error_description=\"more than one Authorization header\""
        case .scopeMissing(let scopes, _):
            return "\(realm), error=\"insufficient_scope\", scope=\"\(Self.quotable(scopes.joined(separator: " ")))\""
        case .ruleDenied:
            return "\(realm), error=\"insufficient_scope\", error_description=\"a rule of the policy denies\""
        case .groupMissing:
            return "\(realm), error=\"insufficient_scope\", error_description=\"a group is missing\""
        case .tooLarge, .malformed, .wrongAlgorithm, .issuerUnknown, .issuerOfAnotherStage, .unknownKey, .badSignature,
             .expired, .notYetValid, .issuedInTheFuture, .wrongTokenUse, .clientNotAllowed, .audienceNotAllowed, .revoked:
            return "\(realm), error=\"invalid_token\", error_description=\"\(Self.quotable(description))\""
        }
    }

    /// `error_description`: a few words in ASCII.
    private var description: String {
        switch self {
        case .tooLarge: "token too large"
        case .malformed: "token malformed"
        case .wrongAlgorithm: "algorithm not allowed"
        case .issuerUnknown: "issuer not allowed here"
        case .issuerOfAnotherStage(let stage): "token of stage \(stage)"
        case .unknownKey: "signing key unknown"
        case .badSignature: "signature invalid"
        case .expired(let seconds): "token expired \(Self.span(seconds)) ago"
        case .notYetValid, .issuedInTheFuture: "token not yet valid"
        case .wrongTokenUse: "kind of token not allowed here"
        case .clientNotAllowed: "client not allowed here"
        case .audienceNotAllowed: "audience not allowed here"
        case .revoked: "token revoked"
        case .missing, .wrongScheme, .duplicated, .scopeMissing, .groupMissing, .ruleDenied, .undecidable: code
        }
    }

    /// `1 second`, `3 minutes`, `2 hours`, `5 days`: the largest unit that fits, rounded down.
    static func span(_ seconds: Int64) -> String {
        let (count, unit) = switch max(seconds, 0) {
        case 0..<60: (max(seconds, 0), "second")
        case 60..<3600: (seconds / 60, "minute")
        case 3600..<86_400: (seconds / 3600, "hour")
        default: (seconds / 86_400, "day")
        }
        return "\(count) \(unit)\(count == 1 ? "" : "s")"
    }

    private static func article(_ word: String) -> String {
        switch word.utf8.first.map({ $0 | 0x20 }) {
        case UInt8(ascii: "a"), UInt8(ascii: "e"), UInt8(ascii: "i"), UInt8(ascii: "o"), UInt8(ascii: "u"): "an"
        default: "a"
        }
    }

    /// What may stand inside quotation marks there (RFC 6750 §3); any other byte becomes `?`.
    private static func quotable(_ text: String) -> String {
        String(decoding: text.utf8.map { byte in
            byte >= 0x20 && byte < 0x7f && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "\\") ? byte : UInt8(ascii: "?")
        }, as: UTF8.self)
    }
}
