package import GatewayTerms

/// What one stage's command-line service says: facts of the configuration and of the identity provider, judged before they
/// come here.
package struct CommandLineSettings: Sendable, Equatable {
    /// Of the identity provider; the extension sends people and tokens there.
    package struct Endpoints: Sendable, Equatable {
        package var authorization: String
        package var token: String
        /// `nil` where the provider revokes nothing (RFC 7009 is optional).
        package var revocation: String?

        package init(authorization: String, token: String, revocation: String?) {
            (self.authorization, self.token, self.revocation) = (authorization, token, revocation)
        }
    }

    /// The Cognito identity pool that gives AWS credentials for an ID token.
    package struct IdentityPool: Sendable, Equatable {
        package var id: String
        package var region: String
        /// The key of `Logins` in GetId: the issuer without its scheme.
        package var providerName: String

        package init(id: String, region: String, providerName: String) {
            (self.id, self.region, self.providerName) = (id, region, providerName)
        }
    }

    package var stage: String
    /// `https://HOST` with a port if it is not 443, and nothing behind it.
    package var publicURL: String
    package var host: Hostname
    package var issuer: String
    /// The public app client of the command-line login.
    package var clientID: String
    /// `nil` where discovery must tell: `/cli/config` answers 503, which passes, until ``CommandLineService/knowing(_:)`` gives them.
    package var endpoints: Endpoints?
    /// What the login asks for; at least one.
    package var scopes: [String]
    /// Loopback ports that are registered as callbacks; at least one.
    package var redirectPorts: [UInt16]
    /// METAFLOW_… settings. METAFLOW_SERVICE_URL and METAFLOW_DEFAULT_METADATA are filled in where they are not given.
    package var settings: [String: String]
    package var identityPool: IdentityPool?
    /// An older extension tells its user to upgrade.
    package var minimumExtensionVersion: ExtensionVersion
    package var wheel: Wheel?

    package init(
        stage: String, publicURL: String, host: Hostname, issuer: String, clientID: String, endpoints: Endpoints?, scopes: [String],
        redirectPorts: [UInt16], settings: [String: String], identityPool: IdentityPool?, minimumExtensionVersion: ExtensionVersion, wheel: Wheel?
    ) {
        self.stage = stage
        self.publicURL = publicURL
        self.host = host
        self.issuer = issuer
        self.clientID = clientID
        self.endpoints = endpoints
        self.scopes = scopes
        self.redirectPorts = redirectPorts
        self.settings = settings
        self.identityPool = identityPool
        self.minimumExtensionVersion = minimumExtensionVersion
        self.wheel = wheel
    }
}

/// The Metaflow extension as pip installs it.
package struct Wheel: Sendable, Equatable {
    package var name: WheelName
    package var bytes: [UInt8]

    package init(name: WheelName, bytes: [UInt8]) { (self.name, self.bytes) = (name, bytes) }
}
