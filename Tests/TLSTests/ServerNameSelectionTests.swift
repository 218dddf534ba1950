import GatewayTerms
import TLS
import Testing

@Suite("ServerNameSelection")
struct ServerNameSelectionTests {
    private let selection = ServerNameSelection([["default.example"], ["*.example.com", "example.com"], ["api.example.com"], ["*.example.com"]])

    @Test("An exact name wins over a wildcard, a wildcard covers one label, and the rest is left to the default", arguments: [
        ("api.example.com", 2), ("www.example.com", 1), ("example.com", 1), ("a.b.example.com", nil), ("default.example", 0), ("x.default.example", nil),
        ("com", nil), ("localhost", nil), ("WWW.EXAMPLE.COM", 1), ("www.example.com.", 1),
    ] as [(String, Int?)])
    func selects(name: String, expected: Int?) throws {
        let name = try #require(Hostname(name))
        #expect(selection.index(for: name) == expected)
    }
}
