internal import CJWT
internal import GatewayTerms
internal import Glibc

/// Signs claims as a JWT with RS256, through libjwt.
enum TokenSigner {
    static func sign(_ claims: JSON, with key: SigningKey) throws(PlatformError) -> String {
        var token: OpaquePointer?
        guard unsafe jwt_new(&token) == 0 else { throw .cryptography("make a token") }
        defer { unsafe jwt_free(token) }
        let length = Int32(truncatingIfNeeded: key.privatePEM.count)
        let isReady = key.privatePEM.withBytes { span in
            unsafe span.withUnsafeBufferPointer { pem in unsafe jwt_set_alg(token, JWT_ALG_RS256, pem.baseAddress, length) == 0 }
        }
        guard isReady, unsafe jwt_add_header(token, "kid", key.identifier) == 0,
            unsafe jwt_add_grants_json(token, claims.written(.compact)) == 0, let text = unsafe jwt_encode_str(token)
        else { throw .cryptography("sign a token") }
        defer { unsafe free(text) }
        return unsafe String(cString: text)
    }
}
