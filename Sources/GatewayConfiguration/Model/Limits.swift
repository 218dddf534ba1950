package import GatewayTerms

extension Configuration {
    /// What a client may take; each says what it meets beyond.
    package struct Limits: Sendable, Equatable {
        /// Request line and header section. Over it: 431 (RFC 6585 §5).
        package var headBytes: ByteCount
        /// One field line, except Cookie and Authorization. Over it: 431.
        package var fieldLineBytes: ByteCount
        /// The Cookie field line. Over it: 431.
        package var cookieBytes: ByteCount
        /// The Authorization field line. Over it: 431.
        package var authorizationBytes: ByteCount
        /// Field lines in a head, HTTP/2 cookie crumbs counted one by one. Over it: 431.
        package var fields: Int
        /// The request target. Over it: 414 (RFC 9110 §15.5.15).
        package var targetBytes: ByteCount
        /// A request body, where the route sets none of its own. Over it: 413.
        package var bodyBytes: ByteCount
        /// Client connections in all; a further one is closed at once.
        package var connections: Int
        /// Handshakes in flight; a further one is closed at once.
        package var handshakes: Int
        /// Open at a time on one connection; a further one is refused (RFC 9113 §5.1.2).
        package var http2Streams: Int
        /// Then the connection closes after the response; `nil`: never.
        package var requestsPerConnection: Int?
        /// Then the connection closes after the response; `nil`: never.
        package var connectionAge: Duration?
    }

    /// gzip for bodies that an upstream sends as plain text of some kind.
    package struct Compression: Sendable, Equatable {
        package var isEnabled: Bool
        /// 1, the fastest, to 9.
        package var level: Int
        /// A body that is known to be shorter leaves as it is.
        package var minimumBytes: ByteCount
        /// Bodies at a time; one more leaves as it is.
        package var streams: Int
    }

    /// How long a client may take; each says what it meets then.
    package struct Timeouts: Sendable, Equatable {
        /// From the first byte of a head to its end: 408 and close.
        package var head: Duration
        /// The TLS handshake: close.
        package var handshake: Duration
        /// The PROXY protocol header: close.
        package var proxyProtocol: Duration
        /// Between requests: close. Below the 350 s after which an NLB forgets a connection (A9).
        package var keepAlive: Duration
        /// Without a byte on an HTTP/2 connection: PING; close when nobody answers.
        package var http2Ping: Duration
        /// Without a byte of the request body: 408 and close. A body slower than 1 KiB/s ends likewise once it is this old (B4).
        package var bodyIdle: Duration
        /// Without a byte in either direction, once an exchange is an upgraded or event stream: close.
        package var streamIdle: Duration
        /// Of an upgraded or event stream that a login or token let in: close, with 1008 where it is a WebSocket (D12).
        package var streamAge: Duration = .seconds(43_200)
        /// A response that the client does not read: close.
        package var sendIdle: Duration
    }
}
