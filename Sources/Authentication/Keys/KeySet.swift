/// A provider's signing keys (JWKS, RFC 7517 §5), checked and parsed once, immutable, shared by all event loops.
///
/// Usable is an RSA key (RFC 7518 §6.3.1) of 2048 to 4096 bits whose exponent is odd and from 3 to 2³², whose `use` is
/// `sig` or absent, whose `alg` is RS256 or absent, and that has a `kid`. Keys of other kinds are skipped, since providers
/// publish keys for purposes that are not ours; `skipped` says why, for the log.
package final class KeySet: Sendable {
    package static let documentBytesMax = 256 * 1024
    package static let keysMax = 32
    package static let keyIDBytesMax = 256

    package struct SkippedKey: Sendable, Equatable {
        /// Empty where the key has none.
        package let keyID: String
        package let reason: String
    }

    package let issuer: String
    /// Rises with each set of other keys of this issuer, and is never used twice in the life of a process: cached tokens
    /// are good for the generation that verified them.
    package let generation: UInt64
    package let keys: [TokenKey]
    package let skipped: [SkippedKey]
    /// The provider's bytes, for the copy on disk.
    package let document: [UInt8]

    /// - Throws: `keySetRefused` where the document is no key set or holds no usable key: the caller keeps the last good one.
    package init(document: [UInt8], issuer: String, generation: UInt64) throws(AuthenticationError) {
        func refused(_ reason: String) -> AuthenticationError { .keySetRefused(issuer: issuer, reason: reason) }
        let value: JSONValue
        do {
            value = try StrictJSON.read(document.span, limits: Self.limits)
        } catch {
            throw refused("its JSON is \(error)")
        }
        guard let entries = value.object?["keys"]?.array else { throw refused("it has no array `keys`") }
        guard entries.count <= Self.keysMax else { throw refused("it has \(entries.count) keys, more than \(Self.keysMax)") }
        var keys: [TokenKey] = []
        var skipped: [SkippedKey] = []
        for entry in entries {
            switch Self.read(entry) {
            case .usable(let key):
                if let twin = keys.first(where: { $0.keyID.hasSameBytes(as: key.keyID) }) {
                    guard twin.isSameKey(as: key) else { throw refused("two different keys have the kid \(key.keyID)") }
                    skipped.append(SkippedKey(keyID: key.keyID, reason: "stands twice"))
                } else {
                    keys.append(key)
                }
            case .skipped(let key):
                skipped.append(key)
            }
        }
        guard !keys.isEmpty else {
            let reasons = skipped.prefix(4).map { "\($0.keyID.isEmpty ? "a key without kid" : $0.keyID): \($0.reason)" }
            throw refused("none of its \(entries.count) keys is usable for RS256" + (reasons.isEmpty ? "" : " (\(reasons.joined(separator: "; ")))"))
        }
        self.issuer = issuer
        self.generation = generation
        self.keys = keys
        self.skipped = skipped
        self.document = document
    }

    package func key(_ keyID: String) -> TokenKey? {
        for index in keys.indices where keys[index].keyID.hasSameBytes(as: keyID) { return keys[index] }
        return nil
    }

    /// The key that a token without `kid` can only mean; nil where there are several.
    var onlyKey: TokenKey? { keys.count == 1 ? keys[0] : nil }

    /// A refresh that brought the same keys need not be published: cached tokens stay good.
    package func hasSameKeys(as other: KeySet) -> Bool {
        guard issuer.hasSameBytes(as: other.issuer), keys.count == other.keys.count else { return false }
        return keys.allSatisfy { key in other.key(key.keyID).map(key.isSameKey(as:)) ?? false }
    }

    private enum Entry { case usable(TokenKey), skipped(SkippedKey) }

    private static func read(_ value: JSONValue) -> Entry {
        guard let members = value.object else { return .skipped(SkippedKey(keyID: "", reason: "not an object")) }
        let keyID = members["kid"]?.string ?? ""
        func skip(_ reason: String) -> Entry { .skipped(SkippedKey(keyID: String(keyID.prefix(64)), reason: reason)) }
        guard let type = members["kty"]?.string else { return skip("no kty") }
        guard type.hasSameBytes(as: "RSA") else { return skip("kty is not RSA") }
        guard !keyID.isEmpty, keyID.utf8.count <= keyIDBytesMax else { return skip("no kid of 1 to \(keyIDBytesMax) bytes") }
        if let use = members["use"], use != .string("sig") { return skip("use is not sig") }
        if let algorithm = members["alg"], algorithm != .string("RS256") { return skip("alg is not RS256") }
        if let operations = members["key_ops"] {
            guard let names = operations.strings, names.holds("verify") else { return skip("key_ops has no verify") }
        }
        for part in privateParts where members.has(part) { return skip("it holds the private part \(part)") }
        guard let modulusText = members["n"]?.string, let exponentText = members["e"]?.string,
              let modulus = number(modulusText), let exponentBytes = number(exponentText) else { return skip("n or e is not base64url") }
        guard let first = modulus.first, let last = modulus.last, last & 1 == 1 else { return skip("n is not a modulus") }
        let bits = modulus.count * 8 - first.leadingZeroBitCount
        guard bits >= 2048, bits <= 4096 else { return skip("\(bits) bits, outside 2048…4096") }
        guard exponentBytes.count <= 5 else { return skip("e is outside 3…2^32") }
        var exponent: UInt64 = 0
        for byte in exponentBytes { exponent = exponent << 8 | UInt64(byte) }
        guard exponent >= 3, exponent <= 1 << 32, exponent & 1 == 1 else { return skip("e is even or outside 3…2^32") }
        guard let key = TokenKey(keyID: keyID, modulus: modulus, exponent: exponent) else { return skip("libcrypto does not take it") }
        return .usable(key)
    }

    /// Big-endian bytes without leading zeros, or nil.
    private static func number(_ text: String) -> [UInt8]? {
        guard let bytes = Base64URL.decode(text.utf8Span.span) else { return nil }
        return Array(bytes.drop { $0 == 0 })
    }

    private static let privateParts = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"]
    private static let limits = StrictJSON.Limits(bytesMax: documentBytesMax, valuesMax: 4096)
}
