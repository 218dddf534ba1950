/// A compact JWS (RFC 7515 §7.1) taken apart. Nothing in it may be believed: it serves to find the key, and to become a
/// `VerifiedToken`.
struct UnverifiedToken {
    let algorithm: String
    /// Empty where the header names none, which only a provider's own answer may do.
    let keyID: String
    /// RFC 9068's `at+jwt`.
    let isTypedAccessToken: Bool
    let issuer: String
    let claims: JSONObject
    let signature: [UInt8]
    /// Bytes of the token that the signature covers: header, dot, claims.
    let signedCount: Int
    /// Where the claims' text begins.
    let claimsStart: Int

    /// - Parameter needsKeyID: false for tokens that come from the provider itself: OpenID Connect Core §10.1 lets it leave `kid` out while
    ///   it has one key.
    init(_ token: Span<UInt8>, claimsBytesMax: Int = claimsBytesMax, needsKeyID: Bool = true) throws(TokenFault) {
        var dots = (-1, -1)
        for index in token.indices where token[index] == UInt8(ascii: ".") {
            if dots.0 < 0 { dots.0 = index } else if dots.1 < 0 { dots.1 = index } else { throw .notThreeParts }
        }
        guard dots.0 > 0, dots.1 > dots.0 + 1, dots.1 < token.count - 1 else { throw .notThreeParts }
        signedCount = dots.1
        claimsStart = dots.0 + 1

        let header = try Self.object(token.extracting(0..<dots.0), part: .header, limits: Self.headerLimits)
        for name in Self.forbiddenMembers where header.has(name) { throw .forbiddenHeader(member: name) }
        guard let algorithm = header["alg"]?.string, !algorithm.isEmpty, algorithm.utf8.count <= 32 else { throw .header(member: "alg") }
        if needsKeyID || header.has("kid") {
            guard let named = header["kid"]?.string, !named.isEmpty, named.utf8.count <= KeySet.keyIDBytesMax else { throw .header(member: "kid") }
            keyID = named
        } else {
            keyID = ""
        }
        switch header["typ"] {
        case nil: isTypedAccessToken = false
        case .string(let type)?: isTypedAccessToken = try Self.isAccessToken(type)
        default: throw .header(member: "typ")
        }
        self.algorithm = algorithm

        claims = try Self.object(token.extracting(claimsStart..<signedCount), part: .claims, limits: .init(bytesMax: claimsBytesMax, valuesMax: 2048))
        guard let issuer = claims["iss"]?.string, !issuer.isEmpty, issuer.utf8.count <= TokenClaims.textBytesMax else { throw .claim(name: "iss") }
        self.issuer = issuer
        guard let signature = Base64URL.decode(token.extracting((signedCount + 1)..<token.count)) else { throw .notBase64URL(part: .signature) }
        self.signature = signature
    }

    /// RFC 7515 §4.1.9: a media type, so letter case does not count and `application/` may be left out.
    private static func isAccessToken(_ type: String) throws(TokenFault) -> Bool {
        var lowered = String(decoding: type.utf8.prefix(64).map { $0 >= 65 && $0 <= 90 ? $0 | 0x20 : $0 }, as: UTF8.self)
        if lowered.hasPrefix("application/") { lowered.removeFirst("application/".count) }
        if lowered.hasSameBytes(as: "jwt") { return false }
        if lowered.hasSameBytes(as: "at+jwt") { return true }
        throw .header(member: "typ")
    }

    private static func object(_ text: Span<UInt8>, part: TokenFault.Part, limits: StrictJSON.Limits) throws(TokenFault) -> JSONObject {
        guard let bytes = Base64URL.decode(text) else { throw .notBase64URL(part: part) }
        let value: JSONValue
        do { value = try StrictJSON.read(bytes.span, limits: limits) } catch { throw .notJSON(part: part, error.kind) }
        guard let object = value.object else { throw .notJSON(part: part, .unexpectedByte) }
        return object
    }

    private static let forbiddenMembers = ["crit", "jku", "jwk", "x5u", "x5c", "zip", "b64"]
    private static let headerLimits = StrictJSON.Limits(bytesMax: 2048, valuesMax: 64)
    /// Of the claims of a token that a client sent.
    static let claimsBytesMax = 16 * 1024
}
