internal import HTTPWire

/// What passes between client and upstream behind a switch of protocols, as a pure machine: bytes that came go in, what to do with them
/// comes out. It leaves payloads and close handshakes as they are, and knows where the gateway may put a Close frame of its own.
///
///     open ──end──► ending: each side gets a Close where its frame under way ends ──► over once both have answered, or left, or time is up
package struct Tunnel: Sendable {
    package enum Side: Sendable, Equatable { case client, upstream }

    /// What becomes of bytes that came from one side.
    package struct Passage: Equatable, Sendable {
        /// How many of them go on to the other side; the others are dropped.
        package var count: Int
        /// A Close frame of ours goes behind them.
        package var closes: Bool

        package init(count: Int, closes: Bool = false) {
            self.count = count
            self.closes = closes
        }
    }

    package enum EndAction: Equatable, Sendable {
        /// A Close frame goes to these sides now; to another one later, as `Passage` says.
        case close(client: Bool, upstream: Bool)
        /// No WebSocket, or the borders of its frames are not known: only cutting is left.
        case cut
        /// It is ending already.
        case none
    }

    package let isWebSocket: Bool
    private var fromClient = WebSocketFrames(from: .client)
    private var fromUpstream = WebSocketFrames(from: .server)
    /// Why the gateway ends it.
    package private(set) var end: TunnelEnd?
    /// A Close of ours has gone to this side.
    private var hasToldClient = false
    private var hasToldUpstream = false
    private var upstreamHasLeft = false
    /// Who was first to send a Close.
    private var firstCloser: Side?

    package init(isWebSocket: Bool) { self.isWebSocket = isWebSocket }

    // MARK: Bytes

    package mutating func clientSent(_ bytes: Span<UInt8>) -> Passage {
        guard isWebSocket else { return Passage(count: bytes.count) }
        defer { if fromClient.hasClosed, firstCloser == nil { firstCloser = .client } }
        guard end != nil else { return Passage(count: fromClient.advance(over: bytes)) }
        return Self.passEnding(bytes, &fromClient, isTold: &hasToldUpstream)
    }

    package mutating func upstreamSent(_ bytes: Span<UInt8>) -> Passage {
        guard isWebSocket else { return Passage(count: bytes.count) }
        defer { if fromUpstream.hasClosed, firstCloser == nil { firstCloser = .upstream } }
        guard end != nil else { return Passage(count: fromUpstream.advance(over: bytes)) }
        return Self.passEnding(bytes, &fromUpstream, isTold: &hasToldClient)
    }

    /// While it ends, the frame under way goes on and nothing behind it.
    private static func passEnding(_ bytes: Span<UInt8>, _ frames: inout WebSocketFrames, isTold: inout Bool) -> Passage {
        var passage = Passage(count: 0)
        if !isTold, !frames.hasClosed {
            let count = frames.advance(over: bytes, stopsBetween: true)
            // Where the frame ends can no longer be said: nothing goes on, and time cuts it.
            if frames.breach == nil { passage.count = count }
            if frames.isBetween, !frames.hasClosed {
                passage.closes = true
                isTold = true
            }
        }
        // What is dropped is followed still: the answer to our Close is in it.
        _ = frames.advance(over: bytes.extracting(passage.count...))
        return passage
    }

    // MARK: The end

    /// The gateway ends it.
    package mutating func end(_ end: TunnelEnd) -> EndAction {
        guard self.end == nil else { return .none }
        self.end = end
        guard isWebSocket, fromUpstream.breach == nil, fromClient.breach == nil else { return .cut }
        // Behind a Close nothing may be sent to that side.
        if fromUpstream.isBetween, !fromUpstream.hasClosed { hasToldClient = true }
        if fromClient.isBetween, !fromClient.hasClosed, !upstreamHasLeft { hasToldUpstream = true }
        return .close(client: hasToldClient, upstream: hasToldUpstream)
    }

    /// The upstream's connection is gone. True when the client's may end too.
    package mutating func upstreamLeft() -> Bool {
        upstreamHasLeft = true
        // Without a Close the client has nothing to answer.
        return end == nil || isOver || !dropsUpstream
    }

    /// What the client still says goes nowhere.
    package var dropsClient: Bool { end != nil && (hasToldUpstream || fromClient.hasClosed || upstreamHasLeft) }
    /// What the upstream still says goes nowhere.
    package var dropsUpstream: Bool { end != nil && (hasToldClient || fromUpstream.hasClosed) }

    /// It was ending, and both sides have answered: the connections can go.
    package var isOver: Bool {
        guard end != nil else { return false }
        let clientHasAnswered = fromClient.hasClosed && (hasToldClient || fromUpstream.hasClosed)
        let upstreamHasAnswered = fromUpstream.hasClosed && (hasToldUpstream || fromClient.hasClosed)
        return clientHasAnswered && (upstreamHasAnswered || upstreamHasLeft)
    }

    /// Both sides said Close to each other.
    package var hasClosedWhole: Bool { fromClient.hasClosed && fromUpstream.hasClosed }

    /// Who ended it and with which code, for the access log.
    /// - Parameter left: whose connection ended first.
    package func closing(left: Side) -> String {
        if let end { return isWebSocket ? "\(end.word)_\(end.code)" : end.word }
        switch firstCloser {
        case .client: return "client_closed_\(fromClient.closeCode ?? Self.noCode)"
        case .upstream: return "upstream_closed_\(fromUpstream.closeCode ?? Self.noCode)"
        case nil: return left == .client ? "client_left" : "upstream_left"
        }
    }

    /// What stands for a Close without a code (RFC 6455 §7.4.1).
    private static let noCode: UInt16 = 1005
}
