/// A token whose signature was verified by a key of its issuer, and its claims. Nothing else is promised: whether it may be
/// used here and now is asked on every request (`TokenPolicy`). Only `TokenVerifier` makes one.
package final class VerifiedToken: Sendable {
    package let claims: TokenClaims
    package let keyID: String
    /// The `KeySet.generation` that verified it.
    package let generation: UInt64
    /// RFC 9068's type `at+jwt`.
    package let isTypedAccessToken: Bool
    /// Bytes of the token, for the cache's budget.
    package let tokenBytes: Int

    /// - Parameter proof: shows that the caller is the verifier.
    init(claims: TokenClaims, keyID: String, generation: UInt64, isTypedAccessToken: Bool, tokenBytes: Int, proof: borrowing SignatureProof) {
        self.claims = claims
        self.keyID = keyID
        self.generation = generation
        self.isTypedAccessToken = isTypedAccessToken
        self.tokenBytes = tokenBytes
    }
}
