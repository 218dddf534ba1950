package import GatewayTerms

/// One accepted configuration: the process's file and a file per stage, every value checked, every default filled in.
///
/// Values only: nothing here opens a socket or follows a name. The model's parts are nested types, one file each.
package struct Configuration: Sendable, Equatable {
    /// At least one of them speaks TLS.
    package var listeners: [Listener]
    package var health: Health
    package var admin: Admin
    package var accessLog: AccessLog
    package var log: Log
    /// Holds the last good key sets and the last accepted configuration.
    package var stateDirectory: Located<String>
    /// `nil`: one for each core.
    package var eventLoops: Int?
    package var reload: Reload
    package var drain: Drain
    package var loginSessions: LoginSessions
    /// Revoked tokens, logins, people and clients (C11), followed while the gateway runs; `nil`: no file.
    package var revocationFile: FileReference?
    package var limits: Limits
    package var timeouts: Timeouts
    package var compression: Compression
    /// Changes of the process's part that make it weaker and are meant, in the words of the judgement.
    package var approvals: [Located<String>]
    /// In the order of `stages:`; their hosts and names are distinct.
    package var stages: [Stage]
}

extension Configuration {
    /// A file that another part reads: a certificate, an authority's certificate, a key set.
    package struct FileReference: Sendable, Equatable {
        /// Resolved against the folder of the file that names it.
        package var path: String
        @Incidental package var location: SourceLocation
    }

    /// A secret, read from the file or environment variable that the configuration names; its value is never written there.
    package struct SecretReference: Sendable, Equatable {
        package enum Source: Sendable, Equatable {
            /// Resolved path; trailing line ends are not part of the secret.
            case file(String)
            case environment(String)
        }
        package var source: Source
        package var value: Secret
        @Incidental package var location: SourceLocation
    }

    /// One hostname with its identity provider and routes.
    package struct Stage: Sendable, Equatable {
        package var name: Located<String>
        package var host: Located<Hostname>
        /// `https`, the stage's host, no path: redirect URIs are built from it, never from a request (D5).
        package var publicURL: Located<WebURL>
        package var identity: Identity
        /// What a route demands that has no `policy` of its own.
        package var policy: Policy
        /// Changes that make the stage weaker and are meant, in the words of the judgement.
        package var approvals: [Located<String>]
        /// In the order of the file; names are distinct.
        package var upstreams: [Upstream]
        package var routes: [Route]
        /// `nil`: no route serves it.
        package var commandLineAPI: CommandLineAPI?
        @Incidental package var location: SourceLocation
    }
}
