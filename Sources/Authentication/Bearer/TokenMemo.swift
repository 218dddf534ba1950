internal import Glibc

/// The last good token of one connection with its digest, so that a client that repeats its token is not hashed again for every
/// request. It belongs to that connection alone: comparing with another caller's token would tell by its time how much of it was right.
package struct TokenMemo: Sendable {
    private var token: [UInt8] = []
    private var digest: TokenDigest?

    /// Longer tokens are hashed each time, since an idle connection should hold little.
    private static let countMax = 2048

    package init() {}

    func digest(of token: Span<UInt8>) -> TokenDigest? {
        guard token.count == self.token.count, token.count > 0 else { return nil }
        let isSame = unsafe self.token.withUnsafeBytes { kept in
            unsafe token.withUnsafeBytes { given in
                guard let left = kept.baseAddress, let right = given.baseAddress else { return false }
                return unsafe memcmp(left, right, kept.count) == 0
            }
        }
        return isSame ? digest : nil
    }

    /// Costs nothing when the token is the one that is kept.
    mutating func keepIfNew(_ token: Span<UInt8>, _ digest: TokenDigest) {
        if self.digest != digest { keep(token, digest) }
    }

    mutating func keep(_ token: Span<UInt8>, _ digest: TokenDigest) {
        guard token.count <= Self.countMax else { return }
        self.token = unsafe token.withUnsafeBufferPointer { unsafe Array($0) }
        self.digest = digest
    }
}
