import GatewayTerms
import Testing

@testable import GatewayConfiguration

@Suite("A configuration as operators see it")
struct ConfigurationDumpTests {
    @Test("Names are written as the file writes them", arguments: [
        ("publicURL", "public_url"), ("accessLog", "access_log"), ("id", "id"), ("clientID", "client_id"), ("bodyBytesMax", "body_bytes_max"), ("caFile", "ca_file"),
    ])
    func names(name: String, written: String) { #expect(ConfigurationDump.snakeCase(name) == written) }
}
