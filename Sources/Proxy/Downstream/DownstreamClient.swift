internal import GatewayTerms
internal import HTTPWire
internal import NIOCore

/// Who is at the other end of a client's connection, as the listener's rules let us believe (A8), and what its TLS handshake settled.
final class DownstreamClient {
    let rules: ListenerRules
    private(set) var peer: IPAddress?
    private(set) var serverName = ServerNameChoice.none
    /// Its `traceparent` goes on; another's is deleted.
    private(set) var continuesTraces = false
    private var peerPort = 0
    private var proxyHeader: ProxyProtocolHeader?
    private var facts: TLSFacts?
    /// How long it took, until the connection's first exchange is logged.
    private var handshake: TimeAmount?
    private var name: String?

    init(rules: ListenerRules) { self.rules = rules }

    var isSecure: Bool { rules.tls != nil }

    // MARK: What becomes known

    func connected(from address: SocketAddress?) {
        guard let address else { return }
        peer = address.ipAddress.flatMap { IPAddress($0) }
        peerPort = address.port ?? 0
        learnWhetherTracesGoOn()
    }

    /// Whoever speaks HTTP here may go on with its trace (E4). An NLB passes on what its client says, so that with the PROXY protocol the
    /// client must be trusted, and not the NLB.
    private func learnWhetherTracesGoOn() {
        guard !rules.traceContextFrom.isEmpty else { return }
        let caller = proxyHeader?.client ?? peer
        continuesTraces = caller.map { caller in rules.traceContextFrom.contains { $0.contains(caller) } } ?? false
    }

    /// The PROXY protocol header has said who the client is.
    func announced(_ header: ProxyProtocolHeader) {
        proxyHeader = header
        learnWhetherTracesGoOn()
    }

    func secured(_ facts: TLSFacts, within handshake: TimeAmount, snapshot: Snapshot) {
        self.facts = facts
        self.handshake = handshake
        if let name = facts.serverName {
            serverName = snapshot.stage(for: name).map { .stage(name: $0.name) } ?? .unknown
        }
    }

    // MARK: What it means

    /// Of the connection's first exchange, to be told once.
    func takeHandshake() -> TimeAmount? {
        defer { handshake = nil }
        return handshake
    }

    /// The peer may say who its client is.
    private var peerIsTrusted: Bool {
        guard let peer else { return false }
        return switch rules.clientAddress {
        case .peer: false
        case .proxyProtocol(let trusted), .forwardedFor(let trusted): trusted.contains { $0.contains(peer) }
        }
    }

    /// By the listener's one source (A8).
    func address(_ head: borrowing RequestHead, _ bytes: Span<UInt8>) -> IPAddress? {
        switch rules.clientAddress {
        case .peer: peer
        case .proxyProtocol: proxyHeader?.client ?? peer
        case .forwardedFor(let trusted): peerIsTrusted ? ForwardedFor.client(head, bytes, trusted: trusted) ?? peer : peer
        }
    }

    /// The client is the same for every request of this connection.
    var isConstant: Bool {
        if case .forwardedFor = rules.clientAddress { return false }
        return true
    }

    /// The address as text; made once where it is the same for every request.
    func addressText(_ head: borrowing RequestHead, _ bytes: Span<UInt8>) -> String? {
        guard isConstant else { return address(head, bytes)?.description }
        if name == nil { name = address(head, bytes)?.description }
        return name
    }

    func describe(_ entry: inout AccessLogEntry) {
        if let client = proxyHeader?.client {
            entry.clientPort = UInt16(exactly: proxyHeader?.clientPort ?? 0)
            if client != peer { entry.peerAddress = peer }
        } else {
            entry.clientPort = UInt16(exactly: peerPort)
        }
        if case .forwardedFor = rules.clientAddress { entry.peerAddress = peer }
        if let endpoint = proxyHeader?.vpcEndpoint { entry.vpcEndpointID = .text(endpoint) }
        guard let facts else { return }
        if let name = facts.serverName { entry.serverName = .text(name.text) }
        entry.tlsVersion = .text(facts.version)
        entry.tlsCipher = .text(facts.cipher)
        entry.tlsResumed = facts.isResumed
    }
}
