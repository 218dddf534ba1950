import HTTP2
import Testing

/// More of one kind of frame than any client needs.
struct Flooding: Sendable, CustomTestStringConvertible {
    let flood: SessionFault.Flood
    let before: [Frame]
    /// The n-th frame of the flood.
    let frame: @Sendable (UInt32) -> [Frame]
    let allowed: Int

    var testDescription: String { flood.rawValue }
}

@Suite("Limits and budgets")
struct LimitTests {
    static let floods: [Flooding] = [
        Flooding(flood: .resets, before: [], frame: { [.get($0 * 2 + 1), .reset($0 * 2 + 1)] }, allowed: 100),
        Flooding(flood: .pings, before: [], frame: { _ in [.ping()] }, allowed: 50),
        Flooding(flood: .settings, before: [], frame: { _ in [.settings()] }, allowed: 19),
        Flooding(flood: .emptyFrames, before: [.post(1)], frame: { _ in [.data(1, [])] }, allowed: 100),
        Flooding(flood: .emptyFrames, before: [.post(1)], frame: { _ in [Frame(.data, .padded, stream: 1, [1, 0])] }, allowed: 100),
        Flooding(flood: .priorities, before: [], frame: { _ in [Frame(.priority, stream: 3, [0, 0, 0, 0, 1])] }, allowed: 500),
        Flooding(flood: .windowUpdates, before: [.post(1)], frame: { _ in [.windowUpdate(1, 1)] }, allowed: 1_000),
    ]

    @Test("A flood ends the connection with ENHANCE_YOUR_CALM, and no earlier than its budget says", arguments: floods)
    func flood(_ flooding: Flooding) throws {
        let server = try Server()
        server.receive(flooding.before)
        for number in 0..<flooding.allowed {
            server.receive(flooding.frame(UInt32(number)))
            // Answers leave as they would on a connection that is read.
            if number % 10 == 0 { _ = server.sent() }
        }
        #expect(server.sent().goAwayCode == nil)
        server.receive(flooding.frame(UInt32(flooding.allowed)))
        #expect(server.sent().goAwayCode == .enhanceYourCalm)
        #expect(server.events().last == .failed(.flood(flooding.flood)))
        #expect(server.isFinished)
    }

    @Test("A budget fills again with time", arguments: floods.filter { $0.flood != .settings })
    func refill(_ flooding: Flooding) throws {
        let server = try Server()
        server.receive(flooding.before)
        for number in 0..<flooding.allowed * 3 {
            if number % flooding.allowed == flooding.allowed - 1 { server.now += 20_000_000_000 }
            server.receive(flooding.frame(UInt32(number)))
            _ = server.sent()
        }
        #expect(server.events().allSatisfy { if case .failed = $0 { false } else { true } })
    }

    @Test("Streams that we must reset count as resets (CVE-2025-8671)")
    func madeYouReset() throws {
        let server = try Server()
        var failure: SessionEvent?
        for number in 0..<150 where failure == nil {
            let stream = UInt32(number * 2 + 1)
            server.receive([.post(stream), .windowUpdate(stream, 0x7FFF_FFFF)])
            _ = server.sent()
            failure = server.events().first { if case .failed = $0 { true } else { false } }
            if failure != nil { #expect(number == 100) }
        }
        #expect(failure == .failed(.flood(.resets)))
    }

    @Test("Acknowledgements that the client does not read are bounded")
    func acknowledgements() throws {
        var limits = SessionLimits()
        limits.pings = .init(burst: 10_000, perSecond: 0)
        let server = try Server(limits)
        for _ in 0..<200 { server.receive([.ping()]) }
        #expect(server.events() == [.failed(.flood(.acknowledgements))])
        #expect(server.sent().goAwayCode == .enhanceYourCalm)
    }

    @Test("More CONTINUATION frames than allowed end the connection (CVE-2024-28182)", arguments: [8, 9])
    func continuations(count: Int) throws {
        let server = try Server()
        let block = HeaderBlock.literal(HeaderBlock.request())
        var frames = [Frame(.headers, .endStream, stream: 1, block)]
        frames += (1...count).map { Frame(.continuation, $0 == count ? .endHeaders : [], stream: 1, HeaderBlock.literal([("a", "b")])) }
        server.receive(frames)
        if count == 8 {
            #expect(server.heads().count == 1)
        } else {
            #expect(server.events() == [.failed(.flood(.continuations))])
            #expect(server.sent().goAwayCode == .enhanceYourCalm)
        }
    }

    @Test("A hundred fields pass and one more is refused; each cookie crumb is one (CVE-2026-47774)", arguments: ["x", "cookie"], [96, 97])
    func fieldCount(name: String, count: Int) throws {
        let server = try Server()
        server.receive([.get(1, Array(repeating: (name, "a"), count: count))])
        guard case .requestHead(1, let fields, true) = server.events().first else {
            Issue.record("There was no head.")
            return
        }
        #expect(fields.refusal == (count == 97 ? .tooManyFields : nil))
        // Refused, but still to be answered.
        server.respond(1, status: 431)
        #expect(server.sent().contains { $0.kind == .headers && $0.stream == 1 })
    }

    @Test("A head over 64 KiB is refused, counted as RFC 9113 §6.5.2 says", arguments: [false, true])
    func headBytes(isOver: Bool) throws {
        let server = try Server()
        let base = HeaderBlock.request().reduce(0) { $0 + $1.0.utf8.count + $1.1.utf8.count + 32 }
        let rest = 65_536 - base - 4 * 33 + (isOver ? 1 : 0)
        let fields = (0..<4).map { number in ("x", String(repeating: "a", count: number < 3 ? 16_000 : rest - 48_000)) }
        let block = HeaderBlock.literal(HeaderBlock.request() + fields)
        var frames: [Frame] = []
        var position = 0
        while position < block.count {
            let end = min(block.count, position + 16_384)
            let flags: Frame.Flags = end == block.count ? .endHeaders : []
            frames.append(position == 0 ? Frame(.headers, flags.union(.endStream), stream: 1, Array(block[..<end])) : Frame(.continuation, flags, stream: 1, Array(block[position..<end])))
            position = end
        }
        server.receive(frames)
        guard case .requestHead(1, let head, true) = server.events().first else {
            Issue.record("There was no head.")
            return
        }
        #expect(head.refusal == (isOver ? .tooLarge : nil))
    }

    @Test("One-byte fields that mean kilobytes each do not grow memory, and in thousands end the connection")
    func compressionBomb() throws {
        let server = try Server()
        let long = String(repeating: "a", count: 3_900)
        let reference: [UInt8] = [0xBE]
        server.receive([Frame(.headers, [.endHeaders, .endStream], stream: 1, HeaderBlock.literal(HeaderBlock.request()) + HeaderBlock.indexed("x", long) + reference)])
        #expect(server.heads().first?.count == 6)
        let many = HeaderBlock.literal(HeaderBlock.request()) + Array(repeating: 0xBE, count: 1_500)
        server.receive([Frame(.headers, [.endHeaders, .endStream], stream: 3, many)])
        guard case .requestHead(3, let fields, true) = server.events().first else {
            Issue.record("There was no head.")
            return
        }
        #expect(fields.refusal == .tooLarge)
        #expect(fields.bytes.count <= 65_536)
        let more = HeaderBlock.literal(HeaderBlock.request()) + Array(repeating: 0xBE, count: 2_500)
        server.receive([Frame(.headers, [.endHeaders, .endStream], stream: 5, more)])
        #expect(server.events() == [.failed(.flood(.fields))])
        #expect(server.sent().goAwayCode == .enhanceYourCalm)
    }

    @Test("The hundred and first stream is refused, so that the client may send it again")
    func streams() throws {
        let server = try Server(greets: false)
        server.receive(Frame.preface + Frame.settings().bytes)
        server.receive((0...100).map { .get($0 * 2 + 1) })
        #expect(server.heads().count == 100)
        #expect(server.sent().resetCode(201) == .refusedStream)
    }

    @Test("Over the acknowledged limit the connection ends")
    func streamsAcknowledged() throws {
        let server = try Server()
        server.receive((0...100).map { .get($0 * 2 + 1) })
        #expect(server.sent().goAwayCode == .protocolError)
    }

    @Test("A SETTINGS frame of more than 32 settings ends the connection")
    func settings() throws {
        let server = try Server()
        server.receive([.settings(Array(repeating: (0xEE, 1), count: 33))])
        let frames = server.sent()
        #expect(frames.goAwayCode != nil && frames.goAwayCode != .noError)
    }

    @Test("What is begun and not ended shows since when")
    func headBegan() throws {
        let server = try Server()
        #expect(server.headBegan == nil)
        server.receive([Frame(.headers, stream: 1, [0x82])])
        let begun = server.now
        server.now += 5
        server.receive([Frame(.continuation, stream: 1, [0x84])])
        #expect(server.headBegan == begun)
        server.receive([Frame(.continuation, .endHeaders, stream: 1, HeaderBlock.literal([(":scheme", "https"), (":authority", "h")]))])
        #expect(server.headBegan == nil)
    }
}
