/// Why a fetch has no answer. The sentences are for an operator; no part of them comes from a body, a field or a query.
package enum FetchError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The address is no https URL, no http URL of a loopback host, or has a user part or a fragment.
    case invalidURL(reason: String)
    /// A request field that would not be one field on the wire.
    case invalidField(name: String)
    case unresolved(host: String)
    /// No connection: refused, no route, or no answer.
    case unreachable(host: String, reason: String)
    /// The server did not prove that it is `host`, or speaks no TLS 1.2 or later.
    case tls(host: String, reason: String)
    case timedOut(host: String, after: Duration)
    /// The answer's body, or its head, is longer than this many bytes.
    case tooLarge(host: String, limit: Int)
    /// Redirects are not followed: a provider's endpoints have fixed addresses.
    case redirected(host: String, to: String)
    /// The connection ended before the answer did.
    case interrupted(host: String, reason: String)
    /// What came is not HTTP.
    case malformed(host: String, reason: String)
    /// So many fetches run and wait already.
    case overloaded(limit: Int)
    /// By `cancel`, or since the client was shut down.
    case cancelled
    case other(String)

    package var description: String {
        switch self {
        case .invalidURL(let reason):
            "The address cannot be fetched: \(reason). Use https, or plain http on localhost, 127.0.0.1 or [::1]."
        case .invalidField(let name):
            "The request field \(name) has a name or a value that HTTP does not allow."
        case .unresolved(let host):
            "The name \(host) does not resolve. Check the name and the machine's DNS."
        case .unreachable(let host, let reason):
            "\(host) cannot be reached: \(reason). Check that it runs and that no firewall or security group is between."
        case .tls(let host, let reason):
            "\(host) is not trusted: \(reason). If its authority is private, name its certificate in ca_file."
        case .timedOut(let host, let duration):
            "\(host) did not answer within \(duration.readable)."
        case .tooLarge(let host, let limit):
            "The answer of \(host) is longer than \(limit) bytes."
        case .redirected(let host, let place):
            "\(host) answers with a redirect to \(place), which is not followed. Configure that address if it is right."
        case .interrupted(let host, let reason):
            "\(host) broke off its answer: \(reason)."
        case .malformed(let host, let reason):
            "The answer of \(host) is not HTTP: \(reason)."
        case .overloaded(let limit):
            "\(limit) fetches run and wait already; this one was refused."
        case .cancelled:
            "The fetch was cancelled."
        case .other(let reason):
            "The fetch failed: \(reason)."
        }
    }
}

extension Duration {
    /// `1.5 s`, `250 ms`.
    var readable: String {
        let (seconds, attoseconds) = components
        let milliseconds = attoseconds / 1_000_000_000_000_000
        if seconds == 0 { return "\(milliseconds) ms" }
        return milliseconds == 0 ? "\(seconds) s" : "\(seconds).\(milliseconds / 100) s"
    }
}
