import ControlPlane
import Synchronization
import TestSupport
import Testing

/// Waits for one fetch.
private func fetch(_ client: IdentityProviderClient, _ request: FetchRequest) async -> Result<FetchResponse, FetchError> {
    await withCheckedContinuation { continuation in
        client.send(request) { continuation.resume(returning: $0) }
    }
}

private func client() throws -> IdentityProviderClient { try IdentityProviderClient(userAgent: "metaflow-gateway/test") }

@Suite("The identity provider client", .timeLimit(.minutes(2)))
struct FetchingClientTests {
    @Test("fetches with GET and gives status, body, type and age")
    func get() async throws {
        let server = try ScriptedServer { _ in [ScriptedServer.answer(fields: ["Content-Type: application/json; charset=utf-8", "Cache-Control: public, max-age=300"], "{}")] }
        let client = try client()
        let result = await fetch(client, FetchRequest(url: "\(server.url)/keys?x=1", fields: [(name: "Accept", value: "application/json"), (name: "X-Empty", value: "")]))
        #expect(result == .success(FetchResponse(status: 200, body: Array("{}".utf8), cacheControlMaxAge: 300, contentType: "application/json; charset=utf-8")))
        let request = try #require(server.requests.first)
        #expect((request.method, request.target) == ("GET", "/keys?x=1"))
        #expect(request.fields.contains("User-Agent: metaflow-gateway/test") && request.fields.contains("Accept: application/json") && request.fields.contains("X-Empty:"))
        client.shutdown()
        server.stop()
    }

    @Test("sends a POST's body as it is, an empty one too", arguments: ["grant_type=refresh_token&refresh_token=abc", ""])
    func post(body: String) async throws {
        let server = try ScriptedServer { _ in [ScriptedServer.answer("400 Bad Request", #"{"error":"invalid_grant"}"#)] }
        let client = try client()
        let result = await fetch(client, FetchRequest(url: "\(server.url)/token", method: .post(Array(body.utf8))))
        #expect(try result.get().status == 400)
        let request = try #require(server.requests.first)
        #expect((request.method, request.body) == ("POST", body))
        #expect(request.fields.contains("Content-Type: application/x-www-form-urlencoded"))
        client.shutdown()
        server.stop()
    }

    @Test("uses a connection again for GET, and a fresh one for each POST")
    func reuse() async throws {
        let server = try ScriptedServer { _ in [ScriptedServer.answer("ok")] }
        let client = try client()
        for _ in 0..<5 { #expect(try await fetch(client, FetchRequest(url: server.url)).get().status == 200) }
        #expect(server.connectionsAccepted == 1)
        for _ in 0..<3 { #expect(try await fetch(client, FetchRequest(url: server.url, method: .post([]))).get().status == 200) }
        #expect(server.connectionsAccepted == 4)
        client.shutdown()
        server.stop()
    }

    @Test("never sends a POST twice when the server closes instead of answering")
    func postOnce() async throws {
        let server = try ScriptedServer { request in request.method == "GET" ? [ScriptedServer.answer("ok")] : [.close] }
        let client = try client()
        #expect(try await fetch(client, FetchRequest(url: server.url)).get().status == 200)
        let result = await fetch(client, FetchRequest(url: server.url, method: .post(Array("code=1".utf8))))
        guard case .failure(.interrupted) = result else { Issue.record("\(result)"); return }
        #expect(server.requests.filter { $0.method == "POST" }.count == 1)
        client.shutdown()
        server.stop()
    }

    @Test("says what went wrong", arguments: [
        ("hold", "127.0.0.1 did not answer within 200 ms."),
        ("slow body", "127.0.0.1 did not answer within 200 ms."),
        ("huge by length", "The answer of 127.0.0.1 is longer than 1000 bytes."),
        ("huge by chunks", "The answer of 127.0.0.1 is longer than 1000 bytes."),
        ("huge head", "The answer of 127.0.0.1 is longer than 65536 bytes."),
        ("redirect", "127.0.0.1 answers with a redirect to https://elsewhere.example/path, which is not followed. Configure that address if it is right."),
    ])
    func failures(manner: String, sentence: String) async throws {
        let result = await failure(manner)
        #expect(result?.description == sentence)
    }

    @Test("tells a broken connection from what is no HTTP", arguments: ["reset", "close", "cut body", "garbage"])
    func broken(manner: String) async throws {
        switch await failure(manner) {
        case .interrupted(host: "127.0.0.1", _)?: #expect(manner != "garbage")
        case .malformed(host: "127.0.0.1", _)?: #expect(manner == "garbage")
        case let other: Issue.record("\(String(describing: other))")
        }
    }

    private func failure(_ manner: String) async -> FetchError? {
        guard let server = try? ScriptedServer(script: { _ in
            switch manner {
            case "hold": [.hold]
            case "slow body": [.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"), .hold]
            case "huge by length": [.send("HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n"), .flood(1001)]
            case "huge by chunks": [.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n800\r\n"), .flood(2048), .send("\r\n0\r\n\r\n")]
            case "huge head": [.send("HTTP/1.1 200 OK\r\n" + (0..<20).map { "X-\($0): \(String(repeating: "y", count: 8000))\r\n" }.joined() + "\r\n")]
            case "redirect": [.send("HTTP/1.1 302 Found\r\nLocation: https://user:pw@elsewhere.example/path?code=secret#x\r\nContent-Length: 0\r\n\r\n")]
            case "reset": [.reset]
            case "cut body": [.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"), .close]
            case "garbage": [.send("SSH-2.0-OpenSSH_9.2\r\n"), .close]
            default: [.close]
            }
        }), let client = try? client() else { return nil }
        let request = FetchRequest(
            url: "\(server.url)/x?client_secret=secret", timeout: manner == "hold" || manner == "slow body" ? .milliseconds(200) : .seconds(10), bodyBytesMax: 1000
        )
        let result = await fetch(client, request)
        client.shutdown()
        server.stop()
        guard case .failure(let error) = result else { return nil }
        return error
    }

    @Test("gives a 304 or any other status to its caller", arguments: ["304 Not Modified", "404 Not Found", "429 Too Many Requests", "500 Internal Server Error"])
    func statuses(status: String) async throws {
        let server = try ScriptedServer { _ in [.send("HTTP/1.1 \(status)\r\nContent-Length: 0\r\n\r\n")] }
        let client = try client()
        #expect(try await fetch(client, FetchRequest(url: server.url)).get().status == Int(status.prefix(3)))
        client.shutdown()
        server.stop()
    }

    @Test("names a port where nobody listens")
    func refused() async throws {
        let server = try ScriptedServer { _ in [] }
        let port = server.port
        server.stop()
        let client = try client()
        var result = await fetch(client, FetchRequest(url: "http://127.0.0.1:\(port)/"))
        for _ in 0..<100 {
            if case .failure(.unreachable) = result { break }
            result = await fetch(client, FetchRequest(url: "http://127.0.0.1:\(port)/"))
        }
        #expect(result == .failure(.unreachable(host: "127.0.0.1", reason: "Connection refused")))
        client.shutdown()
    }

    @Test("names a host that does not resolve")
    func unresolved() async throws {
        let client = try client()
        #expect(await fetch(client, FetchRequest(url: "https://no-such-host.invalid/keys", timeout: .seconds(20), connectTimeout: .seconds(20))) == .failure(.unresolved(host: "no-such-host.invalid")))
        client.shutdown()
    }

    @Test("does not trust a server that speaks no TLS")
    func noTLS() async throws {
        let server = try ScriptedServer { _ in [] }
        let client = try client()
        let plain = try ScriptedServer { _ in [ScriptedServer.answer("ok")] }
        let result = await fetch(client, FetchRequest(url: "https://127.0.0.1:\(plain.port)/", timeout: .seconds(1)))
        switch result {
        case .failure(.tls), .failure(.timedOut): break
        default: Issue.record("\(result)")
        }
        client.shutdown()
        server.stop()
        plain.stop()
    }

    @Test("refuses an authority file that is not there")
    func missingAuthorities() async throws {
        let client = try client()
        let server = try ScriptedServer { _ in [] }
        let result = await fetch(client, FetchRequest(url: "https://127.0.0.1:\(server.port)/", timeout: .seconds(2), caFile: "/nonexistent/ca.pem"))
        guard case .failure(.tls(host: "127.0.0.1", _)) = result else { Issue.record("\(result)"); return }
        client.shutdown()
        server.stop()
    }

    @Test("refuses an address that is not https, or http to loopback, before anything is sent", arguments: [
        "", "keys", "/keys", "ftp://127.0.0.1/", "file:///etc/passwd", "http://example.com/", "http://127.0.0.1.example.com/", "http://10.0.0.1/",
        "http://user@127.0.0.1/", "https://user:pw@example.com/", "https://example.com/#x", "https:///keys", "https://exa mple.com/", "https://example.com/\r\nX: y",
        "https://example.com/\u{e9}", "gopher://127.0.0.1/", "http://localhost.example/", "http://[2001:db8::1]/", "http://0.0.0.0/",
        "https://example.com/" + String(repeating: "a", count: 9000),
    ])
    func addresses(url: String) async throws {
        let client = try client()
        let result = await fetch(client, FetchRequest(url: url, timeout: .seconds(1)))
        guard case .failure(.invalidURL) = result else { Issue.record("\(url): \(result)"); return }
        client.shutdown()
    }

    @Test("takes plain http to each spelling of loopback", arguments: ["127.0.0.1", "localhost", "LOCALHOST", "127.1"])
    func loopback(host: String) async throws {
        let server = try ScriptedServer { _ in [ScriptedServer.answer("ok")] }
        let client = try client()
        #expect(try await fetch(client, FetchRequest(url: "http://\(host):\(server.port)/")).get().status == 200)
        client.shutdown()
        server.stop()
    }

    @Test("refuses a field that would be two on the wire", arguments: [
        ("", "x"), ("A B", "x"), ("A:", "x"), ("A", "x\r\nB: y"), ("A", "x\ny"), ("A", "x\u{0}"), ("A\r\n", "x"), ("A", "\u{e9}"),
    ])
    func fields(name: String, value: String) async throws {
        let client = try client()
        let result = await fetch(client, FetchRequest(url: "http://127.0.0.1:1/", fields: [(name: name, value: value)]))
        guard case .failure(.invalidField) = result else { Issue.record("\(result)"); return }
        client.shutdown()
    }

    @Test("prints neither query, fields, body nor answer")
    func printing() throws {
        let request = FetchRequest(
            url: "https://user:s3cr3t@example.com/token?code=s3cr3t#s3cr3t", method: .post(Array("s3cr3t".utf8)), fields: [(name: "Authorization", value: "s3cr3t")]
        )
        let response = FetchResponse(status: 200, body: Array("s3cr3t".utf8))
        var dumped = ""
        dump(request, to: &dumped)
        dump(response, to: &dumped)
        #expect("\(request)" == "POST https://example.com/token")
        #expect("\(response)" == "200 with 6 bytes")
        #expect(!dumped.contains("s3cr3t") && !"\(String(reflecting: request))\(String(reflecting: response))".contains("115, 51"))
    }

    @Test("ends a cancelled fetch at once, running or waiting, and calls back once")
    func cancel() async throws {
        let server = try ScriptedServer { _ in [.hold] }
        let client = try client()
        let results = Mutex<[Result<FetchResponse, FetchError>]>([])
        let fetches = (0..<IdentityProviderClient.runningMax + 10).map { _ in
            client.send(FetchRequest(url: server.url, timeout: .seconds(60))) { result in results.withLock { $0.append(result) } }
        }
        #expect(await eventually { server.requests.count == IdentityProviderClient.runningMax })
        for fetch in fetches.reversed() { client.cancel(fetch) }
        for fetch in fetches { client.cancel(fetch) }
        #expect(await eventually { results.withLock { $0.count } == fetches.count })
        #expect(results.withLock { $0.allSatisfy { $0 == .failure(.cancelled) } })
        client.shutdown()
        server.stop()
    }

    @Test("runs so many at once, lets more wait, and refuses the rest at once")
    func limits() async throws {
        let gate = ScriptedServer.Gate()
        let server = try ScriptedServer { _ in [.await(gate), ScriptedServer.answer("ok")] }
        let client = try client()
        let (running, waiting) = (IdentityProviderClient.runningMax, IdentityProviderClient.waitingMax)
        let results = Mutex<[Result<FetchResponse, FetchError>]>([])
        for _ in 0..<running + waiting { client.send(FetchRequest(url: server.url, timeout: .seconds(60))) { result in results.withLock { $0.append(result) } } }
        let refusal = Mutex<FetchError?>(nil)
        client.send(FetchRequest(url: server.url)) { result in
            if case .failure(let error) = result { refusal.withLock { $0 = error } }
        }
        #expect(refusal.withLock { $0 } == .overloaded(limit: running + waiting))
        #expect(await eventually { server.requests.count == running })
        #expect(server.connectionsAccepted == running)
        gate.open()
        #expect(await eventually(within: .seconds(60)) { results.withLock { $0.count } == running + waiting })
        #expect(results.withLock { $0.allSatisfy { (try? $0.get().status) == 200 } })
        client.shutdown()
        server.stop()
    }

    @Test("counts the time in the queue as part of the timeout")
    func queueTimeout() async throws {
        let server = try ScriptedServer { _ in [.hold] }
        let client = try client()
        for _ in 0..<IdentityProviderClient.runningMax { client.send(FetchRequest(url: server.url, timeout: .seconds(60))) { _ in } }
        let result = await fetch(client, FetchRequest(url: server.url, timeout: .milliseconds(100)))
        guard case .failure(.timedOut) = result else { Issue.record("\(result)"); return }
        client.shutdown()
        server.stop()
    }

    @Test("completes what runs with cancelled when it is shut down, refuses later fetches, and can be shut down again")
    func shutdown() async throws {
        let server = try ScriptedServer { _ in [.hold] }
        let client = try client()
        let results = Mutex<[Result<FetchResponse, FetchError>]>([])
        let count = IdentityProviderClient.runningMax + 5
        for _ in 0..<count { client.send(FetchRequest(url: server.url, timeout: .seconds(60))) { result in results.withLock { $0.append(result) } } }
        client.after(.seconds(3600)) { Issue.record("a timer of a client that is gone") }
        client.shutdown()
        #expect(results.withLock { $0 } == Array(repeating: .failure(.cancelled), count: count))
        client.shutdown()
        #expect(await fetch(client, FetchRequest(url: server.url)) == .failure(.cancelled))
        server.stop()
    }

    @Test("may be let go or shut down by one of its own completions")
    func shutdownFromCompletion() async throws {
        let server = try ScriptedServer { _ in [ScriptedServer.answer("ok")] }
        let client = try client()
        await withCheckedContinuation { continuation in
            client.send(FetchRequest(url: server.url)) { _ in
                client.shutdown()
                continuation.resume()
            }
        }
        #expect(await fetch(client, FetchRequest(url: server.url)) == .failure(.cancelled))
        server.stop()
    }

    @Test("calls timers in the order of their time, on its own thread")
    func timers() async throws {
        let client = try client()
        let order = Mutex<[Int]>([])
        client.after(.milliseconds(60)) { order.withLock { $0.append(3) } }
        client.after(.milliseconds(30)) { order.withLock { $0.append(2) } }
        client.after(.zero) { order.withLock { $0.append(1) } }
        #expect(await eventually { order.withLock { $0 } == [1, 2, 3] })
        client.shutdown()
    }

    @Test("reads the age of an answer as RFC 9111 does", arguments: [
        (["max-age=60"], 60), (["public, max-age=60, must-revalidate"], 60), (["MAX-AGE=\"60\""], 60), (["max-age=60", "max-age=30"], 30),
        (["no-store, max-age=60"], 0), (["no-cache"], 0), (["max-age = 7"], 7), (["max-age=99999999999999999999"], 1 << 31),
        (["max-age=-1"], nil), (["max-age"], nil), (["max-age=x"], nil), (["s-maxage=60"], nil), ([], nil),
    ] as [([String], Int64?)])
    func ages(values: [String], age: Int64?) async throws {
        let server = try ScriptedServer { _ in [ScriptedServer.answer(fields: values.map { "Cache-Control: \($0)" }, "ok")] }
        let client = try client()
        #expect(try await fetch(client, FetchRequest(url: server.url)).get().cacheControlMaxAge == age)
        client.shutdown()
        server.stop()
    }
}
