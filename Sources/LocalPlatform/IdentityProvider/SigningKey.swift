internal import COpenSSL
internal import GatewayTerms

/// One RSA key pair of a user pool: private PEM for signing, numbers for the key set (RFC 7517, RFC 7518 §6.3).
struct SigningKey: Sendable {
    /// `kid`: SHA-256 of the numbers, in base64 as Cognito's look.
    let identifier: String
    /// PKCS #8.
    let privatePEM: Secret
    let modulus: [UInt8]
    let exponent: [UInt8]

    /// A fresh 2048-bit pair.
    static func generate() throws(PlatformError) -> SigningKey {
        let context = unsafe EVP_PKEY_CTX_new_id(EVP_PKEY_RSA, nil)
        defer { unsafe EVP_PKEY_CTX_free(context) }
        var key: OpaquePointer?
        guard unsafe EVP_PKEY_keygen_init(context) == 1, unsafe EVP_PKEY_CTX_set_rsa_keygen_bits(context, 2048) == 1,
            unsafe EVP_PKEY_keygen(context, &key) == 1
        else { throw .cryptography("generate an RSA key") }
        defer { unsafe EVP_PKEY_free(key) }
        let output = unsafe BIO_new(BIO_s_mem())
        defer { unsafe BIO_free(output) }
        guard unsafe PEM_write_bio_PrivateKey(output, key, nil, nil, 0, nil, nil) == 1 else { throw .cryptography("write an RSA key") }
        var pem = [UInt8](repeating: 0, count: 8192)
        let count = unsafe BIO_read(output, &pem, 8192)
        guard count > 0 else { throw .cryptography("write an RSA key") }
        guard let made = SigningKey(pem: Array(pem[..<Int(count)])) else { throw .cryptography("read back an RSA key") }
        return made
    }

    /// Reads a private key in PEM; nothing when it is not an RSA key.
    init?(pem: [UInt8]) {
        guard let numbers = unsafe Self.withKey(pem: pem, { key in
            unsafe Self.number("n", of: key).flatMap { modulus in unsafe Self.number("e", of: key).map { (modulus, $0) } }
        }) else { return nil }
        guard let (modulus, exponent) = numbers else { return nil }
        (self.modulus, self.exponent, privatePEM) = (modulus, exponent, Secret(pem))
        identifier = Base64.standard(Digest.sha256(modulus + exponent))
    }

    /// RS256 (RFC 7518 §3.3).
    func verifies(signature: [UInt8], over message: [UInt8]) -> Bool {
        let pem = privatePEM.withBytes { span in (0..<span.count).map { span[$0] } }
        return unsafe Self.withKey(pem: pem) { key in
            let context = unsafe EVP_MD_CTX_new()
            defer { unsafe EVP_MD_CTX_free(context) }
            guard unsafe EVP_DigestVerifyInit(context, nil, EVP_sha256(), nil, key) == 1 else { return false }
            return unsafe EVP_DigestVerify(context, signature, signature.count, message, message.count) == 1
        } ?? false
    }

    private static func withKey<Result>(pem: [UInt8], _ body: (OpaquePointer) -> Result) -> Result? {
        guard let count = Int32(exactly: pem.count) else { return nil }
        return unsafe pem.withUnsafeBytes { bytes -> Result? in
            let input = unsafe BIO_new_mem_buf(bytes.baseAddress, count)
            defer { unsafe BIO_free(input) }
            guard let key = unsafe PEM_read_bio_PrivateKey(input, nil, nil, nil) else { return nil }
            defer { unsafe EVP_PKEY_free(key) }
            return unsafe body(key)
        }
    }

    /// A big-endian unsigned number of the key: `n` or `e`.
    private static func number(_ name: String, of key: OpaquePointer) -> [UInt8]? {
        var number: OpaquePointer?
        guard unsafe EVP_PKEY_get_bn_param(key, name, &number) == 1 else { return nil }
        defer { unsafe BN_free(number) }
        var bytes = [UInt8](repeating: 0, count: (Int(unsafe BN_num_bits(number)) + 7) / 8)
        _ = unsafe BN_bn2bin(number, &bytes)
        return bytes
    }
}
