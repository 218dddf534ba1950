import Foundation
import GatewayTerms
import TLS
import Testing

/// Certificates made by the openssl program, once for all tests here.
private struct Made {
    let folder: URL

    static let shared = Result { try Made() }

    private init() throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("tls-tests-\(ProcessInfo.processInfo.processIdentifier)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        try make("leaf", ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"], names: "DNS:alpha.example,DNS:*.beta.example,IP:192.0.2.1")
        try make("other", ["-newkey", "rsa:2048"], names: "DNS:other.example")
        try make("weak", ["-newkey", "rsa:1024"], names: "DNS:weak.example")
        try run(["ec", "-in", path("leaf.key"), "-aes128", "-passout", "pass:secret", "-out", path("locked.key")])
    }

    func path(_ name: String) -> String { folder.appendingPathComponent(name).path }
    func bytes(_ name: String) throws -> [UInt8] { Array(try Data(contentsOf: folder.appendingPathComponent(name))) }

    private func make(_ name: String, _ key: [String], names: String) throws {
        try run(["req", "-x509", "-nodes", "-days", "30", "-subj", "/CN=\(name)", "-addext", "subjectAltName=\(names)",
                 "-keyout", path("\(name).key"), "-out", path("\(name).crt")] + key)
    }

    private func run(_ arguments: [String]) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
        process.arguments = arguments
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw CocoaError(.executableLoad) }
    }
}

@Suite("Certificate")
struct CertificateTests {
    private func certificate(_ chain: String, _ key: String) throws -> Certificate {
        let made = try Made.shared.get()
        return try Certificate(chain: made.bytes(chain), key: Secret(made.bytes(key)), chainFile: "chain.pem", keyFile: "key.pem")
    }

    @Test("A pair is read with its names, dates and fingerprint")
    func reads() throws {
        let certificate = try certificate("leaf.crt", "leaf.key")
        #expect(certificate.names == ["alpha.example", "*.beta.example"])
        #expect(certificate.isECDSA)
        #expect(certificate.fingerprint.count == 64)
        #expect(certificate.notAfter.seconds - certificate.notBefore.seconds == 30 * 86_400)
    }

    @Test("It covers the hosts that a client would accept it for", arguments: [
        ("alpha.example", true), ("ALPHA.example", true), ("x.beta.example", true), ("beta.example", false), ("a.x.beta.example", false),
        ("gamma.example", false), ("leaf", false), ("192.0.2.1", true), ("192.0.2.2", false),
    ])
    func covers(host: String, expected: Bool) throws {
        let certificate = try certificate("leaf.crt", "leaf.key")
        #expect(certificate.covers(try #require(Hostname(host))) == expected)
    }

    @Test("A key of another certificate is refused, and the message names both files")
    func wrongKey() throws {
        let error = #expect(throws: TLSError.self) { try certificate("leaf.crt", "other.key") }
        #expect(error == .certificate(file: "key.pem", reason: "is not the private key of the certificate in chain.pem"))
    }

    @Test("A chain whose members did not issue each other is refused")
    func wrongChain() throws {
        let made = try Made.shared.get()
        let chain = try made.bytes("leaf.crt") + made.bytes("other.crt")
        #expect(throws: TLSError.self) { try Certificate(chain: chain, key: Secret(made.bytes("leaf.key")), chainFile: "c", keyFile: "k") }
    }

    @Test("A weak key, a locked key, and files that hold nothing are refused", arguments: [
        ("weak.crt", "weak.key"), ("leaf.crt", "locked.key"), ("leaf.key", "leaf.key"), ("leaf.crt", "leaf.crt"),
    ])
    func refuses(chain: String, key: String) {
        #expect(throws: TLSError.self) { try certificate(chain, key) }
    }

    @Test("A handshake in memory completes, carries bytes both ways, and ends with close_notify")
    func handshake() throws {
        let made = try Made.shared.get()
        let context = try TLSContext(certificates: [certificate("leaf.crt", "leaf.key")], minimumVersion: .tls12)
        var server = try TLSConnection(context)
        var client = try TLSConnection(TLSClientContext(authorities: made.path("leaf.crt")), serverName: #require(Hostname("alpha.example")))
        var isServerDone = false, isClientDone = false
        for _ in 0..<10 where !(isServerDone && isClientDone) {
            isClientDone = try client.handshake() == .complete
            isServerDone = try feed(client.takeOutput(), to: &server) { connection throws(TLSError) in try advance(&connection) }
            isClientDone = try feed(server.takeOutput(), to: &client) { connection throws(TLSError) in try advance(&connection) } || isClientDone
        }
        #expect(isServerDone && isClientDone)
        #expect(server.serverName?.text == "alpha.example")
        #expect(client.applicationProtocol == "http/1.1")
        #expect(server.version == "TLSv1.3")
        let sent = (0..<100_000).map { UInt8(truncatingIfNeeded: $0) }
        #expect(try transfer(sent, from: &client, to: &server) == sent)
        #expect(try transfer(sent, from: &server, to: &client) == sent)
        client.shutdown()
        let outcome = try feed(client.takeOutput(), to: &server) { connection throws(TLSError) in
            var room = [UInt8](repeating: 0, count: 16)
            return try read(&connection, &room)
        }
        #expect(outcome == .closed)
    }

    @Test("A client does not accept a certificate of another name")
    func wrongName() throws {
        let made = try Made.shared.get()
        let context = try TLSContext(certificates: [certificate("leaf.crt", "leaf.key")], minimumVersion: .tls12)
        var server = try TLSConnection(context)
        var client = try TLSConnection(TLSClientContext(authorities: made.path("leaf.crt")), serverName: #require(Hostname("gamma.example")))
        _ = try client.handshake()
        _ = try feed(client.takeOutput(), to: &server) { connection throws(TLSError) in try connection.handshake() }
        let flight = server.takeOutput()
        let error = #expect(throws: TLSError.self) { try feed(flight, to: &client) { connection throws(TLSError) in try connection.handshake() } }
        #expect(error?.description.contains("hostname mismatch") == true)
    }

    private func feed<Result>(_ bytes: [UInt8], to connection: inout TLSConnection, _ body: (inout TLSConnection) throws(TLSError) -> Result) throws -> Result {
        try bytes.withUnsafeBytes { buffer in
            connection.lend(buffer)
            defer { connection.reclaim() }
            return try body(&connection)
        }
    }

    /// What comes behind a handshake in the same bytes, a ticket say, is for `read`.
    private func advance(_ connection: inout TLSConnection) throws(TLSError) -> Bool {
        guard try connection.handshake() == .complete else { return false }
        var room = [UInt8](repeating: 0, count: 16)
        _ = try read(&connection, &room)
        return true
    }

    private func read(_ connection: inout TLSConnection, _ room: inout [UInt8]) throws(TLSError) -> TLSConnection.ReadOutcome {
        var outcome = Swift.Result<TLSConnection.ReadOutcome, TLSError>.success(.wantsInput)
        room.withUnsafeMutableBytes { buffer in
            do throws(TLSError) { outcome = .success(try connection.read(into: buffer)) } catch { outcome = .failure(error) }
        }
        return try outcome.get()
    }

    private func transfer(_ plaintext: [UInt8], from sender: inout TLSConnection, to receiver: inout TLSConnection) throws -> [UInt8] {
        var ciphertext = [UInt8](repeating: 0, count: TLSConnection.ciphertextCountMax(plaintext.count))
        let count = try ciphertext.withUnsafeMutableBytes { room in try plaintext.withUnsafeBytes { try sender.write($0, into: room) } }
        let wire = sender.takeOutput() + ciphertext.prefix(count)
        return try feed(wire, to: &receiver) { connection throws(TLSError) in
            var received: [UInt8] = []
            var room = [UInt8](repeating: 0, count: 20_000)
            while case .bytes(let count) = try read(&connection, &room) { received += room.prefix(count) }
            return received
        }
    }
}
