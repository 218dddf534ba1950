package import GatewayTerms

/// The registered claims (RFC 7519 §4.1, OpenID Connect Core §2, Cognito's own), read strictly: a claim of the wrong type
/// makes the token unreadable instead of absent.
package struct TokenClaims: Sendable {
    /// Longest text of a claim that names somebody or something, in bytes.
    package static let textBytesMax = 1024
    package static let scopesBytesMax = 4096

    package let issuer: String
    package let subject: String
    package let audiences: [String]
    /// Cognito's `client_id`, also RFC 9068's.
    package let clientID: String?
    /// The party that an OpenID provider issued the token to (`azp`).
    package let authorizedParty: String?
    package let tokenUse: String?
    /// `typ` among the claims, as some providers mark their tokens.
    package let typeClaim: String?
    package let scopes: [String]
    package let username: String?
    package let email: String?
    package let tokenID: String?
    package let originTokenID: String?
    package let nonce: String?
    /// `at_hash` (OpenID Connect Core §3.1.3.6).
    package let accessTokenHash: String?
    package let expiresAt: WallTime
    package let notBefore: WallTime?
    package let issuedAt: WallTime?
    package let authenticatedAt: WallTime?
    /// Every claim, for what a policy names.
    package let all: JSONObject

    init(_ claims: JSONObject) throws(TokenFault) {
        guard let issuer = try Self.text("iss", claims), !issuer.isEmpty else { throw .claim(name: "iss") }
        guard let subject = try Self.text("sub", claims), !subject.isEmpty else { throw .claim(name: "sub") }
        guard let expiresAt = try Self.time("exp", claims) else { throw .claim(name: "exp") }
        self.issuer = issuer
        self.subject = subject
        self.expiresAt = expiresAt
        notBefore = try Self.time("nbf", claims)
        issuedAt = try Self.time("iat", claims)
        authenticatedAt = try Self.time("auth_time", claims)
        switch claims["aud"] {
        case nil: audiences = []
        case .string(let one)?: audiences = [one]
        case .array(let many)?:
            guard let texts = JSONValue.array(many).strings, !texts.isEmpty else { throw .claim(name: "aud") }
            audiences = texts
        default: throw .claim(name: "aud")
        }
        clientID = try Self.text("client_id", claims)
        authorizedParty = try Self.text("azp", claims)
        tokenUse = try Self.text("token_use", claims)
        typeClaim = try Self.text("typ", claims)
        let name = try Self.text("username", claims)
        let cognitoName = try Self.text("cognito:username", claims)
        let preferredName = try Self.text("preferred_username", claims)
        username = name ?? cognitoName ?? preferredName
        email = try Self.text("email", claims)
        tokenID = try Self.text("jti", claims)
        originTokenID = try Self.text("origin_jti", claims)
        nonce = try Self.text("nonce", claims)
        accessTokenHash = try Self.text("at_hash", claims)
        scopes = try Self.scopes(claims)
        all = claims
    }

    /// The groups that a claim lists: an array of texts, or one text. An absent claim is no group.
    package func groups(claim: String) throws(TokenFault) -> [String] {
        switch all[claim] {
        case nil, .null?: return []
        case .string(let one)?: return [one]
        case .array(let many)?:
            guard let texts = JSONValue.array(many).strings else { throw .claim(name: claim) }
            return texts
        default: throw .claim(name: claim)
        }
    }

    /// Of all values of a claim that policies ask for, in bytes: a login session carries them in its cookie.
    package static let valuesBytesMax = 1024

    /// The claims of these names as texts: a text, a number without fraction, `true` or `false`, or a list of them. An absent claim has no
    /// value; one that is anything else, or too long, has no entry.
    package func values(of names: [String]) -> [String: [String]] {
        if names.isEmpty { return [:] }
        var found: [String: [String]] = [:]
        for name in names {
            let values: [String]? = switch all[name] {
            case nil, .null?: []
            case .array(let items)?: Self.plain(items)
            case let value?: Self.plain([value])
            }
            if let values, values.reduce(0, { $0 + $1.utf8.count }) <= Self.valuesBytesMax { found[name] = values }
        }
        return found
    }

    private static func plain(_ items: [JSONValue]) -> [String]? {
        var texts: [String] = []
        for item in items {
            switch item {
            case .string(let text): texts.append(text)
            case .integer(let number): texts.append(String(number))
            case .bool(let flag): texts.append(flag ? "true" : "false")
            case .null, .number, .array, .object: return nil
            }
        }
        return texts
    }

    private static func text(_ name: String, _ claims: JSONObject) throws(TokenFault) -> String? {
        guard let value = claims[name] else { return nil }
        guard case .string(let text) = value, text.utf8.count <= textBytesMax else { throw .claim(name: name) }
        return text
    }

    /// A NumericDate (RFC 7519 §2), which may have a fraction; 1970 to 9999.
    private static func time(_ name: String, _ claims: JSONObject) throws(TokenFault) -> WallTime? {
        let latest: Int64 = 253_402_300_799
        switch claims[name] {
        case nil: return nil
        case .integer(let seconds)? where seconds >= 0 && seconds <= latest: return WallTime(seconds: seconds)
        case .number(let seconds)? where seconds >= 0 && seconds <= Double(latest): return WallTime(milliseconds: Int64(seconds * 1000))
        default: throw .claim(name: name)
        }
    }

    /// RFC 6749 §3.3: words of `%x21 / %x23-5B / %x5D-7E` with one space between.
    private static func scopes(_ claims: JSONObject) throws(TokenFault) -> [String] {
        guard let value = claims["scope"] else { return [] }
        guard case .string(let text) = value, text.utf8.count <= scopesBytesMax else { throw .claim(name: "scope") }
        if text.isEmpty { return [] }
        var scopes: [String] = []
        for word in text.utf8.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false) {
            guard !word.isEmpty, word.allSatisfy({ $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") }) else {
                throw .claim(name: "scope")
            }
            scopes.append(String(Substring(word)))
        }
        return scopes
    }
}
