internal import COpenSSL

/// SHA-256 of a token: the name under which its verified claims are kept. 32 bytes that nobody can choose.
struct TokenDigest: Hashable, Sendable {
    let words: (UInt64, UInt64, UInt64, UInt64)

    static func == (left: TokenDigest, right: TokenDigest) -> Bool { left.words == right.words }

    /// One word is as good as four: all are uniform, and the hasher is seeded per process.
    func hash(into hasher: inout Hasher) { hasher.combine(words.0) }
}

/// Says that a signature was verified. Made by `SignatureDigest.verify` alone.
struct SignatureProof: ~Copyable {
    fileprivate init() {}
}

/// One event loop's SHA-256 and RSA contexts of libcrypto, fetched once and reused. Their only owner.
@safe struct SignatureDigest: ~Copyable {
    private let algorithm: OpaquePointer
    private let hashing: OpaquePointer
    private let verifying: OpaquePointer

    init() throws(AuthenticationError) {
        guard let algorithm = unsafe EVP_MD_fetch(nil, "SHA256", nil) else { throw .cryptographyUnavailable("SHA-256") }
        guard let hashing = unsafe EVP_MD_CTX_new() else {
            unsafe EVP_MD_free(algorithm)
            throw .cryptographyUnavailable("memory for a digest")
        }
        guard let verifying = unsafe EVP_MD_CTX_new() else {
            unsafe EVP_MD_free(algorithm)
            unsafe EVP_MD_CTX_free(hashing)
            throw .cryptographyUnavailable("memory for a digest")
        }
        unsafe self.algorithm = algorithm
        unsafe self.hashing = hashing
        unsafe self.verifying = verifying
    }

    deinit {
        unsafe EVP_MD_CTX_free(hashing)
        unsafe EVP_MD_CTX_free(verifying)
        unsafe EVP_MD_free(algorithm)
    }

    /// Nil only where libcrypto fails (no memory).
    mutating func digest(_ bytes: Span<UInt8>) -> TokenDigest? {
        var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
        let succeeded = unsafe bytes.withUnsafeBytes { input in
            unsafe withUnsafeMutableBytes(of: &words) { output in
                unsafe EVP_DigestInit_ex2(hashing, algorithm, nil) == 1
                    && EVP_DigestUpdate(hashing, input.baseAddress, input.count) == 1
                    && EVP_DigestFinal_ex(hashing, output.assumingMemoryBound(to: UInt8.self).baseAddress, nil) == 1
            }
        }
        guard succeeded else {
            ERR_clear_error()
            return nil
        }
        return TokenDigest(words: words)
    }

    /// RS256 (RFC 7518 §3.3). Clears libcrypto's error queue after a failure: TLS on this thread reads it.
    mutating func verify(_ signature: [UInt8], of message: Span<UInt8>, with key: TokenKey) -> SignatureProof? {
        let verified = unsafe key.withKey { key in
            unsafe message.withUnsafeBytes { message in
                unsafe signature.withUnsafeBufferPointer { signature in
                    unsafe EVP_MD_CTX_reset(verifying) == 1
                        && EVP_DigestVerifyInit(verifying, nil, algorithm, nil, key) == 1
                        && EVP_DigestVerify(verifying, signature.baseAddress, signature.count,
                                                   message.assumingMemoryBound(to: UInt8.self).baseAddress, message.count) == 1
                }
            }
        }
        guard verified else {
            ERR_clear_error()
            return nil
        }
        return SignatureProof()
    }
}
