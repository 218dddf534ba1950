package import GatewayTerms

/// An IP address and a TCP port, written `127.0.0.1:8443` or `[::]:8443`.
package struct SocketAddress: Sendable, Hashable, CustomStringConvertible {
    package let address: IPAddress
    /// 0 lets the system choose: for tests and `deploy/local`.
    package let port: UInt16

    package init(address: IPAddress, port: UInt16) {
        (self.address, self.port) = (address, port)
    }

    /// `nil` for a host name, a missing port, a sign, a port above 65535.
    package init?(_ text: String) {
        guard let colon = text.lastIndex(of: ":"), let port = Self.port(text[text.index(after: colon)...]) else { return nil }
        let host = text[..<colon]
        if host.first == "[", host.last == "]" {
            guard let address = IPAddress(host.dropFirst().dropLast()), host.dropFirst().contains(":") else { return nil }
            self.init(address: address, port: port)
        } else {
            guard let address = IPAddress(host), !address.isIPv6, !host.contains(":") else { return nil }
            self.init(address: address, port: port)
        }
    }

    package var description: String { address.isIPv6 ? "[\(address)]:\(port)" : "\(address):\(port)" }

    /// Digits only, 0…65535.
    static func port(_ text: some StringProtocol) -> UInt16? {
        guard (1...5).contains(text.utf8.count), text.utf8.allSatisfy({ (48...57).contains($0) }) else { return nil }
        return UInt16(text)
    }
}
