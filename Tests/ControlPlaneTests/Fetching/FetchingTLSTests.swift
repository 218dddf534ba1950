import ControlPlane
import Foundation
import TestSupport
import Testing

/// `openssl s_server` with a certificate for localhost, made by a private authority.
private final class EncryptedServer {
    let folder: TemporaryFolder
    let port: Int
    private let process: Process

    /// - Parameter arguments: further ones for s_server.
    init(_ arguments: [String] = []) throws {
        folder = try TemporaryFolder()
        let script = """
            set -e; cd '\(folder.path)'
            openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=authority 2>/dev/null
            openssl req -newkey rsa:2048 -nodes -keyout leaf.key -out leaf.csr -subj /CN=localhost 2>/dev/null
            printf 'subjectAltName=DNS:localhost\\n' > names
            openssl x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -days 2 -extfile names -out leaf.pem 2>/dev/null
            """
        let maker = Process()
        maker.executableURL = URL(fileURLWithPath: "/bin/sh")
        maker.arguments = ["-c", script]
        try maker.run()
        maker.waitUntilExit()
        try #require(maker.terminationStatus == 0)
        // s_server tells the port that it was given when it is asked for any.
        let output = Pipe()
        process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
        process.arguments = ["s_server", "-accept", "127.0.0.1:0", "-cert", folder.file("leaf.pem"), "-key", folder.file("leaf.key"), "-www"] + arguments
        process.standardOutput = output
        process.standardError = output
        try process.run()
        var text = ""
        while !text.contains("ACCEPT 127.0.0.1:") || !text.hasSuffix("\n") {
            let piece = output.fileHandleForReading.availableData
            try #require(!piece.isEmpty, "s_server ended: \(text)")
            text += String(decoding: piece, as: UTF8.self)
        }
        let line = try #require(text.split(separator: "\n").first { $0.hasPrefix("ACCEPT 127.0.0.1:") })
        port = try #require(Int(line.dropFirst(17)))
    }

    deinit { process.terminate() }
}

private func fetch(_ request: FetchRequest) async throws -> Result<FetchResponse, FetchError> {
    let client = try IdentityProviderClient(userAgent: "metaflow-gateway/test")
    defer { client.shutdown() }
    return await withCheckedContinuation { continuation in
        client.send(request) { continuation.resume(returning: $0) }
    }
}

@Suite("The identity provider client over TLS", .timeLimit(.minutes(2)))
struct FetchingTLSTests {
    @Test("trusts exactly the authority that the request names, for exactly the host of the certificate, from TLS 1.2 on")
    func trust() async throws {
        let server = try EncryptedServer()
        let authorities = server.folder.file("ca.pem")
        #expect(try await fetch(FetchRequest(url: "https://localhost:\(server.port)/", caFile: authorities)).get().status == 200)
        for (url, file) in [("https://localhost:\(server.port)/", nil), ("https://127.0.0.1:\(server.port)/", authorities)] as [(String, String?)] {
            let result = try await fetch(FetchRequest(url: url, caFile: file))
            guard case .failure(.tls(_, let reason)) = result else { Issue.record("\(url): \(result)"); continue }
            #expect(reason.hasPrefix("SSL"))
        }
        let old = try EncryptedServer(["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"])
        let result = try await fetch(FetchRequest(url: "https://localhost:\(old.port)/", caFile: old.folder.file("ca.pem")))
        guard case .failure(.tls) = result else { Issue.record("\(result)"); return }
    }
}
