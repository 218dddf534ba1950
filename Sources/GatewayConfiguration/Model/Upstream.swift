package import GatewayTerms

extension Configuration {
    /// A set of endpoints with one balancing policy.
    package struct Upstream: Sendable, Equatable {
        /// One server, or a DNS name that stands for several.
        package struct Endpoint: Sendable, Equatable {
            package var scheme: WebURL.Scheme
            package var host: Hostname
            package var port: UInt16
            @Incidental package var location: SourceLocation
        }

        package enum Balance: Sendable, Equatable {
            case roundRobin
            /// Of two endpoints drawn at random, the one with fewer requests in flight (B8).
            case leastRequests
            /// The same login session meets the same endpoint; for servers that keep state per instance.
            case hashLoginSession
            case hashClientAddress
        }

        /// Active health checks (B7); an upstream without them is judged by its answers alone.
        package struct HealthCheck: Sendable, Equatable {
            package var path: Located<CanonicalPath>
            package var interval: Duration
            package var timeout: Duration
            /// Failures in a row that take an endpoint out.
            package var unhealthyAfter: Int
            /// Successes in a row that bring it back.
            package var healthyAfter: Int
        }

        package var name: Located<String>
        /// At least one; all of one scheme.
        package var endpoints: [Endpoint]
        /// The authority that vouches for https endpoints; `nil`: the system's.
        package var caFile: FileReference?
        /// The name in SNI and certificate of https endpoints; `nil`: the endpoint's host.
        package var serverName: Located<Hostname>?
        package var health: HealthCheck?
        package var failures: FailureProfile
        package var balance: Balance
        package var connectTimeout: Duration
        /// Until the head of the response has arrived; a route's `timeout` overrides it.
        package var responseTimeout: Duration
        /// A pooled connection that rested so long is closed, before the server closes it under a request.
        package var idleTimeout: Duration
        package var connectionsMax: Int
        package var pendingMax: Int
        package var pendingTimeout: Duration
        /// Keep connections open between requests.
        package var keepAlive: Bool
        @Incidental package var location: SourceLocation
    }

    /// Which statuses a client meets when its upstream fails (B6, DESIGN §7).
    package enum FailureProfile: String, Sendable, Equatable, CaseIterable {
        /// 503 with Retry-After for whatever may pass: the only status that the Metaflow client retries.
        case metaflow
        /// 502, 503 and 504 pages.
        case browser
    }
}
