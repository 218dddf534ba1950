internal import COpenSSL

/// SHA-256 of something small.
package enum LoginDigest {
    package static func sha256(_ bytes: Span<UInt8>) -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: 32)
        unsafe bytes.withUnsafeBufferPointer { input in
            _ = unsafe SHA256(input.baseAddress, input.count, &digest)
        }
        return digest
    }
}
