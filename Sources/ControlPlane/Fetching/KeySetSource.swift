/// Where one issuer's key set comes from.
package struct KeySetSource: Sendable, Equatable {
    package enum Location: Sendable, Equatable {
        /// The address of the key set itself, as Cognito's follows from the user pool.
        case keySet(url: String)
        /// The address of a discovery document whose `jwks_uri` names the key set (OpenID Connect Discovery 1.0 §3).
        case discovery(url: String)
    }

    /// As tokens spell it in `iss`.
    package let issuer: String
    package let location: Location
    /// A PEM file of the authorities to trust; the system's when nil.
    package let caFile: String?

    package init(issuer: String, location: Location, caFile: String? = nil) {
        (self.issuer, self.location, self.caFile) = (issuer, location, caFile)
    }
}
