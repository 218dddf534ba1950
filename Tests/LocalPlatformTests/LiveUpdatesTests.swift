import GatewayTerms
import Testing

@testable import metaflow_local_platform

@Suite("Live updates")
struct LiveUpdatesTests {
    @Test("A resource is what Metaflow's UI calls it", arguments: [
        ("/runs", LiveResource.runs(flow: nil)), ("/runs?_order=-ts_epoch&status=running", .runs(flow: nil)), ("/flows/Demo/runs", .runs(flow: "Demo")),
        ("/flows/Demo/runs/7", .run(flow: "Demo", run: "7")), ("/flows/Demo/runs/7/tasks", .tasks(flow: "Demo", run: "7")), ("/flows/a%20b/runs", .runs(flow: "a b")),
        ("", nil), ("/", nil), ("runs", nil), ("/runs/", nil), ("/flows//runs", nil), ("/flows/Demo", nil), ("/flows/Demo/steps", nil), ("/flows/Demo/runs/7/tasks/1", nil),
    ])
    func resources(path: String, expected: LiveResource?) { #expect(LiveResource(path) == expected) }

    private static func row(_ name: String, _ state: String, since: Int64 = 0) -> LiveRow { LiveRow(name: name, since: since, json: ["status": .string(state)]) }
    private static func told(_ messages: [JSON]) -> [String] { messages.map { "\($0["type"]?.stringValue ?? "?") \($0["data"]?["status"]?.stringValue ?? "?")" } }

    @Test("A subscriber is told of what is new and what has changed, the oldest first, and of nothing else")
    func follows() {
        var subscription = LiveSubscription(identifier: "u", path: "/runs", resource: .runs(flow: nil))
        #expect(subscription.begin([Self.row("1", "a")], since: nil).isEmpty)
        #expect(subscription.follow([Self.row("1", "a")]).isEmpty)
        #expect(Self.told(subscription.follow([Self.row("3", "c"), Self.row("2", "b"), Self.row("1", "a")])) == ["INSERT b", "INSERT c"])
        let messages = subscription.follow([Self.row("3", "d"), Self.row("2", "b")])
        #expect(Self.told(messages) == ["UPDATE d"])
        #expect(messages[0].written(.compact) == #"{"type":"UPDATE","uuid":"u","resource":"/runs","data":{"status":"d"}}"#)
    }

    @Test("A subscriber who was away is told of what has begun since")
    func comesBack() {
        var subscription = LiveSubscription(identifier: "u", path: "/runs", resource: .runs(flow: nil))
        #expect(Self.told(subscription.begin([Self.row("3", "c", since: 30), Self.row("2", "b", since: 20), Self.row("1", "a", since: 10)], since: 20)) == ["INSERT b", "INSERT c"])
    }

    @Test("since is read in seconds and milliseconds, and a second earlier", arguments: [
        (JSON.integer(1_800_000_000), 1_799_999_999_000), (.integer(1_800_000_000_000), 1_799_999_999_000), (.integer(0), nil), (.integer(-5), nil), (.integer(.max), nil), (.string("x"), nil), (nil, nil),
    ] as [(JSON?, Int64?)])
    func since(value: JSON?, expected: Int64?) { #expect(LiveUpdates.milliseconds(value) == expected) }

    @Test("A conversation: subscribe, a run begins and goes on, a ping, and an end", .timeLimit(.minutes(1)))
    func converses() async throws {
        let scene = try Scene()
        defer { scene.remove() }
        let (messages, say) = AsyncStream.makeStream(of: String.self)
        let (heard, hear) = AsyncStream.makeStream(of: String.self)
        let line = WebSocketLine(messages: messages) { hear.yield($0) }
        let endpoint = scene.platform.live.endpoint
        let conversation = Task { await endpoint.converse(line) }
        for text in ["not JSON", "{}", #"{"type":"SUBSCRIBE","uuid":"x","resource":"/nothing"}"#, #"{"type":"SUBSCRIBE","uuid":"u","resource":"/runs"}"#, "__ping__"] { say.yield(text) }
        var iterator = heard.makeAsyncIterator()
        // What came before it was understood, or passed over in silence.
        #expect(await iterator.next() == "__pong__")
        _ = try await scene.metadataJSON("POST", "/flows/DemoFlow", body: RecordedBodies.flow)
        _ = try await scene.metadataJSON("POST", "/flows/DemoFlow/run", body: RecordedBodies.run)
        let begun = try JSON(parsing: Array(#require(await iterator.next()).utf8))
        #expect(begun["type"] == "INSERT" && begun["uuid"] == "u" && begun["resource"] == "/runs" && begun["data"]?["flow_id"] == "DemoFlow")
        scene.clock.advance(seconds: 20)
        _ = await scene.metadata("POST", "/flows/DemoFlow/runs/1/heartbeat", body: "{}")
        let beaten = try JSON(parsing: Array(#require(await iterator.next()).utf8))
        #expect(beaten["type"] == "UPDATE" && beaten["data"]?["heartbeats"] == 1)
        say.yield(#"{"type":"UNSUBSCRIBE","uuid":"u"}"#)
        say.yield("__ping__")
        #expect(await iterator.next() == "__pong__")
        say.finish()
        await conversation.value
    }
}
