/// Why something that an operator or a provider gave to this module cannot be used. What a client sends is never thrown:
/// it is refused by value (`BearerRefusal`).
package enum AuthenticationError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The provider's answer is not a key set: not JSON, no `keys`, too large, no usable key.
    case keySetRefused(issuer: String, reason: String)
    /// The revocation file is not what `Revocation` documents; `place` names the entry.
    case revocationRefused(place: String, reason: String)
    /// libcrypto could not give what every installation of it has (a digest, memory).
    case cryptographyUnavailable(String)

    package var description: String {
        switch self {
        case .keySetRefused(let issuer, let reason):
            "The key set of \(issuer) is refused: \(reason). The last good one keeps serving."
        case .revocationRefused(let place, let reason):
            "at \(place): \(reason)."
        case .cryptographyUnavailable(let what):
            "libcrypto has no \(what). Install the distribution's libssl package, or undo the OPENSSL_CONF that hides it."
        }
    }
}
