package import GatewayTerms

extension Configuration {
    /// What the built-in service `command-line-api` says of its stage; a stage has it exactly when one of its routes serves it.
    package struct CommandLineAPI: Sendable, Equatable {
        /// The Cognito identity pool that gives AWS credentials for an ID token.
        package struct IdentityPool: Sendable, Equatable {
            package var id: String
            package var region: String
        }

        /// The Metaflow extension, with its bytes as they were when the configuration was read.
        package struct Wheel: Sendable, Equatable {
            package var name: WheelName
            package var bytes: [UInt8]
            @Incidental package var location: SourceLocation
        }

        /// The client that people log in with.
        package var clientID: String
        /// What the login asks for: the stage's own words, then what client and stage demand of a token.
        package var scopes: [String]
        /// Not empty.
        package var redirectPorts: [UInt16]
        /// METAFLOW_… settings, by name, as far as the stage gives any.
        package var settings: [String: String]
        package var identityPool: IdentityPool?
        package var minimumExtensionVersion: ExtensionVersion
        package var wheel: Wheel?
        /// For each client address; `nil`: no limit.
        package var requestsPerMinute: Int?
        @Incidental package var location: SourceLocation

        /// The limit of a stage that says nothing of it, where the listeners know the clients.
        package static let requestsPerMinuteUsual = 300
        /// The largest wheel that is read.
        package static let wheelBytesMax = ByteCount.mebibytes(16)
    }
}

extension Configuration.Cognito {
    /// `authorize`, `token` or `revoke` of the hosted login pages; `nil` without a domain.
    package func loginEndpoint(_ name: String) -> String? {
        guard var base = domain?.value.description else { return nil }
        if base.hasSuffix("/") { base.removeLast() }
        return "\(base)/oauth2/\(name)"
    }
}

extension Configuration.Identity {
    /// The issuer as identity pools name it: without its scheme.
    package var loginProviderName: String {
        guard let scheme = issuer.firstRange(of: "://") else { return issuer }
        return String(issuer[scheme.upperBound...])
    }
}
