import GatewayConfiguration
import Testing

@Suite("The operators' socket of a file with faults")
struct AdminSocketReadingTests {
    @Test("is read whatever else is wrong", arguments: [
        ("admin: { socket: /run/other.sock }", "/run/other.sock"),
        ("admin: { socket: admin.sock }", "/etc/gateway/admin.sock"),
        ("admin: { socket: /run/other.sock, sokcet: x }\nlisteners: nonsense\ninvented: true", "/run/other.sock"),
        ("admin: {}", "/run/metaflow-gateway/admin.sock"),
        ("listeners: []", "/run/metaflow-gateway/admin.sock"),
    ])
    func isRead(text: String, socket: String) {
        #expect(Configuration.adminSocket(in: "/etc/gateway/gateway.yaml", surroundings: .memory(["/etc/gateway/gateway.yaml": text])) == socket)
    }

    @Test("is not guessed where the file does not tell", arguments: ["", "a: [", "[]", "admin: { socket: [a, b] }", "admin: { socket: \"\" }"])
    func isNotGuessed(text: String) {
        #expect(Configuration.adminSocket(in: "/g.yaml", surroundings: .memory(["/g.yaml": text])) == nil)
    }

    @Test("is not there where the file is not")
    func isNotThere() {
        #expect(Configuration.adminSocket(in: "/g.yaml", surroundings: .memory([String: String]())) == nil)
    }
}
