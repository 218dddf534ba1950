import Authentication
import GatewayTerms
import NIOCore
@testable import Proxy
import Testing

@Suite("Streams end with the credential that let them in")
struct BoundStreamsTests {
    static func moment(_ seconds: Int64) -> WallTime { WallTime(seconds: seconds) }

    static func identity(_ subject: String, token: String) -> Identity {
        Identity(
            subject: subject, username: nil, email: nil, groups: [], client: "c", clientName: "c", issuer: "i", scopes: [], tokenUse: .id, expiresAt: moment(100),
            begunAt: moment(0), keyID: "", tokenID: token, originTokenID: nil, forwardedGroups: nil)
    }

    final class Nobody: TimedConnection {
        var deadline = NIODeadline.distantFuture
        var timerTick: Int64 = 0
        func deadlineReached(_ now: NIODeadline) {}
    }

    /// One stream a row: exchange, login, end and latest end.
    static func streams(_ rows: [(UInt64, String?, Int64, Int64)]) -> BoundStreams {
        var wheel = TimerWheel(origin: .now())
        let id = wheel.add(Nobody())
        var streams = BoundStreams()
        for (exchange, login, end, latest) in rows {
            streams.begin(BoundStreams.Stream(
                exchange: exchange, connection: id, identity: identity("subject \(exchange)", token: login ?? "token \(exchange)"), login: login, end: moment(end), latest: moment(latest)))
        }
        return streams
    }

    @Test("Each is due at its end, once, and not before; one that ended by itself never is")
    func ends() {
        var streams = Self.streams([(1, "a", 10, 50), (2, "b", 20, 50), (3, nil, 20, 20), (4, "d", 15, 50)])
        streams.ended(4)
        #expect(streams.due(at: Self.moment(9)).isEmpty)
        #expect(streams.due(at: Self.moment(10)).map(\.exchange) == [1])
        #expect(streams.due(at: Self.moment(10)).isEmpty)
        #expect(streams.due(at: Self.moment(19)).isEmpty)
        #expect(Set(streams.due(at: Self.moment(25)).map(\.exchange)) == [2, 3])
        #expect(streams.count == 0)
    }

    @Test("A login that is renewed carries all its streams on, up to their latest end, and nobody else's")
    func renewals() {
        var streams = Self.streams([(1, "a", 10, 50), (2, "a", 10, 30), (3, "b", 10, 50), (4, nil, 10, 50)])
        streams.renewed(login: "a", until: Self.moment(40))
        #expect(Set(streams.due(at: Self.moment(10)).map(\.exchange)) == [3, 4])
        #expect(streams.due(at: Self.moment(30)).map(\.exchange) == [2])
        #expect(streams.due(at: Self.moment(39)).isEmpty)
        streams.renewed(login: "a", until: Self.moment(90))
        #expect(streams.due(at: Self.moment(49)).isEmpty)
        #expect(streams.due(at: Self.moment(50)).map(\.exchange) == [1])
    }

    @Test("An older word of the provider shortens nothing, and an end behind the latest is the latest")
    func order() {
        var streams = Self.streams([(1, "a", 40, 50), (2, "b", 90, 50)])
        streams.renewed(login: "a", until: Self.moment(20))
        #expect(streams.due(at: Self.moment(39)).isEmpty)
        #expect(streams.due(at: Self.moment(40)).map(\.exchange) == [1])
        #expect(streams.due(at: Self.moment(50)).map(\.exchange) == [2])
    }

    @Test("A revocation ends exactly the streams of those whom it names")
    func revocations() {
        var streams = Self.streams([(1, "a", 90, 90), (2, "b", 90, 90), (3, nil, 90, 90)])
        func revoked(_ kind: RevocationKind, _ value: String, until: Int64 = 80) -> [UInt64] {
            streams.revoked(by: Revocation([Revocation.Entry(kind: kind, value: value, until: Self.moment(until))]), at: Self.moment(50)).map(\.exchange)
        }
        #expect(revoked(.tokenID, "nobody") == [] && revoked(.tokenID, "a", until: 50) == [])
        #expect(revoked(.tokenID, "a") == [1] && revoked(.tokenID, "a") == [])
        #expect(revoked(.subject, "subject 3") == [3])
        #expect(streams.count == 1 && streams.revoked(by: .none, at: Self.moment(50)).isEmpty)
    }
}
