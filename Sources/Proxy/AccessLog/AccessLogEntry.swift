package import GatewayTerms

/// One line of the access log: what happened to one exchange, by typed field, in the order in which it is written (E1).
///
/// Absent fields are left out of the line; the order of the others never changes. No field can hold a token, a cookie, a
/// query value or any `Secret`: there is none for them, and `LogText` takes none (E5). Texts over their limit are cut and
/// end in `…`, so that no client decides how long a line is.
package struct AccessLogEntry: Sendable {
    /// What the line tells about.
    /// How the client spoke.
    package enum ProtocolVersion: UInt8, Sendable, CaseIterable { case http1_0, http1_1, http2, websocket }

    /// Where the time went. A phase that the exchange never entered is left out.
    package struct Phases: Sendable, Equatable {
        package var tls, headers, auth, queue, connect, upstream: LogDuration?

        package init(
            tls: LogDuration? = nil, headers: LogDuration? = nil, auth: LogDuration? = nil,
            queue: LogDuration? = nil, connect: LogDuration? = nil, upstream: LogDuration? = nil
        ) {
            (self.tls, self.headers, self.auth) = (tls, headers, auth)
            (self.queue, self.connect, self.upstream) = (queue, connect, upstream)
        }
    }

    /// Who the caller was found to be, and what was decided. Claims stand here only after the token's signature was verified;
    /// for others only `method`, `decision`, `reason`, and the `kid` that was looked for.
    package struct Authentication: Sendable {
        package enum Method: UInt8, Sendable, CaseIterable { case bearer, loginSession, none }
        /// `undecidable`: the answer was 503, since the keys were not to be had.
        package enum Decision: UInt8, Sendable, CaseIterable { case allowed, refused, undecidable }

        package var method: Method
        package var issuer: LogText?
        package var subject: LogText?
        package var client: LogText?
        package var decision: Decision
        package var policy: LogText?
        package var rule: LogText?
        /// A word of the closed vocabulary of refusals, such as `token_expired`.
        package var reason: LogText?
        package var kid: LogText?

        package init(
            method: Method, issuer: LogText? = nil, subject: LogText? = nil, client: LogText? = nil, decision: Decision,
            policy: LogText? = nil, rule: LogText? = nil, reason: LogText? = nil, kid: LogText? = nil
        ) {
            (self.method, self.issuer, self.subject, self.client, self.decision) = (method, issuer, subject, client, decision)
            (self.policy, self.rule, self.reason, self.kid) = (policy, rule, reason, kid)
        }
    }

    /// When the exchange ended.
    package var time: WallTime
    package var requestID: RequestID
    /// W3C trace-id and parent-id (E4).
    package var trace: TraceReference?
    package var listener: LogText?
    package var stage: LogText?
    package var host: LogText?
    package var method: Method?
    /// The canonical path; the path as it was sent where canonicalisation refused it. Never a query.
    package var path: LogText?
    /// The names of the query's parameters, never their values; at most `queryKeysMax` are written.
    package var queryKeys: [LogText] = []
    package var route: LogText?
    package var version: ProtocolVersion?
    /// What the client was sent; `nil` when it left before a head.
    package var status: Int?
    package var flags: AccessLogFlags = []
    /// One word of a closed vocabulary that says why, such as `path_encoded_nul`.
    package var details: LogText?
    /// Body bytes from and to the client, as framed content.
    package var bytesIn: Int = 0
    package var bytesOut: Int = 0
    /// From the request's first byte to the response's last.
    package var duration: LogDuration?
    /// From the request's first byte to the response's first.
    package var timeToFirstByte: LogDuration?
    package var phases: Phases?
    package var upstream: LogText?
    package var upstreamAddress: LogText?
    package var upstreamStatus: Int?
    /// How many times an endpoint was tried; 0 is left out.
    package var attempts: Int = 0
    package var clientAddress: IPAddress?
    package var clientPort: UInt16?
    /// The address that connected, where it is not the client's (behind PROXY protocol or X-Forwarded-For).
    package var peerAddress: IPAddress?
    package var vpcEndpointID: LogText?
    package var serverName: LogText?
    package var tlsVersion: LogText?
    package var tlsCipher: LogText?
    package var tlsResumed: Bool?
    package var userAgent: LogText?
    package var authentication: Authentication?
    package var configurationVersion: LogText?
    /// In place of the fields from `clientAddress` to `userAgent`, which are then not looked at.
    package var preparedClient: LogMembers?
    /// In place of `authentication`.
    package var preparedAuthentication: LogMembers?

    package init(time: WallTime, requestID: RequestID) {
        (self.time, self.requestID) = (time, requestID)
    }

    /// Longest path that is written, in bytes: the longest that is read.
    package static let pathBytesMax = CanonicalPath.countMax
    /// Longest text of any other field, in bytes.
    package static let textBytesMax = 1024
    /// Longest name of a query parameter, in bytes, and how many are written.
    package static let queryKeyBytesMax = 64
    package static let queryKeysMax = 32
}

/// The two identifiers of a W3C trace context: 16 and 8 bytes (Trace Context §3.2.2).
package struct TraceReference: Sendable, Hashable {
    package let traceHigh, traceLow, span: UInt64

    package init(traceHigh: UInt64, traceLow: UInt64, span: UInt64) {
        (self.traceHigh, self.traceLow, self.span) = (traceHigh, traceLow, span)
    }
}
