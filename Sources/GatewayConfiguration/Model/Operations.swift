extension Configuration {
    /// Plain HTTP for load balancers and probes: `/livez`, `/readyz`. Never the PROXY protocol.
    package struct Health: Sendable, Equatable {
        package var address: Located<SocketAddress>
    }

    package struct Admin: Sendable, Equatable {
        /// UNIX socket, mode 0600.
        package var socket: Located<String>
        /// Prometheus text; `nil`: not served.
        package var metricsAddress: Located<SocketAddress>?
    }

    package struct AccessLog: Sendable, Equatable {
        package enum Destination: Sendable, Equatable {
            case standardOutput
            case file(String)
        }
        package var destination: Destination
        @Incidental package var location: SourceLocation
    }

    /// The process's own messages, on standard error.
    package struct Log: Sendable, Equatable {
        package enum Level: String, Sendable, Equatable, CaseIterable { case debug, info, notice, warning, error }
        package var level: Level
    }

    /// When the configuration is read anew without being told (F4).
    package struct Reload: Sendable, Equatable {
        /// As soon as one of its files has changed.
        package var watchesFiles: Bool
    }

    /// SIGTERM (A10): readiness fails at once; then still accepting, then finishing, then the end.
    package struct Drain: Sendable, Equatable {
        package var acceptFor: Duration
        package var finishFor: Duration
        /// Ends earlier when so long neither a client is connected nor a probe comes.
        package var quietFor: Duration
        @Incidental package var location: SourceLocation
    }

    package struct LoginSessions: Sendable, Equatable {
        /// The key ring that seals cookies, a JSON file (D14); `nil`: one made in the state directory, which other replicas
        /// do not know.
        package var keys: SecretReference?
        /// A login ends so long after it began, whatever happens.
        package var lifetime: Duration
        /// A login ends so long after its last request.
        package var idle: Duration
    }
}
