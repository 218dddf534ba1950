import Authentication
import ControlPlane
import Foundation
import GatewayTerms
import Synchronization
import TestSupport
import Testing

private let issuer = "https://cognito-idp.us-west-2.amazonaws.com/us-west-2_Example1"

/// A key set document whose keys have these kids and moduli of 2048 bits; what signs with them is nobody's business here.
private func document(_ keyIDs: String...) -> String {
    let keys = keyIDs.map { keyID in
        var modulus = [UInt8](repeating: 0xa5, count: 256)
        for (index, byte) in keyID.utf8.enumerated() { modulus[1 + index] = byte }
        modulus[255] = 0x01
        let text = String(decoding: Base64URL.encode(modulus.span), as: UTF8.self)
        return #"{"kty":"RSA","use":"sig","alg":"RS256","kid":"\#(keyID)","n":"\#(text)","e":"AQAB"}"#
    }
    return #"{"keys":[\#(keys.joined(separator: ","))]}"#
}

/// Clocks that stand still until the test moves them, over a real client and real sockets.
private final class World: Sendable {
    private struct State {
        var elapsed = Duration.zero
        var timers: [(due: Duration, body: @Sendable () -> Void)] = []
        var events: [String] = []
        var keyIDs: [String]?
        var generation: UInt64 = 0
    }

    private let state = Mutex(State())
    private let start = ContinuousClock.now
    private let wallStart: WallTime
    let client: IdentityProviderClient

    init(wallStart: WallTime = WallTime(seconds: 1_795_000_000)) throws {
        self.wallStart = wallStart
        client = try IdentityProviderClient(userAgent: "metaflow-gateway/test")
    }

    deinit { client.shutdown() }

    var ports: KeySetPorts {
        KeySetPorts(
            now: { [self] in start.advanced(by: state.withLock(\.elapsed)) },
            wallNow: { [self] in WallTime(milliseconds: wallStart.milliseconds + Int64(state.withLock(\.elapsed) / .milliseconds(1))) },
            random: { 0.5 },
            after: { [self] delay, body in state.withLock { $0.timers.append(($0.elapsed + delay, body)) } },
            fetch: { [client] in client.send($0, completion: $1) }
        )
    }

    /// Moves the clocks and fires what is due, in order.
    func pass(_ duration: Duration) {
        let end = state.withLock { $0.elapsed + duration }
        while let body = state.withLock({ state -> (@Sendable () -> Void)? in
            guard let index = state.timers.indices.min(by: { state.timers[$0].due < state.timers[$1].due }), state.timers[index].due <= end else {
                state.elapsed = end
                return nil
            }
            let timer = state.timers.remove(at: index)
            state.elapsed = max(state.elapsed, timer.due)
            return timer.body
        }) { body() }
    }

    func observe(_ event: KeySetEvent) {
        state.withLock { state in
            switch event {
            case .published(let keySet, let age):
                state.events.append(age == .zero ? "published" : "published \(age.components.seconds) s old")
                state.keyIDs = keySet.keys.map(\.keyID)
                state.generation = keySet.generation
            case .confirmed: state.events.append("confirmed")
            case .withdrawn:
                state.events.append("withdrawn")
                state.keyIDs = nil
            case .failed(_, _, let failures, _, let warns): state.events.append(warns ? "failed \(failures), warned" : "failed \(failures)")
            case .storeFailed: state.events.append("store failed")
            }
        }
    }

    var events: [String] { state.withLock(\.events) }
    var keyIDs: [String]? { state.withLock(\.keyIDs) }
    var generation: UInt64 { state.withLock(\.generation) }

    func fetcher(_ location: KeySetSource.Location, store: KeySetStore? = nil, limits: KeySetFetcher.Limits = .init()) -> KeySetFetcher {
        KeySetFetcher(sources: [KeySetSource(issuer: issuer, location: location)], store: store, ports: ports, limits: limits) { [self] in observe($0) }
    }
}

/// What the provider answers, to be changed while it runs.
private final class Provider: Sendable {
    private let steps: Mutex<[ScriptedServer.Step]>

    init(_ steps: [ScriptedServer.Step]) { self.steps = Mutex(steps) }

    convenience init(document: String) { self.init([ScriptedServer.answer(document)]) }

    func answer(_ newSteps: [ScriptedServer.Step]) { steps.withLock { $0 = newSteps } }
    func answer(document: String) { answer([ScriptedServer.answer(document)]) }

    func server(port: UInt16 = 0) throws -> ScriptedServer { try ScriptedServer(port: port) { [self] _ in steps.withLock { $0 } } }
}

/// What callers of `refetch` were answered, in order.
private final class Outcomes: Sendable {
    private let states = Mutex<[RefetchState]>([])
    var all: [RefetchState] { states.withLock { $0 } }
    func add(_ state: RefetchState) { states.withLock { $0.append(state) } }
}

@Suite("The key set fetcher", .timeLimit(.minutes(2)))
struct FetchingKeySetTests {
    @Test("publishes the set at the start, and again only when its keys change")
    func rotation() async throws {
        let (world, provider) = (try World(), Provider(document: document("a", "b")))
        let server = try provider.server()
        let fetcher = world.fetcher(.keySet(url: server.url))
        fetcher.start()
        #expect(await eventually { world.keyIDs == ["a", "b"] })
        let generation = world.generation
        world.pass(.seconds(299))
        #expect(server.requests.count == 1)
        world.pass(.seconds(1))
        #expect(await eventually { world.events == ["published", "confirmed"] })
        #expect(world.generation == generation)
        provider.answer(document: document("b", "c"))
        world.pass(.seconds(300))
        #expect(await eventually { world.keyIDs == ["b", "c"] })
        #expect(world.generation > generation)
        #expect(fetcher.status().first?.keyIDs == ["b", "c"])
        #expect(server.requests.allSatisfy { $0.fields.contains("Accept: application/json") })
        fetcher.stop()
        server.stop()
    }

    @Test("refreshes as the provider's Cache-Control says, within 60 s and an hour", arguments: [
        ("max-age=120", 120), ("max-age=1", 60), ("no-store", 60), ("max-age=86400", 3600), ("", 300),
    ])
    func refreshes(cacheControl: String, seconds: Int) async throws {
        let world = try World()
        let server = try ScriptedServer { _ in [ScriptedServer.answer(fields: cacheControl.isEmpty ? [] : ["Cache-Control: \(cacheControl)"], document("a"))] }
        let fetcher = world.fetcher(.keySet(url: server.url))
        fetcher.start()
        #expect(await eventually { world.events.count == 1 })
        world.pass(.seconds(seconds - 1))
        #expect(server.requests.count == 1)
        world.pass(.seconds(1))
        #expect(await eventually { world.events == ["published", "confirmed"] })
        fetcher.stop()
        server.stop()
    }

    @Test("keeps the last good set whatever else the provider answers", arguments: [
        "500", "304", "302", "empty", "html", "no keys", "other keys", "huge", "reset", "garbage", "cut", "duplicate member",
    ])
    func badAnswers(kind: String) async throws {
        let (world, provider) = (try World(), Provider(document: document("a")))
        let server = try provider.server()
        let fetcher = world.fetcher(.keySet(url: server.url))
        fetcher.start()
        #expect(await eventually { world.keyIDs == ["a"] })
        let steps: [ScriptedServer.Step] = switch kind {
        case "500": [ScriptedServer.answer("500 Internal Server Error", document("b"))]
        case "304": [.send("HTTP/1.1 304 Not Modified\r\n\r\n")]
        case "302": [ScriptedServer.answer("302 Found", fields: ["Location: /other"], document("b"))]
        case "empty": [ScriptedServer.answer("")]
        case "html": [ScriptedServer.answer("<html>maintenance</html>")]
        case "no keys": [ScriptedServer.answer(#"{"keys":[]}"#)]
        case "other keys": [ScriptedServer.answer(#"{"keys":[{"kty":"EC","kid":"x","crv":"P-256","x":"AA","y":"AA"}]}"#)]
        case "huge": [.send("HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n"), .flood(300_000)]
        case "reset": [.reset]
        case "garbage": [.send("garbage\r\n"), .close]
        case "cut": [.send("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n{\"keys\":["), .close]
        default: [ScriptedServer.answer(#"{"keys":[],"keys":[]}"#)]
        }
        provider.answer(steps)
        world.pass(.seconds(300))
        #expect(await eventually { world.events == ["published", "failed 1"] })
        #expect(world.keyIDs == ["a"])
        #expect(fetcher.status().first?.lastFailure != nil)
        provider.answer(document: document("c"))
        world.pass(.seconds(1))
        #expect(await eventually { world.keyIDs == ["c"] })
        #expect(fetcher.status().first?.lastFailure == nil)
        fetcher.stop()
        server.stop()
    }

    @Test("gives up on a provider that accepts and says nothing, in its time, and tries again")
    func silence() async throws {
        let (world, provider) = (try World(), Provider([.hold]))
        let server = try provider.server()
        var limits = KeySetFetcher.Limits()
        limits.fetch = .milliseconds(100)
        let fetcher = world.fetcher(.keySet(url: server.url), limits: limits)
        fetcher.start()
        #expect(await eventually { world.events == ["failed 1"] })
        #expect(fetcher.status().first?.lastFailure == "127.0.0.1 did not answer within 100 ms.")
        fetcher.stop()
        server.stop()
    }

    @Test("warns at the third failure, withdraws the set after 24 h of outage, and recovers by itself")
    func outage() async throws {
        let (world, provider) = (try World(), Provider(document: document("a")))
        let server = try provider.server()
        let fetcher = world.fetcher(.keySet(url: server.url))
        fetcher.start()
        #expect(await eventually { world.keyIDs == ["a"] })
        server.stop()
        world.pass(.seconds(300))
        #expect(await eventually { world.events.last == "failed 1" })
        for failures in 2...4 {
            world.pass(.seconds(60))
            #expect(await eventually { world.events.last == (failures == 3 ? "failed 3, warned" : "failed \(failures)") })
        }
        #expect(world.keyIDs == ["a"])
        world.pass(.seconds(24 * 3600 - 600))
        #expect(world.keyIDs == ["a"])
        let count = world.events.count
        #expect(await eventually { world.events.count > count || world.events.last?.hasPrefix("failed") == true })
        world.pass(.seconds(600))
        #expect(await eventually { world.keyIDs == nil })
        #expect(fetcher.status().first?.keyIDs == [])
        let again = try provider.server(port: server.port)
        #expect(await eventually {
            world.pass(.seconds(1))
            return world.keyIDs == ["a"]
        })
        fetcher.stop()
        again.stop()
    }

    @Test("asks the provider once for fifty who want the same unknown key, and throttles the next ten seconds")
    func refetch() async throws {
        let (world, provider) = (try World(), Provider(document: document("a")))
        let server = try provider.server()
        let fetcher = world.fetcher(.keySet(url: server.url))
        fetcher.start()
        #expect(await eventually { world.keyIDs == ["a"] })
        let gate = ScriptedServer.Gate()
        provider.answer([.await(gate), ScriptedServer.answer(document("a", "b"))])
        let outcomes = Outcomes()
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<50 {
                group.addTask { fetcher.refetch(issuer: issuer) { outcome in outcomes.add(outcome) } }
            }
        }
        #expect(outcomes.all.isEmpty)
        gate.open()
        #expect(await eventually { outcomes.all.count == 50 })
        #expect(outcomes.all.allSatisfy { $0 == .done })
        #expect(server.requests.count == 2)
        #expect(world.keyIDs == ["a", "b"])
        fetcher.refetch(issuer: issuer) { outcome in outcomes.add(outcome) }
        #expect(outcomes.all.last == .throttled)
        world.pass(.seconds(10))
        fetcher.refetch(issuer: issuer) { outcome in outcomes.add(outcome) }
        #expect(await eventually { outcomes.all.count == 52 })
        #expect(outcomes.all.last == .done)
        #expect(server.requests.count == 3)
        fetcher.stop()
        server.stop()
    }

    @Test("has published the set before it answers those who waited for it")
    func publishesFirst() async throws {
        let (world, provider) = (try World(), Provider(document: document("a")))
        let server = try provider.server()
        let fetcher = world.fetcher(.keySet(url: server.url))
        fetcher.start()
        #expect(await eventually { world.keyIDs == ["a"] })
        provider.answer(document: document("z"))
        let seen: [String]? = await withCheckedContinuation { continuation in
            fetcher.refetch(issuer: issuer) { _ in continuation.resume(returning: world.keyIDs) }
        }
        #expect(seen == ["z"])
        fetcher.stop()
        server.stop()
    }

    @Test("answers a waiting caller after a second, while the fetch goes on")
    func refetchWait() async throws {
        let (world, provider) = (try World(), Provider(document: document("a")))
        let server = try provider.server()
        let fetcher = world.fetcher(.keySet(url: server.url))
        fetcher.start()
        #expect(await eventually { world.keyIDs == ["a"] })
        let gate = ScriptedServer.Gate()
        provider.answer([.await(gate), ScriptedServer.answer(document("b"))])
        let outcomes = Outcomes()
        fetcher.refetch(issuer: issuer) { outcome in outcomes.add(outcome) }
        world.pass(.milliseconds(999))
        #expect(outcomes.all.isEmpty)
        world.pass(.milliseconds(1))
        #expect(outcomes.all == [.failed])
        gate.open()
        #expect(await eventually { world.keyIDs == ["b"] })
        #expect(outcomes.all.count == 1)
        fetcher.stop()
        server.stop()
    }

    @Test("fails those who wait when the fetch fails, when it stops, and for an issuer that it does not know; throttles the surplus")
    func refetchFails() async throws {
        let (world, provider) = (try World(), Provider(document: document("a")))
        let server = try provider.server()
        var limits = KeySetFetcher.Limits()
        limits.waitersMax = 2
        let fetcher = world.fetcher(.keySet(url: server.url), limits: limits)
        fetcher.start()
        #expect(await eventually { world.keyIDs == ["a"] })
        provider.answer([.reset])
        let outcomes = Outcomes()
        let add: @Sendable (RefetchState) -> Void = { outcome in outcomes.add(outcome) }
        fetcher.refetch(issuer: issuer, completion: add)
        #expect(await eventually { outcomes.all == [.failed] })
        world.pass(.seconds(20))
        #expect(await eventually { world.events.last == "failed 2" || world.events.last == "failed 3, warned" })
        provider.answer([.hold])
        world.pass(.seconds(60))
        for _ in 0..<3 { fetcher.refetch(issuer: issuer, completion: add) }
        #expect(outcomes.all == [.failed, .throttled])
        fetcher.refetch(issuer: "https://elsewhere.example", completion: add)
        #expect(outcomes.all == [.failed, .throttled, .failed])
        fetcher.stop()
        #expect(outcomes.all == [.failed, .throttled, .failed, .failed, .failed])
        fetcher.refetch(issuer: issuer, completion: add)
        #expect(outcomes.all.count == 6)
        fetcher.stop()
        server.stop()
    }

    @Test("serves the disk's copy after a restart while the provider is out, until it is 24 h old")
    func restart() async throws {
        let folder = try TemporaryFolder()
        let store = KeySetStore(folder: folder.file("key-sets"))
        let provider = Provider(document: document("a"))
        let server = try provider.server()
        let begun = WallTime(seconds: 1_795_000_000)
        let first = try World(wallStart: begun)
        let fetcher = first.fetcher(.keySet(url: server.url), store: store)
        fetcher.start()
        #expect(await eventually { FileManager.default.fileExists(atPath: store.path(of: issuer)) })
        fetcher.stop()
        server.stop()
        let second = try World(wallStart: begun.advanced(by: 3600))
        let restarted = second.fetcher(.keySet(url: server.url), store: store)
        restarted.start()
        #expect(second.events.first == "published 3600 s old")
        #expect(second.keyIDs == ["a"])
        #expect(await eventually { second.events.contains("failed 1") })
        second.pass(.seconds(23 * 3600))
        #expect(second.keyIDs == nil)
        restarted.stop()
        for seconds in [24 * 3600, -60] as [Int64] {
            let late = try World(wallStart: begun.advanced(by: seconds))
            let fetcher = late.fetcher(.keySet(url: server.url), store: store)
            fetcher.start()
            #expect(late.events.first == "store failed")
            #expect(late.keyIDs == nil)
            fetcher.stop()
        }
    }

    @Test("warns and goes on when the disk takes no copy or has a broken one")
    func brokenDisk() async throws {
        let folder = try TemporaryFolder()
        let provider = Provider(document: document("a"))
        let server = try provider.server()
        let world = try World()
        let store = KeySetStore(folder: folder.path)
        try #require(FileManager.default.createFile(atPath: store.path(of: issuer), contents: Data("x".utf8), attributes: [.posixPermissions: 0o600]))
        let fetcher = world.fetcher(.keySet(url: server.url), store: store)
        fetcher.start()
        #expect(await eventually { world.events == ["store failed", "published"] })
        #expect(await eventually { (try? store.read(issuer: issuer, documentBytesMax: 10_000)) != nil })
        fetcher.stop()
        let other = try World()
        let unwritable = other.fetcher(.keySet(url: server.url), store: KeySetStore(folder: "/proc/key-sets"))
        unwritable.start()
        #expect(await eventually { other.events == ["published", "store failed"] })
        unwritable.stop()
        fetcher.stop()
        server.stop()
    }

    @Test("renews the disk's copy when the keys change, and else every ten minutes")
    func storing() async throws {
        let folder = try TemporaryFolder()
        let store = KeySetStore(folder: folder.path)
        let world = try World()
        let server = try ScriptedServer { _ in [ScriptedServer.answer(document("a"))] }
        let fetcher = world.fetcher(.keySet(url: server.url), store: store)
        func storedAt() -> Int64? { (try? store.read(issuer: issuer, documentBytesMax: 10_000))??.fetchedAt.seconds }
        fetcher.start()
        #expect(await eventually { storedAt() == 1_795_000_000 })
        world.pass(.seconds(300))
        #expect(await eventually { world.events.count == 2 })
        #expect(storedAt() == 1_795_000_000)
        world.pass(.seconds(300))
        #expect(await eventually { storedAt() == 1_795_000_600 })
        fetcher.stop()
        server.stop()
    }

    @Test("finds the key set by the discovery document, and looks there again after a failure")
    func discovery() async throws {
        let world = try World()
        let place = Mutex("/keys-1")
        let server = try ScriptedServer { request in
            switch request.target {
            case "/.well-known/openid-configuration":
                let host = request.fields.first { $0.hasPrefix("Host: ") }?.dropFirst(6) ?? ""
                return [ScriptedServer.answer(#"{"issuer":"\#(issuer)","jwks_uri":"http://\#(host)\#(place.withLock { $0 })"}"#)]
            case place.withLock({ $0 }): return [ScriptedServer.answer(document(request.target == "/keys-1" ? "one" : "two"))]
            default: return [ScriptedServer.answer("404 Not Found", "")]
            }
        }
        let fetcher = world.fetcher(.discovery(url: "\(server.url)/.well-known/openid-configuration"))
        fetcher.start()
        #expect(await eventually { world.keyIDs == ["one"] })
        world.pass(.seconds(300))
        #expect(await eventually { world.events == ["published", "confirmed"] })
        #expect(server.requests.map(\.target) == ["/.well-known/openid-configuration", "/keys-1", "/keys-1"])
        place.withLock { $0 = "/keys-2" }
        world.pass(.seconds(300))
        #expect(await eventually { world.events.last == "failed 1" })
        world.pass(.seconds(1))
        #expect(await eventually { world.keyIDs == ["two"] })
        fetcher.stop()
        server.stop()
    }

    @Test("refuses a discovery document that is broken or speaks for another issuer", arguments: [
        "", "[]", "{}", #"{"issuer":"https://evil.example","jwks_uri":"http://127.0.0.1/keys"}"#, #"{"issuer":"ISSUER/","jwks_uri":"http://127.0.0.1/keys"}"#,
        #"{"issuer":"ISSUER"}"#, #"{"issuer":"ISSUER","jwks_uri":5}"#, #"{"issuer":"ISSUER","jwks_uri":"file:///etc/passwd"}"#,
        #"{"issuer":"ISSUER","jwks_uri":"http://example.com/keys"}"#, #"{"issuer":"x","issuer":"ISSUER","jwks_uri":"http://127.0.0.1/keys"}"#,
    ])
    func badDiscovery(text: String) async throws {
        let world = try World()
        let server = try ScriptedServer { _ in [ScriptedServer.answer(text.replacingOccurrences(of: "ISSUER", with: issuer))] }
        let fetcher = world.fetcher(.discovery(url: server.url))
        fetcher.start()
        #expect(await eventually { world.events == ["failed 1"] })
        #expect(server.requests.count == 1)
        fetcher.stop()
        server.stop()
    }

    @Test("runs on the client's own clock and timers too")
    func realTime() async throws {
        let client = try IdentityProviderClient(userAgent: "metaflow-gateway/test")
        let server = try ScriptedServer { _ in [ScriptedServer.answer(document("a"))] }
        var times = KeySetSchedule.Times()
        times.refresh = .milliseconds(20)
        times.refreshMin = .milliseconds(10)
        let count = Mutex(0)
        let fetcher = KeySetFetcher(
            sources: [KeySetSource(issuer: issuer, location: .keySet(url: server.url))], store: nil,
            ports: KeySetPorts(client: client) { WallTime(seconds: 1_795_000_000) }, times: times
        ) { _ in count.withLock { $0 += 1 } }
        fetcher.start()
        #expect(await eventually { count.withLock { $0 } >= 3 })
        fetcher.stop()
        client.shutdown()
        fetcher.stop()
        server.stop()
    }
}
