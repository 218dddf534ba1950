/// One question to an identity provider. Its printed form holds neither fields, body nor query, since these carry secrets.
package struct FetchRequest: Sendable, CustomStringConvertible, CustomReflectable {
    package enum Method: Sendable, Equatable {
        case get
        /// The body, as `application/x-www-form-urlencoded` unless a field says otherwise.
        case post([UInt8])
    }

    /// `https://…`, or `http://…` with a loopback host; no user part and no fragment.
    package let url: String
    package let method: Method
    /// Request fields, beside the ones that libcurl writes itself (Host, User-Agent, Accept, Content-Length).
    package let fields: [(name: String, value: String)]
    /// From `send` to the last byte of the answer, waiting for a free place included. 1 ms…10 min.
    package let timeout: Duration
    /// For name, connection and TLS handshake; within `timeout`.
    package let connectTimeout: Duration
    /// Longest body of an answer; over it, `.tooLarge`.
    package let bodyBytesMax: Int
    /// A PEM file of the only authorities that are trusted for this question; the system's when nil.
    package let caFile: String?
    /// Nothing in it or its answer is secret, so that plain http may leave this machine: a health check.
    package let carriesNoSecrets: Bool

    package init(
        url: String, method: Method = .get, fields: [(name: String, value: String)] = [], timeout: Duration = .seconds(5),
        connectTimeout: Duration = .seconds(3), bodyBytesMax: Int = 256 * 1024, caFile: String? = nil,
        carriesNoSecrets: Bool = false
    ) {
        self.carriesNoSecrets = carriesNoSecrets
        (self.url, self.method, self.fields, self.caFile) = (url, method, fields, caFile)
        self.timeout = min(max(timeout, .milliseconds(1)), .seconds(600))
        self.connectTimeout = min(max(connectTimeout, .milliseconds(1)), self.timeout)
        self.bodyBytesMax = min(max(bodyBytesMax, 0), 16 << 20)
    }

    package var description: String {
        let verb = switch method { case .get: "GET"; case .post: "POST" }
        return "\(verb) \(FetchAddress.withoutSecrets(url))"
    }

    package var customMirror: Mirror { Mirror(self, children: [:]) }
}

/// Names one `send`, for `cancel`.
package struct FetchID: Sendable, Hashable {
    let number: UInt64
}
