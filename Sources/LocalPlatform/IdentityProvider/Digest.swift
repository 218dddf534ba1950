internal import COpenSSL

/// SHA-256 (FIPS 180-4), and SHA-1 for the handshake of WebSockets, where it proves nothing but understanding (RFC 6455 §1.3).
enum Digest {
    static func sha1(_ bytes: [UInt8]) -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: 20)
        unsafe bytes.withUnsafeBufferPointer { source in
            unsafe digest.withUnsafeMutableBufferPointer { _ = unsafe SHA1(source.baseAddress, source.count, $0.baseAddress) }
        }
        return digest
    }

    static func sha256(_ bytes: [UInt8]) -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: 32)
        unsafe bytes.withUnsafeBufferPointer { source in
            unsafe digest.withUnsafeMutableBufferPointer { _ = unsafe SHA256(source.baseAddress, source.count, $0.baseAddress) }
        }
        return digest
    }

    /// How codes, refresh tokens and logins are known to the database.
    static func hex(of text: String) -> String {
        sha256(Array(text.utf8)).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}
