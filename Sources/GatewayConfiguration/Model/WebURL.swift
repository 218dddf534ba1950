package import GatewayTerms

/// An absolute `http` or `https` address without user, query or fragment (RFC 3986 §3), as identity providers, upstreams
/// and public addresses are written.
package struct WebURL: Sendable, Hashable, CustomStringConvertible {
    package enum Scheme: String, Sendable, Hashable {
        case http, https
        package var defaultPort: UInt16 { self == .https ? 443 : 80 }
    }

    package let scheme: Scheme
    package let host: Hostname
    /// The port that is dialled: the written one, or the scheme's.
    package let port: UInt16
    /// As written: empty, `/`, or a path in canonical form.
    package let path: String

    /// `nil` unless the text is exactly such an address.
    package init?(_ text: String) {
        let bytes = Array(text.utf8)
        guard bytes.count <= 2048, !bytes.contains(where: { $0 <= 32 || $0 >= 127 }) else { return nil }
        let scheme: Scheme
        let rest: Substring
        if text.hasPrefix("https://") {
            (scheme, rest) = (.https, text.dropFirst("https://".count))
        } else if text.hasPrefix("http://") {
            (scheme, rest) = (.http, text.dropFirst("http://".count))
        } else {
            return nil
        }
        let slash = rest.firstIndex(of: "/") ?? rest.endIndex
        let authority = rest[..<slash]
        let path = String(rest[slash...])
        if !path.isEmpty {
            guard let canonical = try? CanonicalPath(path), canonical.change == .none else { return nil }
        }
        var hostText = authority
        var port = scheme.defaultPort
        if let colon = authority.lastIndex(of: ":"), authority.last != "]" {
            guard let number = SocketAddress.port(authority[authority.index(after: colon)...]), number > 0 else { return nil }
            (hostText, port) = (authority[..<colon], number)
        }
        guard let host = Hostname(hostText) else { return nil }
        (self.scheme, self.host, self.port, self.path) = (scheme, host, port, path)
    }

    /// Scheme, host and, where it is not the scheme's own, port (RFC 6454 §6.2).
    package var origin: String {
        "\(scheme.rawValue)://\(host)" + (port == scheme.defaultPort ? "" : ":\(port)")
    }

    package var description: String { origin + path }
}
