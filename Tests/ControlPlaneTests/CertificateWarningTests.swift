import GatewayTerms
import Testing

@testable import ControlPlane

@Suite("Warnings of certificates that expire")
struct CertificateWarningTests {
    private let now = WallTime(seconds: 1_800_000_000)

    private func certificate(_ fingerprint: String = "a", daysLeft: Int64) -> CertificateStanding {
        CertificateStanding(
            listeners: ["[::]:8443"], chain: "chain.pem", names: ["alpha.example.com"], notBefore: now.advanced(by: -86_400 * 60),
            notAfter: now.advanced(by: daysLeft * 86_400 + 3600), fingerprint: fingerprint, keyKind: "ecdsa")
    }

    @Test("One each at 30, 7 and 1 days and at the end, when it is checked once a day")
    func once() {
        var warnings = CertificateWarnings()
        let certificate = certificate(daysLeft: 40)
        warnings.follow([certificate], at: now)
        var days: [Int64] = []
        for day in 0..<60 { days += warnings.due([certificate], at: now.advanced(by: Int64(day) * 86_400)).map(\.daysLeft) }
        #expect(days == [30, 7, 1, -1])
    }

    @Test("What the configuration's own check has said when it came is not said again", arguments: [(20, [7, 1, -1]), (3, [1, -1]), (-5, [])] as [(Int64, [Int64])])
    func notTwice(daysLeft: Int64, expected: [Int64]) {
        var warnings = CertificateWarnings()
        let certificate = certificate(daysLeft: daysLeft)
        warnings.follow([certificate], at: now)
        var days: [Int64] = []
        for day in 0..<40 { days += warnings.due([certificate], at: now.advanced(by: Int64(day) * 86_400)).map(\.daysLeft) }
        #expect(days == expected)
    }

    @Test("A reload with the same certificate resets nothing, a renewed one begins anew")
    func reloads() {
        var warnings = CertificateWarnings()
        let old = certificate("old", daysLeft: 31)
        warnings.follow([old], at: now)
        let first = warnings.due([old], at: now.advanced(by: 2 * 86_400)).count
        warnings.follow([old], at: now.advanced(by: 2 * 86_400))
        let second = warnings.due([old], at: now.advanced(by: 3 * 86_400)).count
        let renewed = certificate("new", daysLeft: 90)
        warnings.follow([renewed], at: now.advanced(by: 4 * 86_400))
        let third = warnings.due([renewed], at: now.advanced(by: 61 * 86_400)).map(\.daysLeft)
        #expect(first == 1 && second == 0)
        #expect(third == [29])
    }

    @Test("Days left count down to none and below", arguments: [(86_400, 1), (86_399, 0), (0, 0), (-1, -1), (-86_400, -1), (-86_401, -2)] as [(Int64, Int64)])
    func daysLeft(seconds: Int64, days: Int64) {
        var certificate = certificate(daysLeft: 0)
        certificate.notAfter = now.advanced(by: seconds)
        #expect(certificate.daysLeft(at: now) == days)
    }
}
