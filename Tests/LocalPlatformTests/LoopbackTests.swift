import ArgumentParser
import Foundation
import FoundationNetworking
import GatewayTerms
import Testing

@testable import metaflow_local_platform

@Suite("The whole platform on loopback", .serialized)
struct LoopbackTests {
    /// Runs a platform on ports of the system's choosing while `body` asks it.
    private func serving(_ directory: String, _ ports: PlatformPorts = PlatformPorts(), _ body: (PlatformPorts) async throws -> Void) async throws {
        let (ready, report) = AsyncStream.makeStream(of: PlatformPorts.self)
        var options = Platform.Options()
        options.ports = ports
        let platform = try Platform(options: options, stateDirectory: directory, clock: WallTime.now)
        let running = Task {
            defer { report.finish() }
            try await platform.run { report.yield($0) }
        }
        var chosen: PlatformPorts?
        for await ports in ready {
            chosen = ports
            break
        }
        let outcome: Result<Void, any Error>
        if let chosen {
            do { outcome = .success(try await body(chosen)) } catch { outcome = .failure(error) }
        } else {
            outcome = .success(())
        }
        running.cancel()
        let end = await running.result
        platform.close()
        try outcome.get()
        try end.get()
    }

    private func ask(_ method: String, _ port: Int, _ path: String, _ body: String? = nil, host: String? = nil) async throws -> (status: Int, body: String, fields: [String: String]) {
        var request = URLRequest(url: try #require(URL(string: "http://127.0.0.1:\(port)\(path)")), timeoutInterval: 30)
        request.httpMethod = method
        if let host { request.setValue(host, forHTTPHeaderField: "Host") }
        request.httpBody = body.map { Data($0.utf8) }
        let (data, response) = try await URLSession(configuration: .ephemeral).data(for: request)
        let answer = try #require(response as? HTTPURLResponse)
        let fields = answer.allHeaderFields.reduce(into: [String: String]()) { $0["\($1.key)".lowercased()] = "\($1.value)" }
        return (answer.statusCode, String(decoding: data, as: UTF8.self), fields)
    }

    @Test("All three services answer; a restart with the same state keeps runs and tokens", .timeLimit(.minutes(2))) func restart() async throws {
        let directory = Scene.temporaryDirectory()
        defer { try? FileManager.default.removeItem(atPath: directory) }
        var token = "", keySet = "", ports = PlatformPorts()
        try await serving(directory) { chosen in
            ports = chosen
            #expect(StateDirectory.identityPort(in: directory) == chosen.identity)
            #expect(try await ask("GET", chosen.metadata, "/ping").body == "pong")
            #expect(try await ask("POST", chosen.metadata, "/flows/DemoFlow", RecordedBodies.flow).status == 200)
            #expect(try await ask("POST", chosen.metadata, "/flows/DemoFlow/run", RecordedBodies.run).status == 200)
            #expect(try await ask("GET", chosen.browser, "/").body.contains("DemoFlow/1"))
            let answer = try await ask("POST", chosen.identity, "/development/token", "{}")
            token = try #require(try JSON(parsing: Array(answer.body.utf8))["token"]?.stringValue)
            #expect(try await ask("POST", chosen.identity, "/development/token", "{}", host: "evil.example").status == 403)
            keySet = try await ask("GET", chosen.identity, "/us-west-2_LocalStage/.well-known/jwks.json").body
        }
        #expect(StateDirectory.identityPort(in: directory) == nil)
        try await serving(directory, PlatformPorts(identity: ports.identity, metadata: 0, browser: 0)) { (chosen: PlatformPorts) async throws -> Void in
            #expect(try await ask("GET", chosen.metadata, "/flows/DemoFlow/runs/1").status == 200)
            #expect(try await ask("GET", chosen.identity, "/us-west-2_LocalStage/.well-known/jwks.json").body == keySet)
            #expect(try Scene.parts(of: token).claims["iss"]?.stringValue == "http://127.0.0.1:\(chosen.identity)/us-west-2_LocalStage")
        }
    }

    @Test("A body of several megabytes is taken, one over the limit is 413, and HEAD has no body", .timeLimit(.minutes(2))) func bodies() async throws {
        let directory = Scene.temporaryDirectory()
        defer { try? FileManager.default.removeItem(atPath: directory) }
        try await serving(directory) { (ports: PlatformPorts) async throws -> Void in
            let large = #"{"user_name": "ada", "tags": ["\#(String(repeating: "x", count: 5_000_000))"]}"#
            #expect(try await ask("POST", ports.metadata, "/flows/Large", large).status == 200)
            #expect(try await ask("GET", ports.metadata, "/flows/Large").body.utf8.count > 5_000_000)
            #expect(try await ask("POST", ports.identity, "/development/token", String(repeating: " ", count: 300_000)).status == 413)
            let head = try await ask("HEAD", ports.browser, "/ping")
            #expect(head.status == 200 && head.body.isEmpty)
            #expect(Int(head.fields["content-length"] ?? "") ?? 0 > 0)
            #expect(try await ask("GET", ports.metadata, "/flows/a%2Fb").status == 404)
        }
    }

    @Test("The token command finds the running platform by its port or its state, and says so when there is none", .timeLimit(.minutes(2)))
    func tokenCommand() async throws {
        let directory = Scene.temporaryDirectory()
        defer { try? FileManager.default.removeItem(atPath: directory) }
        func token(_ arguments: String...) async throws -> String { try await TokenCommand.parse(arguments).token() }
        var freed = 0
        try await serving(directory) { (ports: PlatformPorts) async throws -> Void in
            freed = ports.identity
            let byState = try await token("--state", directory, "--stage", "second", "--client", "foreign", "--user", "guest", "--groups", "a,b", "--expires-in", "-5")
            let claims = try Scene.parts(of: byState).claims
            #expect(claims["client_id"] == "second-foreign-client" && claims["username"] == "guest" && claims["cognito:groups"] == ["a", "b"])
            #expect(try #require(claims["exp"]?.integerValue) < WallTime.now().seconds)
            let byPort = try await token("--identity-port", String(ports.identity), "--token-use", "id")
            #expect(try Scene.parts(of: byPort).claims["aud"] == "local-command-line-client")
            await #expect(throws: PlatformError.refused(reason: "There is no stage nope; there are: local, second.")) {
                try await token("--state", directory, "--stage", "nope")
            }
        }
        await #expect(throws: PlatformError.nothingRunning(port: freed)) { try await token("--identity-port", String(freed)) }
        await #expect(throws: PlatformError.nothingRunningHere(directory: directory)) { try await token("--state", directory) }
    }

    @Test("A command line out of range is refused before anything is opened", arguments: [
        ["--identity-port", "65536"], ["--metadata-port", "-1"], ["--access-token-seconds", "0"], ["--refresh-grace-seconds", "61"], ["--slow-token-ms", "600001"],
        ["--identity-port", "x"], ["--nonsense"],
    ])
    func refusesArguments(arguments: [String]) { #expect(throws: (any Error).self) { try ServeCommand.parse(arguments) } }

    @Test("A port that is taken ends the start with the service, the port and the remedy", .timeLimit(.minutes(2))) func takenPort() async throws {
        let (first, second) = (Scene.temporaryDirectory(), Scene.temporaryDirectory())
        defer { for directory in [first, second] { try? FileManager.default.removeItem(atPath: directory) } }
        try await serving(first) { ports in
            let taken = PlatformPorts(identity: 0, metadata: ports.metadata, browser: 0)
            await #expect(throws: PlatformError.portTaken(service: "metadata", host: "127.0.0.1", port: ports.metadata)) {
                try await serving(second, taken) { _ in }
            }
        }
    }
}
