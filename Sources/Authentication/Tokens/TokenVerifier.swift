/// From the bytes of a token to a `VerifiedToken`, in the order of C3 and C4: parts, header, claims, issuer allowed on this
/// host, key by kid, signature, second reader. One per event loop; it holds libcrypto's contexts and no state of requests.
package struct TokenVerifier: ~Copyable {
    package enum Outcome: Sendable {
        case verified(VerifiedToken)
        case refused(BearerRefusal)
        /// The issuer has no key set yet (`keyID` nil), or its set lacks this key.
        case keyMissing(issuer: String, keyID: String?)
    }

    private var signatures: SignatureDigest

    package init() throws(AuthenticationError) { signatures = try SignatureDigest() }

    /// - Parameter tokenBytesMax: in place of the stage's and the issuer's limits, for tokens that come from the provider itself. Those may
    ///   leave `kid` out where the key set has one key.
    package mutating func verify(_ token: Span<UInt8>, stage: StageRules, keySets: KeySets, tokenBytesMax: Int? = nil) -> Outcome {
        let stageBytesMax = tokenBytesMax ?? stage.tokenBytesMax
        guard token.count <= stageBytesMax else { return .refused(.tooLarge(bytesMax: stageBytesMax)) }
        let unverified: UnverifiedToken
        do {
            unverified = try UnverifiedToken(
                token, claimsBytesMax: max(tokenBytesMax ?? 0, UnverifiedToken.claimsBytesMax), needsKeyID: tokenBytesMax == nil)
        } catch {
            return .refused(.malformed(error))
        }
        guard unverified.algorithm.hasSameBytes(as: "RS256") else { return .refused(.wrongAlgorithm) }
        guard let rules = stage.issuerIndex(unverified.issuer) else { return .refused(stage.refusal(foreignIssuer: unverified.issuer)) }
        let bytesMax = tokenBytesMax ?? stage.issuers[rules].tokenBytesMax
        guard token.count <= bytesMax else { return .refused(.tooLarge(bytesMax: bytesMax)) }
        guard let keySet = keySets[unverified.issuer] else { return .keyMissing(issuer: unverified.issuer, keyID: nil) }
        let key: TokenKey
        if unverified.keyID.isEmpty {
            guard let only = keySet.onlyKey else { return .refused(.malformed(.header(member: "kid"))) }
            key = only
        } else {
            guard let named = keySet.key(unverified.keyID) else { return .keyMissing(issuer: unverified.issuer, keyID: unverified.keyID) }
            key = named
        }
        guard let proof = signatures.verify(unverified.signature, of: token.extracting(0..<unverified.signedCount), with: key) else {
            return .refused(.badSignature)
        }
        let claims: TokenClaims
        do { claims = try TokenClaims(unverified.claims) } catch { return .refused(.malformed(error)) }
        let payload = token.extracting(unverified.claimsStart..<unverified.signedCount)
        guard SecondReader.agrees(payload: payload, claims: claims, proof: proof) else { return .refused(.malformed(.readersDisagree)) }
        return .verified(VerifiedToken(
            claims: claims, keyID: key.keyID, generation: keySet.generation,
            isTypedAccessToken: unverified.isTypedAccessToken, tokenBytes: token.count, proof: proof
        ))
    }

    mutating func digest(_ token: Span<UInt8>) -> TokenDigest? { signatures.digest(token) }
}
