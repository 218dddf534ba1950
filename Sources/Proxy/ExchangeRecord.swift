internal import Authentication
internal import GatewayTerms
internal import HTTPWire
internal import NIOCore
internal import Routing

/// What is noted while an exchange runs, for its line in the access log.
struct ExchangeRecord {
    var requestID = RequestID(high: 0, low: 0)
    /// Written once, for the heads and the log.
    var requestText = InlineArray<36, UInt8>(repeating: UInt8(ascii: "0"))
    /// The trace that the request belongs to, with the gateway's own span (E4).
    var trace = TraceContext(traceHigh: 0, traceLow: 0, span: 0, isSampled: false)
    /// The client had begun it.
    var isTraceContinued = false
    var host: [UInt8] = []
    var userAgent: [UInt8]?
    var started = NIODeadline.uptimeNanoseconds(0)
    /// Its head was whole.
    var begun = NIODeadline.uptimeNanoseconds(0)
    var queued: NIODeadline?
    /// When the connection that took it upstream was begun for it.
    var dialled: NIODeadline?
    var forwarded: NIODeadline?
    var responded: NIODeadline?
    var ended: NIODeadline?
    var status: Int?
    var upstreamStatus: Int?
    var upstreamAddress: String?
    var bytesIn = 0
    var bytesOut = 0
    var flags: AccessLogFlags = []
    var details: String?
    var refusal: BearerRefusal?
    /// Who was refused although their login, or their token's signature, is good.
    var refusedCaller: Identity?
    var isCredentialMissing = false
    /// What is wrong with the login, where the browser sent more than nothing.
    var absence: LoginAbsence?
    /// The caller was known by the browser's cookie, or was missing it.
    var isLogin = false
    var isWebSocket = false
    /// The head could not be read: nothing of it is known.
    var isUnreadable = false

    func entry(
        head: borrowing RequestHead, bytes: Span<UInt8>, at time: WallTime, client: DownstreamClient, stage: Stage?, route: Route?,
        path: CanonicalPath?, identity: Identity?, policyAddress: IPAddress?, upstream: Upstream?, attempts: Int, snapshot: Snapshot, prepared: inout PreparedLogMembers
    ) -> AccessLogEntry {
        var entry = AccessLogEntry(time: time, requestID: requestID)
        entry.trace = TraceReference(traceHigh: trace.traceHigh, traceLow: trace.traceLow, span: trace.span)
        entry.listener = .text(client.rules.name)
        entry.configurationVersion = .text(snapshot.version)
        if let stage { entry.stage = .text(stage.name) }
        if !isUnreadable {
            entry.method = head.method
            entry.version = switch head.version {
            case .http10: .http1_0
            case .http11: .http1_1
            case .http2: .http2
            }
            if isWebSocket { entry.version = .websocket }
            entry.host = .bytes(host)
            entry.path = .bytes(path?.bytes ?? Array(copying: bytes.extracting(head.path.range)))
            if let query = head.query { entry.queryKeys = Self.queryKeys(bytes.extracting(query.range)) }
        }
        if let route { entry.route = .text(route.name) }
        entry.status = status
        entry.flags = flags
        if let details { entry.details = .text(details) }
        entry.bytesIn = bytesIn
        entry.bytesOut = bytesOut
        entry.duration = duration(from: started, to: ended)
        entry.timeToFirstByte = duration(from: started, to: responded)
        if attempts > 0 {
            entry.phases = AccessLogEntry.Phases(
                tls: client.takeHandshake().map { LogDuration(nanoseconds: $0.nanoseconds) }, headers: begun == started ? nil : duration(from: started, to: begun), auth: duration(from: begun, to: queued),
                queue: duration(from: queued, to: dialled ?? forwarded), connect: duration(from: dialled, to: forwarded), upstream: duration(from: forwarded, to: responded))
            entry.attempts = attempts
            entry.upstreamStatus = upstreamStatus
            if let upstream { entry.upstream = .text(upstream.name) }
            if let upstreamAddress { entry.upstreamAddress = .text(upstreamAddress) }
        }
        if prepared.client == nil || !client.isConstant || isUnreadable || prepared.userAgent != userAgent {
            if let userAgent { entry.userAgent = .bytes(userAgent) }
            client.describe(&entry)
            entry.clientAddress = isUnreadable ? client.peer : client.address(head, bytes)
            prepared.client = LogMembers(clientOf: entry)
            prepared.userAgent = userAgent
        }
        entry.preparedClient = prepared.client
        // A built-in service asks for credentials itself, where it needs them.
        if let route, !route.credentials.isEmpty || identity != nil || refusal != nil {
            if let identity {
                if identity !== prepared.identity || route !== prepared.route || route.policy.asksForAddress {
                    prepared.identity = identity
                    prepared.route = route
                    prepared.authentication = LogMembers(authentication(identity, route, from: policyAddress))
                }
                entry.preparedAuthentication = prepared.authentication
            } else {
                entry.authentication = authentication(nil, route, from: policyAddress)
            }
        }
        return entry
    }

    private func authentication(_ identity: Identity?, _ route: Route, from address: IPAddress?) -> AccessLogEntry.Authentication {
        if let identity {
            return AccessLogEntry.Authentication(
                method: isLogin ? .loginSession : .bearer, issuer: .text(identity.issuer), subject: .text(identity.subject), client: .text(identity.clientName), decision: .allowed,
                policy: .text(route.policy.name), rule: route.policy.rule(for: identity, from: address).map { .text($0.name) }, kid: isLogin ? nil : .text(identity.keyID))
        }
        if let refusal {
            return AccessLogEntry.Authentication(
                method: isLogin ? .loginSession : .bearer, issuer: refusedCaller.map { .text($0.issuer) }, subject: refusedCaller.map { .text($0.subject) },
                client: refusedCaller.map { .text($0.clientName) }, decision: refusal.status == 503 ? .undecidable : .refused, policy: .text(route.policy.name),
                rule: refusal.rule.map { .text($0) }, reason: .text(refusal.logReason),
                kid: isLogin ? nil : refusedCaller.map { .text($0.keyID) })
        }
        return AccessLogEntry.Authentication(method: isLogin ? .loginSession : .none, decision: .refused, policy: .text(route.policy.name), reason: isCredentialMissing ? .text(absence?.code ?? "login_required") : details.map { .text($0) })
    }

    private func duration(from start: NIODeadline?, to end: NIODeadline?) -> LogDuration? {
        guard let start, let end else { return nil }
        return LogDuration(nanoseconds: (end - start).nanoseconds)
    }

    /// The names of a query's parameters; never their values (E5).
    private static func queryKeys(_ query: Span<UInt8>) -> [LogText] {
        var keys: [LogText] = []
        for part in Array(copying: query).split(separator: UInt8(ascii: "&")) {
            guard keys.count < AccessLogEntry.queryKeysMax else { break }
            let name = part.prefix { $0 != UInt8(ascii: "=") }
            if !name.isEmpty { keys.append(.bytes(Array(name))) }
        }
        return keys
    }
}

/// What the lines of one connection have in common, kept from exchange to exchange.
struct PreparedLogMembers {
    var client: LogMembers?
    var userAgent: [UInt8]?
    var identity: Identity?
    var route: Route?
    var authentication: LogMembers?
}

extension [UInt8] {
    init(copying span: Span<UInt8>) { self = unsafe span.withUnsafeBufferPointer { unsafe Array($0) } }
}
