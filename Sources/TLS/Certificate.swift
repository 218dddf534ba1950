internal import COpenSSL
package import GatewayTerms

/// A certificate chain with its private key, read, checked against each other, and never changed.
@safe package final class Certificate: @unchecked Sendable {
    // Immutable after init, and OpenSSL counts references atomically: safe to share between loops.
    let leaf: OpaquePointer
    let intermediates: [OpaquePointer]
    let key: OpaquePointer

    /// Names of the subjectAltName extension, lower case, as they stand there (`*.example.com` too); addresses are left to ``covers(_:)``.
    package let names: [String]
    /// The whole chain's: from the latest beginning to the earliest end of its members, since clients judge each of them.
    package let notBefore: WallTime
    package let notAfter: WallTime
    /// SHA-256 over the leaf's DER, lower-case hexadecimal.
    package let fingerprint: String
    package let isECDSA: Bool

    /// Reads PEM text: the leaf first, then its intermediates in order; the key unencrypted, in any form that OpenSSL reads.
    /// `chainFile` and `keyFile` only name the culprit in errors.
    package init(chain: [UInt8], key keyText: Secret, chainFile: String, keyFile: String) throws(TLSError) {
        var certificates = unsafe Certificate.readCertificates(chain)
        guard let leaf = unsafe certificates.first else {
            throw .certificate(file: chainFile, reason: "holds no PEM certificate (-----BEGIN CERTIFICATE-----)")
        }
        unsafe certificates.removeFirst()
        var adopted = false
        defer { if !adopted { unsafe ([leaf] + certificates).forEach { unsafe X509_free($0) } } }
        guard let key = unsafe Certificate.readKey(keyText) else {
            throw .certificate(file: keyFile, reason: "holds no unencrypted PEM private key")
        }
        defer { if !adopted { unsafe EVP_PKEY_free(key) } }
        guard unsafe X509_check_private_key(leaf, key) == 1 else {
            _ = TLSError.drainQueue()
            throw .certificate(file: keyFile, reason: "is not the private key of the certificate in \(chainFile)")
        }
        var issued = unsafe leaf
        for unsafe (index, issuer) in unsafe certificates.enumerated() {
            guard unsafe X509_check_issued(issuer, issued) == X509_V_OK else {
                throw .certificate(file: chainFile, reason: "certificate \(index + 2) did not issue certificate \(index + 1): order the chain from the leaf up")
            }
            unsafe issued = unsafe issuer
        }
        let bits = unsafe EVP_PKEY_get_bits(key)
        let isECDSA = unsafe EVP_PKEY_get_base_id(key) == EVP_PKEY_EC
        guard bits >= (isECDSA ? 256 : 2048) else {
            throw .certificate(file: keyFile, reason: "has a key of \(bits) bits; at least \(isECDSA ? 256 : 2048) are needed")
        }
        let members = unsafe [leaf] + certificates
        let beginnings = unsafe members.compactMap { unsafe Certificate.time(unsafe X509_get0_notBefore($0)) }
        let ends = unsafe members.compactMap { unsafe Certificate.time(unsafe X509_get0_notAfter($0)) }
        guard let notBefore = beginnings.max(), let notAfter = ends.min(), unsafe beginnings.count == members.count, unsafe ends.count == members.count else {
            throw .certificate(file: chainFile, reason: "has no readable validity dates")
        }
        unsafe self.leaf = unsafe leaf
        unsafe self.intermediates = unsafe certificates
        unsafe self.key = unsafe key
        self.isECDSA = isECDSA
        self.notBefore = notBefore
        self.notAfter = notAfter
        names = unsafe Certificate.subjectAlternativeNames(leaf)
        fingerprint = unsafe Certificate.fingerprint(leaf)
        adopted = true
    }

    deinit {
        unsafe X509_free(leaf)
        unsafe intermediates.forEach { unsafe X509_free($0) }
        unsafe EVP_PKEY_free(key)
    }

    /// Whether a client that asks for `host` would accept this certificate by its name (RFC 9525; wildcards one label deep).
    package func covers(_ host: Hostname) -> Bool {
        let result = unsafe host.text.withCString { text in
            host.address != nil
                ? unsafe X509_check_ip_asc(leaf, text, 0)
                : unsafe X509_check_host(leaf, text, 0, UInt32(X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT), nil)
        }
        if result < 0 { _ = TLSError.drainQueue() }
        return result == 1
    }

    private static func readCertificates(_ text: [UInt8]) -> [OpaquePointer] {
        var certificates: [OpaquePointer] = unsafe []
        unsafe text.withUnsafeBytes { bytes in
            guard let bio = unsafe BIO_new_mem_buf(bytes.baseAddress, Int32(clamping: bytes.count)) else { return }
            defer { unsafe BIO_free(bio) }
            while unsafe certificates.count < 16, let certificate = unsafe PEM_read_bio_X509(bio, nil, nil, nil) { unsafe certificates.append(certificate) }
        }
        _ = TLSError.drainQueue()
        return unsafe certificates
    }

    private static func readKey(_ text: Secret) -> OpaquePointer? {
        defer { _ = TLSError.drainQueue() }
        return unsafe text.withBytes { span in
            unsafe span.withUnsafeBytes { bytes in
                guard let bio = unsafe BIO_new_mem_buf(bytes.baseAddress, Int32(clamping: bytes.count)) else { return nil }
                defer { unsafe BIO_free(bio) }
                // The callback answers "no password", so that an encrypted key is refused instead of asked for on a terminal.
                return unsafe PEM_read_bio_PrivateKey(bio, nil, { _, _, _, _ in 0 }, nil)
            }
        }
    }

    private static func time(_ time: UnsafePointer<ASN1_TIME>?) -> WallTime? {
        var days: Int32 = 0, seconds: Int32 = 0
        guard let epoch = unsafe ASN1_TIME_set(nil, 0) else { return nil }
        defer { unsafe ASN1_STRING_free(epoch) }
        guard unsafe ASN1_TIME_diff(&days, &seconds, epoch, time) == 1 else { return nil }
        return WallTime(seconds: Int64(days) * 86_400 + Int64(seconds))
    }

    private static func subjectAlternativeNames(_ leaf: OpaquePointer) -> [String] {
        guard let extensions = unsafe X509_get_ext_d2i(leaf, NID_subject_alt_name, nil, nil) else { return [] }
        let stack = OpaquePointer(extensions)
        defer { unsafe GENERAL_NAMES_free(stack) }
        var names: [String] = []
        for index in 0..<(unsafe OPENSSL_sk_num(stack)) {
            guard let item = unsafe OPENSSL_sk_value(stack, index) else { continue }
            var kind: Int32 = 0
            let name = unsafe item.assumingMemoryBound(to: GENERAL_NAME.self)
            guard let value = unsafe GENERAL_NAME_get0_value(name, &kind), kind == GEN_DNS else { continue }
            let string = unsafe UnsafePointer<ASN1_STRING>(value.assumingMemoryBound(to: ASN1_STRING.self))
            guard let data = unsafe ASN1_STRING_get0_data(string) else { continue }
            let bytes = unsafe UnsafeBufferPointer(start: data, count: Int(ASN1_STRING_length(string)))
            // By length, and refused with a NUL inside (CVE-2025-66220).
            if unsafe !bytes.contains(0) { names.append(unsafe String(decoding: bytes, as: UTF8.self).lowercased()) }
        }
        return names
    }

    private static func fingerprint(_ leaf: OpaquePointer) -> String {
        var digest = [UInt8](repeating: 0, count: 32)
        var count: UInt32 = 0
        guard unsafe X509_digest(leaf, EVP_sha256(), &digest, &count) == 1 else { return "" }
        return digest.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}
