import Foundation
import GatewayTerms
import Proxy
import Testing

private func line(_ entry: AccessLogEntry) -> String {
    var writer = JSONLineWriter()
    writer.write(entry)
    return String(decoding: writer.bytes, as: UTF8.self)
}

private func object(_ line: String) throws -> [String: Any] {
    try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
}

private func emptyEntry() -> AccessLogEntry {
    AccessLogEntry(time: WallTime(milliseconds: 1_795_002_573_007), requestID: RequestID(high: 0x0199_fa12_3456_7abc, low: 0x8def_0123_4567_89ab))
}

private func fullEntry() -> AccessLogEntry {
    var entry = emptyEntry()
    entry.trace = TraceReference(traceHigh: 0x4bf9_2f35_77b3_4da6, traceLow: 0xa3ce_929d_0e0e_4736, span: 0x00f0_67aa_0ba9_02b7)
    entry.listener = "edge"
    entry.stage = .text("alpha")
    entry.host = .text("alpha.metaflow.simulation.amazon.dev")
    entry.method = .post
    entry.path = .bytes(Array("/api/metadata/flows/Hello/runs/42/steps/start/tasks/7/metadata".utf8))
    entry.queryKeys = [.bytes(Array("_limit".utf8)), .bytes(Array("token".utf8))]
    entry.route = .text("/api/metadata")
    entry.version = .http1_1
    entry.status = 200
    entry.flags = [.draining, .upstreamReset]
    entry.details = "via_upstream"
    entry.bytesIn = 512
    entry.bytesOut = 1024
    entry.duration = LogDuration(microseconds: 12_345)
    entry.timeToFirstByte = LogDuration(microseconds: 11_007)
    entry.phases = .init(headers: LogDuration(microseconds: 5), auth: LogDuration(microseconds: 18), connect: LogDuration(microseconds: 0), upstream: LogDuration(microseconds: 10_400))
    entry.upstream = .text("metadata")
    entry.upstreamAddress = .text("10.0.3.17:8080")
    entry.upstreamStatus = 200
    entry.attempts = 1
    entry.clientAddress = IPAddress("203.0.113.7")
    entry.clientPort = 50_123
    entry.peerAddress = IPAddress("2001:db8::1")
    entry.vpcEndpointID = .text("vpce-0123456789abcdef0")
    entry.serverName = .text("alpha.metaflow.simulation.amazon.dev")
    entry.tlsVersion = "TLSv1.3"
    entry.tlsCipher = "TLS_AES_128_GCM_SHA256"
    entry.tlsResumed = true
    entry.userAgent = .bytes(Array("metaflow/2.12 python-requests/2.32".utf8))
    entry.authentication = .init(
        method: .bearer, issuer: .text("https://cognito-idp.us-west-2.amazonaws.com/us-west-2_Example1"), subject: .text("a1b2"),
        client: .text("command-line"), decision: .allowed, policy: .text("science"), rule: .text("default"), reason: "allowed", kid: .text("key-1")
    )
    entry.configurationVersion = .text("c0ffee12")
    return entry
}

@Suite("An access log line")
struct AccessLogEntryTests {
    @Test("holds every field in the documented order")
    func golden() {
        #expect(line(fullEntry()) == """
            {"ts":"2026-11-18T11:49:33.007Z","v":1,"kind":"access","request_id":"0199fa12-3456-7abc-8def-0123456789ab",\
            "trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","span_id":"00f067aa0ba902b7","listener":"edge","stage":"alpha",\
            "host":"alpha.metaflow.simulation.amazon.dev","method":"POST","path":"/api/metadata/flows/Hello/runs/42/steps/start/tasks/7/metadata",\
            "query_keys":["_limit","token"],"route":"/api/metadata","protocol":"HTTP/1.1","status":200,"flags":["UR","DR"],\
            "details":"via_upstream","bytes_in":512,"bytes_out":1024,"duration_ms":12.345,"ttfb_ms":11.007,\
            "phases":{"headers":0.005,"auth":0.018,"connect":0.000,"upstream":10.400},"upstream":"metadata","upstream_addr":"10.0.3.17:8080",\
            "upstream_status":200,"attempts":1,"client_ip":"203.0.113.7","client_port":50123,"peer_ip":"2001:db8::1",\
            "vpce_id":"vpce-0123456789abcdef0","sni":"alpha.metaflow.simulation.amazon.dev","tls_version":"TLSv1.3",\
            "tls_cipher":"TLS_AES_128_GCM_SHA256","tls_resumed":true,"user_agent":"metaflow/2.12 python-requests/2.32",\
            "auth":{"method":"bearer","issuer":"https://cognito-idp.us-west-2.amazonaws.com/us-west-2_Example1","sub":"a1b2",\
            "client":"command-line","decision":"allowed","policy":"science","rule":"default","reason":"allowed","kid":"key-1"},\
            "config_version":"c0ffee12"}

            """)
    }

    @Test("leaves absent fields out")
    func minimal() {
        #expect(line(emptyEntry()) == """
            {"ts":"2026-11-18T11:49:33.007Z","v":1,"kind":"access","request_id":"0199fa12-3456-7abc-8def-0123456789ab",\
            "flags":[],"bytes_in":0,"bytes_out":0}

            """)
    }

    @Test("is one line of valid JSON, whatever was written by the same writer before")
    func reuse() throws {
        var writer = JSONLineWriter()
        for entry in [fullEntry(), emptyEntry(), fullEntry()] {
            writer.write(entry)
            #expect(String(decoding: writer.bytes, as: UTF8.self) == line(entry))
            #expect(writer.bytes.filter { $0 == UInt8(ascii: "\n") }.count == 1)
        }
    }

    @Test("shows each protocol, method and decision by its word")
    func words() throws {
        var entry = emptyEntry()
        for (version, word) in zip(AccessLogEntry.ProtocolVersion.allCases, ["HTTP/1.0", "HTTP/1.1", "HTTP/2", "websocket"]) {
            entry.version = version
            #expect(try object(line(entry))["protocol"] as? String == word)
        }
        for method in Method.allCases {
            entry.method = method
            #expect(try object(line(entry))["method"] as? String == method.description)
        }
        for (method, word) in zip(AccessLogEntry.Authentication.Method.allCases, ["bearer", "login_session", "none"]) {
            for (decision, verdict) in zip(AccessLogEntry.Authentication.Decision.allCases, ["allowed", "refused", "undecidable"]) {
                entry.authentication = .init(method: method, decision: decision)
                let found = try object(line(entry))["auth"] as? [String: String]
                #expect(found == ["method": word, "decision": verdict])
            }
        }
    }

    @Test("shows each flag by Envoy's letters, in the order of their bits", arguments: zip(
        ["NR", "UH", "UF", "UO", "UC", "UR", "URX", "UT", "DC", "LR", "RL", "UAEX", "SI", "DPE", "SX", "JW", "CB", "DR"],
        [AccessLogFlags.noRoute, .noHealthyEndpoint, .upstreamConnectFailure, .upstreamOverflow, .upstreamClosed, .upstreamReset,
         .upstreamRetriesExhausted, .upstreamTimeout, .downstreamClosed, .localReset, .rateLimited, .unauthorized,
         .streamIdle, .downstreamProtocolError, .loginSession, .tokenRefused, .pathRefused, .draining]
    ))
    func flags(letters: String, flag: AccessLogFlags) throws {
        var entry = emptyEntry()
        entry.flags = flag
        #expect(try object(line(entry))["flags"] as? [String] == [letters])
    }

    @Test("ignores flag bits that mean nothing")
    func unknownFlags() throws {
        var entry = emptyEntry()
        entry.flags = AccessLogFlags(rawValue: .max)
        #expect(try (object(line(entry))["flags"] as? [String])?.count == AccessLogFlags.count)
    }

    static let textFields: [(String, @Sendable (inout AccessLogEntry, LogText) -> Void)] = [
        ("listener", { $0.listener = $1 }), ("stage", { $0.stage = $1 }), ("host", { $0.host = $1 }), ("path", { $0.path = $1 }),
        ("route", { $0.route = $1 }), ("details", { $0.details = $1 }), ("upstream", { $0.upstream = $1 }),
        ("upstream_addr", { $0.upstreamAddress = $1 }), ("vpce_id", { $0.vpcEndpointID = $1 }), ("sni", { $0.serverName = $1 }),
        ("tls_version", { $0.tlsVersion = $1 }), ("tls_cipher", { $0.tlsCipher = $1 }), ("user_agent", { $0.userAgent = $1 }),
        ("config_version", { $0.configurationVersion = $1 }),
    ]

    @Test("keeps its form when a text field holds hostile bytes", arguments: textFields.map(\.0))
    func hostileFields(name: String) throws {
        let set = try #require(Self.textFields.first { $0.0 == name }).1
        let hostile = Array("\",\"status\":200}\n{\"forged\":\"\u{0}\u{1b}[2J\u{7f}\\".utf8) + [0xff, 0xc3, 0x28, 0xed, 0xa0, 0x80]
        for text in [LogText.bytes(hostile), .text(String(decoding: hostile, as: UTF8.self))] {
            var entry = fullEntry()
            set(&entry, text)
            let written = line(entry)
            #expect(written.utf8.filter { $0 < 0x20 || $0 == 0x7f } == [UInt8(ascii: "\n")])
            #expect(try object(written)[name] as? String == String(decoding: hostile, as: UTF8.self))
            #expect(try object(written).count == object(line(fullEntry())).count)
        }
    }

    @Test("keeps its form when a field of the decision or a query name holds hostile bytes")
    func hostileNested() throws {
        let hostile = LogText.bytes(Array("\"}],\r\n".utf8) + [0xe2, 0x80, 0xa8, 0xf4, 0x90])
        var entry = fullEntry()
        entry.queryKeys = [hostile, hostile]
        entry.authentication = .init(
            method: .bearer, issuer: hostile, subject: hostile, client: hostile, decision: .refused, policy: hostile, rule: hostile, reason: hostile, kid: hostile
        )
        let found = try object(line(entry))
        let expected = "\"}],\r\n\u{2028}" + String(decoding: [0xf4, 0x90] as [UInt8], as: UTF8.self)
        #expect(found["query_keys"] as? [String] == [expected, expected])
        let decision = try #require(found["auth"] as? [String: String])
        for name in ["issuer", "sub", "client", "policy", "rule", "reason", "kid"] { #expect(decision[name] == expected) }
    }

    @Test("cuts a text over its limit at a character, and says so by an ellipsis", arguments: [
        (String(repeating: "a", count: 1024), String(repeating: "a", count: 1024)),
        (String(repeating: "a", count: 1025), String(repeating: "a", count: 1024) + "…"),
        (String(repeating: "a", count: 1023) + "é!", String(repeating: "a", count: 1023) + "…"),
        (String(repeating: "a", count: 1021) + "😀!", String(repeating: "a", count: 1021) + "…"),
    ])
    func limits(text: String, expected: String) throws {
        var entry = emptyEntry()
        entry.userAgent = .text(text)
        #expect(try object(line(entry))["user_agent"] as? String == expected)
    }

    @Test("stays under 256 KiB when every text is as long and as hostile as can be")
    func longest() throws {
        let text = LogText.bytes([UInt8](repeating: 1, count: 100_000))
        var entry = fullEntry()
        for (_, set) in Self.textFields { set(&entry, text) }
        entry.queryKeys = Array(repeating: text, count: 1000)
        entry.authentication = .init(method: .bearer, issuer: text, subject: text, client: text, decision: .refused, policy: text, rule: text, reason: text, kid: text)
        let written = line(entry)
        #expect(written.utf8.count < 256 * 1024)
        #expect(try (object(written)["query_keys"] as? [String])?.count == AccessLogEntry.queryKeysMax)
    }

    @Test("has no way in for a secret")
    func secrets() {
        #expect(!(Secret("token") as Any is LogText))
        var entry = emptyEntry()
        entry.userAgent = .text("\(Secret("s3cr3t"))")
        #expect(line(entry).contains("«secret»") && !line(entry).contains("s3cr3t"))
    }
}
