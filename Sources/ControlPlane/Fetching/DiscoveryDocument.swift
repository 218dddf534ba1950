import Authentication

/// What the gateway reads of a provider's discovery document (OpenID Connect Discovery 1.0 §3).
package struct DiscoveryDocument: Sendable, Equatable {
    package enum Fault: Error, Equatable, Sendable, CustomStringConvertible {
        case unreadable(reason: String)
        /// It speaks for another issuer, so its keys must not vouch for this one (§4.3).
        case wrongIssuer(expected: String, found: String)
        case missing(member: String)

        package var description: String {
            switch self {
            case .unreadable(let reason): "The discovery document is refused: its JSON is \(reason)."
            case .wrongIssuer(let expected, let found): "The discovery document is of the issuer \(found), not \(expected)."
            case .missing(let member): "The discovery document has no \(member)."
            }
        }
    }

    package let keySetURL: String
    package let authorizationURL: String?
    package let tokenURL: String?
    package let revocationURL: String?
    package let endSessionURL: String?

    package init(_ document: [UInt8], issuer: String) throws(Fault) {
        let value: JSONValue
        do throws(StrictJSON.Fault) {
            value = try StrictJSON.read(document.span, limits: .init(bytesMax: 256 * 1024, valuesMax: 4096))
        } catch {
            throw .unreadable(reason: error.description)
        }
        guard let object = value.object else { throw .unreadable(reason: "no object") }
        guard let found = object["issuer"]?.string else { throw .missing(member: "issuer") }
        guard Array(found.utf8) == Array(issuer.utf8) else { throw .wrongIssuer(expected: issuer, found: FetchText.printable(found)) }
        guard let keySetURL = object["jwks_uri"]?.string else { throw .missing(member: "jwks_uri") }
        self.keySetURL = keySetURL
        authorizationURL = object["authorization_endpoint"]?.string
        tokenURL = object["token_endpoint"]?.string
        revocationURL = object["revocation_endpoint"]?.string
        endSessionURL = object["end_session_endpoint"]?.string
    }
}
