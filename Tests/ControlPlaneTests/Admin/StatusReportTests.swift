import Authentication
import GatewayTerms
import Proxy
import Testing

@testable import ControlPlane

@Suite("The status screen")
struct StatusReportTests {
    static let now = WallTime(seconds: 1_800_000_000)

    static func reading(_ change: (inout GatewayReading) -> Void = { _ in }) -> GatewayReading {
        var worker = WorkerReading()
        worker.loops = 2
        worker.counters.requests = 1000
        worker.counters.ended = 997
        worker.counters.downstreamConnections = 12
        var duration = DurationHistogram()
        for _ in 0..<99 { duration.record(800_000) }
        duration.record(200_000_000)
        var reading = GatewayReading(
            at: now, uptime: .seconds(3 * 86_400 + 4 * 3600), processID: 42, worker: worker,
            window: TrafficHistory.Window(seconds: 60, requests: 100, errors: 0, duration: duration),
            reloads: ReloadRecord.Reading(version: "0123456789ab", acceptedAt: now.advanced(by: -600)),
            upstreams: [.init(stage: "alpha", name: "metadata", endpoints: [
                .init(name: "a:8080", active: 1, idle: 2, pending: 0, isUnhealthy: false, isEjected: false),
                .init(name: "b:8080", active: 0, idle: 0, pending: 0, isUnhealthy: false, isEjected: false),
            ])],
            keySets: [.init(issuer: "https://issuer", keyIDs: ["k1", "k2"], age: .seconds(40), isFromFile: false, failures: 0, lastFailure: nil, fetchesSucceeded: 1, fetchesFailed: 0)],
            logins: LoginProvider.Counts(), endedLogins: 0, revocationEntries: 0,
            certificates: [CertificateStanding(
                listeners: ["[::]:8443"], chain: "c.pem", names: ["alpha.example.com"], notBefore: now, notAfter: now.advanced(by: 61 * 86_400), fingerprint: "ff", keyKind: "rsa")],
            obstacle: nil, isDraining: false, configurationPath: "gateway.yaml", logLevel: "info", listeners: ["[::]:8443"])
        change(&reading)
        return reading
    }

    @Test("A gateway that is well says so first, and everything that proves it")
    func well() {
        let screen = StatusReport(reading: Self.reading()).screen
        #expect(screen.hasPrefix("well\n"))
        for part in [
            "up 3 d 4 h", "ready", "gateway.yaml", "accepted 10 min ago", "1.7 requests/s", "p50 0.5 ms", "p99 1.0 ms", "5xx 0.00 %", "12 open", "3 under way",
            "alpha/metadata   2 of 2 up   1 busy, 2 idle", "2 keys   confirmed 40 s ago   https://issuer", "alpha.example.com   61 days left",
        ] { #expect(screen.contains(part), "\(part) is missing in\n\(screen)") }
    }

    struct Trouble: CustomTestStringConvertible {
        let testDescription: String
        let change: @Sendable (inout GatewayReading) -> Void

        init(_ description: String, _ change: @escaping @Sendable (inout GatewayReading) -> Void) { (testDescription, self.change) = (description, change) }
    }

    static let troubles = [
        Trouble("draining") { $0.isDraining = true },
        Trouble("not ready: no key set yet of https://issuer") { $0.obstacle = "no key set yet of https://issuer" },
        Trouble("the last reload was refused") { $0.reloads.recent = [ReloadRecord.Entry(at: now, cause: .files, version: nil, duration: .zero, diagnostics: [], changes: [])] },
        Trouble("alpha/metadata: b:8080 is down") { $0.upstreams[0].endpoints[1].isUnhealthy = true },
        Trouble("alpha/metadata has no endpoint that is up") { for index in 0..<2 { $0.upstreams[0].endpoints[index].isEjected = true } },
        Trouble("no key set of https://issuer") { $0.keySets[0].keyIDs = [] },
        Trouble("https://issuer has not answered 3 times in a row") { $0.keySets[0].failures = 3 },
        Trouble("the certificate of alpha.example.com expires in 7 days") { $0.certificates[0].notAfter = now.advanced(by: 7 * 86_400) },
        Trouble("the certificate of alpha.example.com has expired") { $0.certificates[0].notAfter = now.advanced(by: -1) },
        Trouble("the revocation file is refused, its last good version stays in force") { $0.revocationFile.fault = "revoked.json entries[3]: `until` is missing" },
        Trouble("50 % of the answers are 5xx") { $0.window?.errors = 50 },
        Trouble("4 access log lines were lost in the last minute") { $0.window?.logLinesDropped = 4 },
    ]

    @Test("What is wrong stands in the first line", arguments: troubles)
    func trouble(_ trouble: Trouble) {
        let report = StatusReport(reading: Self.reading { trouble.change(&$0) })
        #expect(report.screen.hasPrefix("NOT WELL: \(trouble.testDescription)\n"), "\(report.screen)")
        #expect(report.json.hasPrefix("{\"well\":false,\"troubles\":[\"\(trouble.testDescription)\"]"))
    }

    @Test("The object is JSON", arguments: [true, false])
    func json(isDraining: Bool) throws {
        let text = Array(StatusReport(reading: Self.reading { $0.isDraining = isDraining }).json.utf8)
        let value = try StrictJSON.read(text.span, limits: StrictJSON.Limits(bytesMax: 1 << 20, depthMax: 16, valuesMax: 1000))
        #expect(value.object?["pid"] == .integer(42))
        #expect(value.object?["traffic"]?.object?["p99_seconds"] == .number(0.001))
    }

    @Test("Spans are said in the unit that people would use", arguments: [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7199, "119 min"), (7200, "2 h 0 min"), (172_800, "2 d 0 h"), (-5, "0 s")] as [(Int64, String)])
    func span(seconds: Int64, text: String) { #expect(StatusReport.span(seconds) == text) }

    @Test("Numbers are rounded to their digits", arguments: [(1.25, 1, "1.3"), (0.0049, 2, "0.00"), (-1.5, 0, "-2"), (12, 2, "12.00"), (.infinity, 1, "-")] as [(Double, Int, String)])
    func decimal(number: Double, digits: Int, text: String) { #expect(StatusReport.decimal(number, digits) == text) }
}
