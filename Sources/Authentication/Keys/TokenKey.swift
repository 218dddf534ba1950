internal import COpenSSL

/// One RSA public key of a key set, parsed once. The only owner of its `EVP_PKEY`; libcrypto lets threads share a key
/// that nobody changes.
@safe package final class TokenKey: @unchecked Sendable {
    package let keyID: String
    /// Size of the modulus in bits, 2048 to 4096.
    package let bits: Int
    let modulus: [UInt8]
    let exponent: UInt64
    private let key: OpaquePointer

    /// - Parameters:
    ///   - modulus: big-endian, without leading zeros.
    ///   - exponent: odd, 3 to 2³².
    /// - Returns: nil where libcrypto does not take the numbers.
    init?(keyID: String, modulus: [UInt8], exponent: UInt64) {
        guard let first = modulus.first, first != 0 else { return nil }
        guard let key = unsafe Self.makeKey(modulus: modulus, exponent: exponent) else { return nil }
        self.keyID = keyID
        self.modulus = modulus
        self.exponent = exponent
        bits = modulus.count * 8 - first.leadingZeroBitCount
        unsafe self.key = key
    }

    deinit { unsafe EVP_PKEY_free(key) }

    /// Lends the key for one call of libcrypto.
    @unsafe func withKey<Result>(_ body: (OpaquePointer) -> Result) -> Result {
        unsafe body(key)
    }

    func isSameKey(as other: TokenKey) -> Bool {
        keyID.hasSameBytes(as: other.keyID) && exponent == other.exponent && modulus == other.modulus
    }

    private static func makeKey(modulus: [UInt8], exponent: UInt64) -> OpaquePointer? {
        guard let builder = unsafe OSSL_PARAM_BLD_new() else { return nil }
        defer { unsafe OSSL_PARAM_BLD_free(builder) }
        let number = unsafe modulus.withUnsafeBufferPointer { unsafe BN_bin2bn($0.baseAddress, Int32($0.count), nil) }
        guard let number = unsafe number else { return nil }
        defer { unsafe BN_free(number) }
        guard unsafe OSSL_PARAM_BLD_push_BN(builder, name(modulusName), number) == 1,
              unsafe OSSL_PARAM_BLD_push_uint64(builder, name(exponentName), exponent) == 1,
              let parameters = unsafe OSSL_PARAM_BLD_to_param(builder) else { return nil }
        defer { unsafe OSSL_PARAM_free(parameters) }
        guard let context = unsafe EVP_PKEY_CTX_new_from_name(nil, "RSA", nil) else { return nil }
        defer { unsafe EVP_PKEY_CTX_free(context) }
        var key: OpaquePointer?
        guard unsafe EVP_PKEY_fromdata_init(context) == 1,
              unsafe EVP_PKEY_fromdata(context, &key, publicKeySelection, parameters) == 1 else {
            ERR_clear_error()
            return nil
        }
        return unsafe key
    }

    /// The builder keeps the pointer to a name, not the name: a Swift text passed as a C string would be gone by the time it
    /// is read. These stand in the program's image, ended by a zero.
    private static let modulusName: StaticString = "n"
    private static let exponentName: StaticString = "e"

    private static func name(_ text: StaticString) -> UnsafePointer<CChar> {
        unsafe UnsafeRawPointer(text.utf8Start).assumingMemoryBound(to: CChar.self)
    }

    /// `EVP_PKEY_PUBLIC_KEY` (openssl/evp.h): domain and other parameters, and the public key. The macro is an expression
    /// over others, which are not imported.
    private static let publicKeySelection: Int32 = 0x04 | 0x80 | 0x02
}
