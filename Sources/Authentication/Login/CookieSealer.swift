internal import COpenSSL
package import GatewayTerms

/// Why a cookie's value could not be opened. None of it is told to the client but as a cause on the loop page.
package enum SealFault: Error, Sendable, Equatable {
    case malformed
    /// Sealed by a key that the ring does not hold (any more, or yet).
    case unknownKey
    /// Changed, or sealed for another name or host.
    case notAuthentic
    /// libcrypto had no memory.
    case unavailable
}

/// Seals small records into cookie values and opens them again: AES-256-GCM (NIST SP 800-38D) through libcrypto. One per event loop;
/// the only owner of its context.
///
/// A value reads `1.COUNT.KEY-ID.SEALED`: the format's version, the number of cookies that it is spread over, the key's id, and the
/// base64url text of nonce (96 random bits), ciphertext and tag. The cookie's name, the host and everything in clear are bound in as
/// additional data, each behind its length, so that no other concatenation means the same (CVE-2023-35941): a value is good under its
/// own name, on its own host, whole, or not at all.
@safe package struct CookieSealer: ~Copyable {
    private let cipher: OpaquePointer
    private let context: OpaquePointer

    package static let nonceBytes = 12
    private static let tagBytes = 16
    private static let version = UInt8(ascii: "1")
    /// Longest record; what is sealed here is at most three cookies.
    package static let recordBytesMax = 12 * 1024

    package init() throws(AuthenticationError) {
        guard let cipher = unsafe EVP_CIPHER_fetch(nil, "AES-256-GCM", nil) else { throw .cryptographyUnavailable("AES-256-GCM") }
        guard let context = unsafe EVP_CIPHER_CTX_new() else {
            unsafe EVP_CIPHER_free(cipher)
            throw .cryptographyUnavailable("memory for a cipher")
        }
        unsafe self.cipher = cipher
        unsafe self.context = context
    }

    deinit {
        unsafe EVP_CIPHER_CTX_free(context)
        unsafe EVP_CIPHER_free(cipher)
    }

    /// Bytes of the value that seals a record of `count` bytes.
    package static func valueBytes(recordBytes count: Int, keyID: String) -> Int {
        4 + keyID.utf8.count + 1 + ((nonceBytes + count + tagBytes) * 4 + 2) / 3
    }

    /// - Parameters:
    ///   - nonce: 12 random bytes, never used before.
    ///   - count: cookies that the value will be spread over, 1 to 9.
    /// - Returns: nil where libcrypto fails or the record is over `recordBytesMax`.
    package mutating func seal(_ record: [UInt8], as name: String, for host: Hostname, count: Int, key: LoginKey, nonce: [UInt8]) -> [UInt8]? {
        guard record.count <= Self.recordBytesMax, nonce.count == Self.nonceBytes, (1...9).contains(count) else { return nil }
        let digit = UInt8(ascii: "0") + UInt8(count)
        let additional = Self.additionalData(name: name, host: host, countDigit: digit, keyID: key.id)
        var sealed = nonce
        sealed.append(contentsOf: repeatElement(0, count: record.count + Self.tagBytes))
        let succeeded = key.secret.withBytes { secret in
            unsafe secret.withUnsafeBufferPointer { secret in
                unsafe sealed.withUnsafeMutableBufferPointer { output in
                    guard let start = output.baseAddress else { return false }
                    var written: Int32 = 0
                    return unsafe EVP_EncryptInit_ex2(context, cipher, secret.baseAddress, nonce, nil) == 1
                        && EVP_EncryptUpdate(context, nil, &written, additional, Int32(additional.count)) == 1
                        && EVP_EncryptUpdate(context, start + Self.nonceBytes, &written, record, Int32(record.count)) == 1
                        && EVP_EncryptFinal_ex(context, start + Self.nonceBytes + record.count, &written) == 1
                        && EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, Int32(Self.tagBytes), start + Self.nonceBytes + record.count) == 1
                }
            }
        }
        unsafe EVP_CIPHER_CTX_reset(context)
        guard succeeded else {
            ERR_clear_error()
            return nil
        }
        return [Self.version, UInt8(ascii: "."), digit, UInt8(ascii: ".")] + Array(key.id.utf8) + [UInt8(ascii: ".")] + Base64URL.encode(sealed.span)
    }

    /// The record that was sealed under this name for this host.
    package mutating func open(_ value: Span<UInt8>, as name: String, for host: Hostname, ring: KeyRing) throws(SealFault) -> [UInt8] {
        guard let clear = ClearPart(value) else { throw .malformed }
        guard let key = ring[clear.keyID] else { throw .unknownKey }
        guard value.count - clear.byteCount <= Self.recordBytesMax * 2,
              let sealed = Base64URL.decode(value.extracting(clear.byteCount..<value.count)),
              sealed.count >= Self.nonceBytes + Self.tagBytes else { throw .malformed }
        let additional = Self.additionalData(name: name, host: host, countDigit: clear.countDigit, keyID: clear.keyID)
        let count = sealed.count - Self.nonceBytes - Self.tagBytes
        var record = [UInt8](repeating: 0, count: max(count, 1))
        var tag = Array(sealed[(sealed.count - Self.tagBytes)...])
        // The context is told everything before the tag is asked about; nothing of the record is used before it says yes.
        let isAuthentic = key.secret.withBytes { secret in
            unsafe secret.withUnsafeBufferPointer { secret in
                unsafe sealed.withUnsafeBufferPointer { input in
                    guard let start = input.baseAddress else { return false }
                    var written: Int32 = 0
                    return unsafe EVP_DecryptInit_ex2(context, cipher, secret.baseAddress, start, nil) == 1
                        && EVP_DecryptUpdate(context, nil, &written, additional, Int32(additional.count)) == 1
                        && EVP_DecryptUpdate(context, &record, &written, start + Self.nonceBytes, Int32(count)) == 1
                        && EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, Int32(Self.tagBytes), &tag) == 1
                        && EVP_DecryptFinal_ex(context, nil, &written) == 1
                }
            }
        }
        unsafe EVP_CIPHER_CTX_reset(context)
        guard isAuthentic else {
            ERR_clear_error()
            throw .notAuthentic
        }
        record.removeLast(record.count - count)
        return record
    }

    /// The key that a value says it was sealed with; nil where it is none of ours.
    static func declaredKeyID(_ value: Span<UInt8>) -> String? { ClearPart(value)?.keyID }

    /// How many cookies a value says that it is spread over, before anything is verified; nil where it is none of ours.
    static func declaredCount(_ value: Span<UInt8>) -> Int? { ClearPart(value).map { Int($0.countDigit - UInt8(ascii: "0")) } }

    private struct ClearPart {
        let countDigit: UInt8
        let keyID: String
        /// Up to and with the last dot.
        let byteCount: Int

        init?(_ value: Span<UInt8>) {
            let dot = UInt8(ascii: ".")
            guard value.count > 6, value[0] == version, value[1] == dot, (UInt8(ascii: "1")...UInt8(ascii: "9")).contains(value[2]), value[3] == dot else { return nil }
            var end = 4
            while end < value.count, end <= 4 + LoginKey.idBytesMax, value[end] != dot { end += 1 }
            guard end < value.count, value[end] == dot else { return nil }
            let id = String(copying: value.extracting(4..<end))
            guard LoginKey.isID(id) else { return nil }
            countDigit = value[2]
            keyID = id
            byteCount = end + 1
        }
    }

    private static func additionalData(name: String, host: Hostname, countDigit: UInt8, keyID: String) -> [UInt8] {
        var bytes: [UInt8] = []
        func append(_ part: some Collection<UInt8>) {
            let count = UInt32(truncatingIfNeeded: part.count)
            for shift: UInt32 in [24, 16, 8, 0] { bytes.append(UInt8(truncatingIfNeeded: count >> shift)) }
            bytes.append(contentsOf: part)
        }
        append(name.utf8)
        append(host.text.utf8)
        append([version])
        append([countDigit])
        append(keyID.utf8)
        return bytes
    }
}
