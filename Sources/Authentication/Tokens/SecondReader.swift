internal import CJWT

/// libjwt reads the claims of the very bytes whose signature was verified, and must understand them as we do: where two
/// independent readers differ, one of them could be led astray.
///
/// It is given the claims under a header of our own, without the signature: libjwt 1.10 refuses RFC 9068's `at+jwt`, and
/// with a key it would read a PEM and verify again (297 µs). It never decides; nothing reaches it but what was verified.
enum SecondReader {
    /// - Parameter payload: the base64url text of the claims.
    static func agrees(payload: Span<UInt8>, claims: TokenClaims, proof: borrowing SignatureProof) -> Bool {
        guard let token = unsafe decode(payload) else { return false }
        defer { unsafe jwt_free(token) }
        guard unsafe text(token, "iss", is: claims.issuer),
              unsafe text(token, "sub", is: claims.subject),
              unsafe text(token, "client_id", is: claims.clientID),
              unsafe text(token, "token_use", is: claims.tokenUse),
              unsafe text(token, "jti", is: claims.tokenID),
              unsafe text(token, "origin_jti", is: claims.originTokenID),
              unsafe text(token, "email", is: claims.email),
              unsafe text(token, "scope", is: claims.all["scope"]?.string) else { return false }
        // libjwt has whole seconds only; a fraction is ours alone.
        if case .integer(let seconds)? = claims.all["exp"], unsafe Int64(jwt_get_grant_int(token, "exp")) != seconds { return false }
        return true
    }

    private static func decode(_ payload: Span<UInt8>) -> OpaquePointer? {
        let header: StaticString = "eyJhbGciOiJub25lIn0."   // {"alg":"none"}
        let count = header.utf8CodeUnitCount + payload.count + 2
        return unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: count) { text in
            var index = 0
            header.withUTF8Buffer { buffer in
                for unsafe byte in unsafe buffer {
                    unsafe text.initializeElement(at: index, to: CChar(bitPattern: byte))
                    index += 1
                }
            }
            for position in payload.indices {
                unsafe text.initializeElement(at: index, to: CChar(bitPattern: payload[position]))
                index += 1
            }
            unsafe text.initializeElement(at: index, to: CChar(bitPattern: UInt8(ascii: ".")))
            unsafe text.initializeElement(at: index + 1, to: 0)
            var token: OpaquePointer?
            guard unsafe jwt_decode(&token, text.baseAddress, nil, 0) == 0 else { return nil }
            return unsafe token
        }
    }

    private static func text(_ token: OpaquePointer, _ name: String, is expected: String?) -> Bool {
        guard let found = unsafe jwt_get_grant(token, name) else { return expected == nil }
        guard let expected else { return false }
        let bytes = expected.utf8Span.span
        for index in bytes.indices where unsafe UInt8(bitPattern: found[index]) != bytes[index] { return false }
        return unsafe found[bytes.count] == 0
    }
}
