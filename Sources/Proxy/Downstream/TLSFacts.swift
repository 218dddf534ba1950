package import GatewayTerms

/// What a finished handshake settled; for routing by server name and for the log.
package struct TLSFacts: Sendable {
    package let version: String
    package let cipher: String
    package let serverName: Hostname?
    package let isResumed: Bool
    package let applicationProtocol: String?
}
