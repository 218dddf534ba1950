import GatewayTerms

extension JSONLineWriter {
    /// Replaces what the writer holds by the entry's line, its newline included.
    package mutating func write(_ entry: borrowing AccessLogEntry) {
        begin()
        member(#""ts":"#, entry.time)
        member(#""v":"#, 1)
        member(#""kind":"#, quoted: #""access""#)
        member(#""request_id":"#, entry.requestID)
        if let trace = entry.trace {
            member(#""trace_id":"#, hexadecimal: trace.traceHigh, trace.traceLow)
            member(#""span_id":"#, hexadecimal: trace.span)
        }
        member(#""listener":"#, entry.listener)
        member(#""stage":"#, entry.stage)
        member(#""host":"#, entry.host)
        if let method = entry.method { member(#""method":"#, .literal(method.name)) }
        member(#""path":"#, entry.path, bytesMax: AccessLogEntry.pathBytesMax)
        if !entry.queryKeys.isEmpty { writeQueryKeys(entry.queryKeys) }
        member(#""route":"#, entry.route)
        if let version = entry.version { member(#""protocol":"#, quoted: version.quoted) }
        if let status = entry.status { member(#""status":"#, status) }
        writeFlags(entry.flags)
        member(#""details":"#, entry.details)
        member(#""bytes_in":"#, entry.bytesIn)
        member(#""bytes_out":"#, entry.bytesOut)
        member(#""duration_ms":"#, entry.duration)
        member(#""ttfb_ms":"#, entry.timeToFirstByte)
        if let phases = entry.phases { writePhases(phases) }
        member(#""upstream":"#, entry.upstream)
        member(#""upstream_addr":"#, entry.upstreamAddress)
        if let status = entry.upstreamStatus { member(#""upstream_status":"#, status) }
        if entry.attempts > 0 { member(#""attempts":"#, entry.attempts) }
        if let client = entry.preparedClient { members(client) } else { writeClient(entry) }
        if let authentication = entry.preparedAuthentication {
            members(authentication)
        } else if let authentication = entry.authentication {
            write(authentication)
        }
        member(#""config_version":"#, entry.configurationVersion)
        end()
    }

    fileprivate mutating func writeClient(_ entry: borrowing AccessLogEntry) {
        member(#""client_ip":"#, entry.clientAddress)
        if let port = entry.clientPort { member(#""client_port":"#, Int(port)) }
        member(#""peer_ip":"#, entry.peerAddress)
        member(#""vpce_id":"#, entry.vpcEndpointID)
        member(#""sni":"#, entry.serverName)
        member(#""tls_version":"#, entry.tlsVersion)
        member(#""tls_cipher":"#, entry.tlsCipher)
        if let resumed = entry.tlsResumed { member(#""tls_resumed":"#, quoted: resumed ? "true" : "false") }
        member(#""user_agent":"#, entry.userAgent)
    }

    private mutating func writeFlags(_ flags: AccessLogFlags) {
        beginArray(#""flags":"#)
        var bits = flags.rawValue & (1 << UInt32(AccessLogFlags.count) - 1)
        while bits != 0 {
            element(quoted: AccessLogFlags.quotedLetters(bits.trailingZeroBitCount))
            bits &= bits - 1
        }
        endArray()
    }

    private mutating func writeQueryKeys(_ keys: [LogText]) {
        beginArray(#""query_keys":"#)
        for key in keys.prefix(AccessLogEntry.queryKeysMax) { element(key, bytesMax: AccessLogEntry.queryKeyBytesMax) }
        endArray()
    }

    private mutating func writePhases(_ phases: AccessLogEntry.Phases) {
        beginObject(#""phases":"#)
        member(#""tls":"#, phases.tls)
        member(#""headers":"#, phases.headers)
        member(#""auth":"#, phases.auth)
        member(#""queue":"#, phases.queue)
        member(#""connect":"#, phases.connect)
        member(#""upstream":"#, phases.upstream)
        endObject()
    }

    fileprivate mutating func write(_ authentication: AccessLogEntry.Authentication) {
        beginObject(#""auth":"#)
        member(#""method":"#, quoted: authentication.method.quoted)
        member(#""issuer":"#, authentication.issuer)
        member(#""sub":"#, authentication.subject)
        member(#""client":"#, authentication.client)
        member(#""decision":"#, quoted: authentication.decision.quoted)
        member(#""policy":"#, authentication.policy)
        member(#""rule":"#, authentication.rule)
        member(#""reason":"#, authentication.reason)
        member(#""kid":"#, authentication.kid)
        endObject()
    }
}

/// Members that are the same in many lines, rendered once: the client's side of a connection, an identity on a route.
package struct LogMembers: Sendable {
    /// Without braces and outer commas.
    let bytes: [UInt8]

    /// The members from `client_ip` to `user_agent`.
    package init(clientOf entry: borrowing AccessLogEntry) {
        var writer = JSONLineWriter()
        writer.begin()
        writer.writeClient(entry)
        bytes = Array(writer.bytes.dropFirst())
    }

    package init(_ authentication: AccessLogEntry.Authentication) {
        var writer = JSONLineWriter()
        writer.begin()
        writer.write(authentication)
        bytes = Array(writer.bytes.dropFirst())
    }
}

extension AccessLogEntry.ProtocolVersion {
    fileprivate var quoted: StaticString {
        switch self {
        case .http1_0: #""HTTP/1.0""#
        case .http1_1: #""HTTP/1.1""#
        case .http2: #""HTTP/2""#
        case .websocket: #""websocket""#
        }
    }
}

extension AccessLogEntry.Authentication.Method {
    fileprivate var quoted: StaticString {
        switch self {
        case .bearer: #""bearer""#
        case .loginSession: #""login_session""#
        case .none: #""none""#
        }
    }
}

extension AccessLogEntry.Authentication.Decision {
    fileprivate var quoted: StaticString {
        switch self {
        case .allowed: #""allowed""#
        case .refused: #""refused""#
        case .undecidable: #""undecidable""#
        }
    }
}
