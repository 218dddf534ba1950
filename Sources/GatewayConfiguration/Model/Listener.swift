package import GatewayTerms

extension Configuration {
    /// An address that clients connect to.
    package struct Listener: Sendable, Equatable {
        package enum Role: Sendable, Equatable {
            /// Speaks TLS and serves every stage.
            case stages(TLS)
            /// Speaks plain HTTP and answers everything with 308 to `https` (B3).
            case redirectToHTTPS
        }
        package struct TLS: Sendable, Equatable {
            /// At least one; the first also serves clients that name no host (A3).
            package var certificates: [Certificate]
            package var minimumVersion: TLSVersion
        }
        package struct Certificate: Sendable, Equatable {
            /// PEM: the leaf first, then its issuers.
            package var chain: FileReference
            /// PEM: the leaf's private key.
            package var key: FileReference
        }
        package enum TLSVersion: String, Sendable, Equatable, CaseIterable {
            case tls12 = "1.2"
            case tls13 = "1.3"
        }

        package var address: Located<SocketAddress>
        package var role: Role
        /// The port in the `Location` of a redirect; what clients see, which an NLB may map to another port here.
        package var publicPort: UInt16
        package var clientAddress: ClientAddress
        /// Callers whose `traceparent` goes on; other requests begin a trace of their own (E4).
        package var traceContextFrom: [AddressRange]
        /// False where the TCP peer counts as the client, which a load balancer may be. A redirecting listener serves no stage.
        package var knowsClients: Bool { clientAddress != .peer || role == .redirectToHTTPS }
        @Incidental package var location: SourceLocation
    }

    /// Who counts as the client of a connection (A7, A8): one source for a listener, and nobody is trusted unasked.
    package enum ClientAddress: Sendable, Equatable {
        /// The other end of the TCP connection.
        case peer
        /// The PROXY protocol v2 header of a peer in these ranges; required from them, refused from others.
        case proxyProtocol(trusted: [AddressRange])
        /// The last address of `X-Forwarded-For` that is not in these ranges, if the peer is.
        case forwardedFor(trusted: [AddressRange])
    }
}
