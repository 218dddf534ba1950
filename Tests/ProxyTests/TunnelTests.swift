import Proxy
import Testing

@Suite("Tunnel")
struct TunnelTests {
    private static let mask: [UInt8] = [1, 2, 3, 4]
    private static func toClient(_ payload: String, opcode: UInt8 = 1) -> [UInt8] { [0x80 | opcode, UInt8(payload.utf8.count)] + Array(payload.utf8) }
    private static func toUpstream(_ payload: String, opcode: UInt8 = 1) -> [UInt8] {
        [0x80 | opcode, 0x80 | UInt8(payload.utf8.count)] + mask + payload.utf8.enumerated().map { $1 ^ mask[$0 % 4] }
    }
    private static let closeToClient: [UInt8] = [0x88, 2, 0x03, 0xE8]
    private static let closeToUpstream: [UInt8] = [0x88, 0x82] + mask + [0x03 ^ 1, 0xE8 ^ 2]

    private static func open() -> Tunnel { Tunnel(isWebSocket: true) }

    @Test("While it is open, everything passes from both sides")
    func passes() {
        var tunnel = Self.open()
        for bytes in [Self.toUpstream("hello"), [0x81], [0x80]] {
            let passage = tunnel.clientSent(bytes.span)
            #expect(passage == .init(count: bytes.count))
        }
        let passage = tunnel.upstreamSent(Self.toClient("hello").span)
        #expect(passage == .init(count: 7))
        #expect(tunnel.end == nil && !tunnel.isOver)
    }

    @Test("Between frames, both sides are told at once, and nothing more passes")
    func endsBetween() {
        var tunnel = Self.open()
        _ = tunnel.clientSent(Self.toUpstream("a").span)
        let action = tunnel.end(.loginEnded)
        #expect(action == .close(client: true, upstream: true))
        let again = tunnel.end(.goingAway)
        #expect(again == .none)
        let fromClient = tunnel.clientSent(Self.toUpstream("more").span)
        #expect(fromClient == .init(count: 0))
        let fromUpstream = tunnel.upstreamSent(Self.toClient("more").span)
        #expect(fromUpstream == .init(count: 0))
        #expect(!tunnel.isOver)
        _ = tunnel.clientSent(Self.closeToUpstream.span)
        #expect(!tunnel.isOver)
        _ = tunnel.upstreamSent(Self.closeToClient.span)
        #expect(tunnel.isOver)
        #expect(tunnel.closing(left: .client) == "tunnel_login_ended_1008")
    }

    @Test("Within a frame, its rest passes and the Close goes behind it")
    func endsWithin() {
        var tunnel = Self.open()
        let text = Self.toClient("hello"), question = Self.toUpstream("what?")
        _ = tunnel.upstreamSent(text.span.extracting(0..<3))
        _ = tunnel.clientSent(question.span.extracting(0..<1))
        let action = tunnel.end(.goingAway)
        #expect(action == .close(client: false, upstream: false))
        let part = tunnel.upstreamSent(text.span.extracting(3..<5))
        #expect(part == .init(count: 2))
        let rest = tunnel.upstreamSent((Array(text[5...]) + Self.toClient("dropped")).span)
        #expect(rest == .init(count: 2, closes: true))
        let nothing = tunnel.upstreamSent(Self.toClient("dropped").span)
        #expect(nothing == .init(count: 0))
        let client = tunnel.clientSent((Array(question[1...]) + Self.closeToUpstream).span)
        #expect(client == .init(count: question.count - 1, closes: true))
        #expect(!tunnel.isOver)
        let left = tunnel.upstreamLeft()
        #expect(left && tunnel.isOver)
    }

    @Test("A side to which a Close has gone already gets no second one")
    func endsAfterClose() {
        var tunnel = Self.open()
        _ = tunnel.upstreamSent(Self.closeToClient.span)
        let action = tunnel.end(.goingAway)
        #expect(action == .close(client: false, upstream: true))
        _ = tunnel.clientSent(Self.closeToUpstream.span)
        #expect(tunnel.isOver)
    }

    @Test("A Close that ends the frame under way is not followed by ours")
    func endsWithinClose() {
        var tunnel = Self.open()
        _ = tunnel.upstreamSent(Self.closeToClient.span.extracting(0..<3))
        let action = tunnel.end(.idle)
        #expect(action == .close(client: false, upstream: true))
        let rest = tunnel.upstreamSent(Self.closeToClient.span.extracting(3...))
        #expect(rest == .init(count: 1))
        _ = tunnel.clientSent(Self.closeToUpstream.span)
        #expect(tunnel.isOver)
    }

    @Test("What is no WebSocket, or breaks its framing, can only be cut")
    func cuts() {
        var other = Tunnel(isWebSocket: false)
        let passage = other.clientSent(Self.toClient("anything").span)
        #expect(passage == .init(count: 10))
        let action = other.end(.loginEnded)
        #expect(action == .cut)
        #expect(other.closing(left: .client) == "tunnel_login_ended")
        var broken = Self.open()
        let unmasked = broken.clientSent(Self.toClient("unmasked").span)
        #expect(unmasked == .init(count: 10))
        let cut = broken.end(.loginEnded)
        #expect(cut == .cut)
    }

    @Test("A frame that turns out broken while it ends goes no further")
    func breaksWhileEnding() {
        var tunnel = Self.open()
        _ = tunnel.clientSent([0x82].span)
        _ = tunnel.end(.loginEnded)
        let passage = tunnel.clientSent(([0x7F] + Array(repeating: 0, count: 50)).span)
        #expect(passage == .init(count: 0))
    }

    @Test("Who closed it, and how, is told by the first Close, or by who left", arguments: [
        ([Tunnel.Side.client, .upstream], Tunnel.Side.upstream, "client_closed_1000"), ([.upstream, .client], .client, "upstream_closed_1000"),
        ([.client], .client, "client_closed_1000"), ([], .client, "client_left"), ([], .upstream, "upstream_left"),
    ])
    func closing(order: [Tunnel.Side], left: Tunnel.Side, expected: String) {
        var tunnel = Self.open()
        for side in order {
            switch side {
            case .client: _ = tunnel.clientSent(Self.closeToUpstream.span)
            case .upstream: _ = tunnel.upstreamSent(Self.closeToClient.span)
            }
        }
        #expect(tunnel.closing(left: left) == expected)
        #expect(tunnel.hasClosedWhole == (order.count == 2))
        let ends = tunnel.upstreamLeft()
        #expect(ends)
    }
}
