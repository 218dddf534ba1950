import HTTP2
import Testing

/// Small and repeatable (SplitMix64).
private struct Randomness: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
        return value ^ value >> 31
    }
}

@Suite("Random input")
struct RandomInputTests {
    @Test("Whatever comes, the session stays usable or ends, and its books stay right", arguments: 0..<64)
    func frames(seed: Int) throws {
        var random = Randomness(state: UInt64(seed))
        for _ in 0..<40 {
            let server = try Server()
            for _ in 0..<60 {
                var bytes = frame(&random).bytes
                if Int.random(in: 0..<4, using: &random) == 0, !bytes.isEmpty {
                    bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
                }
                server.receive(bytes, pieces: Int.random(in: 1...64, using: &random))
                for event in server.events() { act(event, server, &random) }
                if Bool.random(using: &random) { _ = server.sent() }
            }
            _ = server.sent()
            #expect(server.streamCount <= 100)
        }
    }

    private func act(_ event: SessionEvent, _ server: Server, _ random: inout Randomness) {
        switch event {
        case .requestHead(let stream, let fields, _):
            #expect(fields.bytes.count <= 65_536 && fields.lines.count <= 100)
            switch Int.random(in: 0..<5, using: &random) {
            case 0: server.respond(stream)
            case 1: server.respond(stream, body: Array(repeating: 1, count: Int.random(in: 0..<100_000, using: &random)))
            case 2: server.respond(stream, body: [1], endsStream: false)
            case 3: server.session.reset(stream, .cancel)
            default: break
            }
        case .requestEnded(let stream, _): server.session.consume(stream, Int.random(in: 0..<50_000, using: &random))
        case .data(let stream, _): server.session.consume(stream, 1_000)
        case .requestMalformed, .streamClosed, .drained, .pingAcknowledged, .goAway, .failed: break
        }
    }

    private func frame(_ random: inout Randomness) -> Frame {
        let stream = UInt32.random(in: 0..<12, using: &random)
        let payload = (0..<Int.random(in: 0..<40, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
        switch Int.random(in: 0..<12, using: &random) {
        case 0: return .get(stream | 1)
        case 1: return .post(stream | 1)
        case 2: return .data(stream | 1, payload, endStream: Bool.random(using: &random))
        case 3: return .reset(stream | 1)
        case 4: return .windowUpdate(stream, UInt32.random(in: 0..<70_000, using: &random))
        case 5: return .settings([(UInt16.random(in: 1...9, using: &random), UInt32.random(in: 0...100_000, using: &random))])
        case 6: return .ping()
        case 7: return Frame(.headers, Frame.Flags(rawValue: UInt8.random(in: 0...63, using: &random)), stream: stream, payload)
        case 8: return Frame(.continuation, .endHeaders, stream: stream, payload)
        case 9: return .headers(stream | 1, [("x", "y")])
        default: return Frame(type: UInt8.random(in: 0...12, using: &random), Frame.Flags(rawValue: UInt8.random(in: 0...255, using: &random)), stream: stream, payload)
        }
    }
}
