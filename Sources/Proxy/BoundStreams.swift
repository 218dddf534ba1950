internal import Authentication
internal import GatewayTerms

/// The streams of one loop that a credential let in, WebSockets and event streams, and when each has to end (D12): at the end of its token
/// or login, of what a login can last at all, or of the longest age of a stream. A login that is renewed here carries its streams on. A login
/// that is renewed at another replica does not: its stream is closed with a code that tells the page to come back, and coming back renews.
struct BoundStreams {
    struct Stream {
        /// Names the exchange on its loop.
        let exchange: UInt64
        let connection: ConnectionID
        let identity: Identity
        /// The login session's id; `nil` for a bearer token, which nothing renews.
        let login: String?
        /// Whatever is renewed.
        let latest: WallTime
        /// Not later than `latest`.
        fileprivate(set) var end: WallTime

        init(exchange: UInt64, connection: ConnectionID, identity: Identity, login: String?, end: WallTime, latest: WallTime) {
            self.exchange = exchange
            self.connection = connection
            self.identity = identity
            self.login = login
            self.latest = latest
            self.end = min(end, latest)
        }
    }

    private var streams: [UInt64: Stream] = [:]
    /// No stream ends earlier.
    private var earliest = WallTime(milliseconds: .max)

    var count: Int { streams.count }

    mutating func begin(_ stream: Stream) {
        streams[stream.exchange] = stream
        earliest = min(earliest, stream.end)
    }

    /// It ended by itself.
    mutating func ended(_ exchange: UInt64) { streams[exchange] = nil }

    /// The provider has vouched for a login anew.
    mutating func renewed(login: String, until end: WallTime) {
        for (exchange, stream) in streams where stream.login == login {
            streams[exchange]?.end = min(stream.latest, max(stream.end, end))
        }
    }

    /// Those whose time has come; they are forgotten here.
    mutating func due(at now: WallTime) -> [Stream] {
        guard now >= earliest else { return [] }
        let due = streams.values.filter { now >= $0.end }
        for stream in due { streams[stream.exchange] = nil }
        earliest = streams.values.map(\.end).min() ?? WallTime(milliseconds: .max)
        return due
    }

    /// Those whose token or login is revoked; they are forgotten here.
    mutating func revoked(by revocation: Revocation, at now: WallTime) -> [Stream] {
        if streams.isEmpty || revocation.isEmpty { return [] }
        let revoked = streams.values.filter { revocation.revokes($0.identity, now: now) != nil }
        for stream in revoked { streams[stream.exchange] = nil }
        return revoked
    }
}
