/// What makes a token unreadable. A closed list of words for the log; nothing of the token itself stands in it.
package enum TokenFault: Error, Sendable, Equatable {
    case notThreeParts
    case notBase64URL(part: Part)
    case notJSON(part: Part, StrictJSON.Fault.Kind)
    /// The header is not an object, or a member has the wrong type or size.
    case header(member: String)
    /// A header member that would let the token say how to verify it: crit, jku, jwk, x5u, x5c, zip, b64 (C3).
    case forbiddenHeader(member: String)
    /// A claim that must be there is absent, or a claim has the wrong type or size.
    case claim(name: String)
    /// Two independent readers understand the claims differently.
    case readersDisagree

    package enum Part: String, Sendable { case header, claims, signature }

    package var reason: String {
        switch self {
        case .notThreeParts: "not three parts"
        case .notBase64URL(let part): "\(part.rawValue) not base64url"
        case .notJSON(let part, let kind): "\(part.rawValue): \(kind.rawValue)"
        case .header(let member): "header member \(member)"
        case .forbiddenHeader(let member): "forbidden header member \(member)"
        case .claim(let name): "claim \(name)"
        case .readersDisagree: "two readers disagree"
        }
    }
}
