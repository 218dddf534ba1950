import GatewayTerms
import Testing

@testable import metaflow_local_platform

@Suite("The run browser")
struct RunBrowserTests {
    @Test("A run's state follows from its end, its failures and its silence", arguments: [
        (true, false, 9999, RunState.completed), (nil, false, 0, .running), (nil, false, 360, .running), (nil, false, 361, .failed), (nil, true, 60, .running),
        (nil, true, 61, .failed), (false, false, 61, .failed), (false, false, 10, .running), (true, true, 0, .completed), (nil, false, -5, .running),
    ] as [(Bool?, Bool, Int64, RunState)])
    func states(endSucceeded: Bool?, hasFailedTask: Bool, silence: Int64, state: RunState) {
        #expect(RunState.derived(endSucceeded: endSucceeded, hasFailedTask: hasFailedTask, lastSign: 1000, now: 1000 + silence) == state)
    }

    @Test("Spans of time are read by people", arguments: [
        (-1, "0 s"), (59, "59 s"), (60, "1 min 0 s"), (3599, "59 min 59 s"), (3600, "1 h 0 min"), (90_000, "1 d 1 h"),
    ] as [(Int64, String)])
    func spans(seconds: Int64, text: String) { #expect(Moment.span(seconds: seconds) == text) }

    private func scene() async throws -> Scene {
        let scene = try Scene()
        for (path, body) in [
            ("/flows/DemoFlow", RecordedBodies.flow), ("/flows/DemoFlow/run", RecordedBodies.run.replacing("first", with: "<b>bold</b>")),
            ("/flows/DemoFlow/runs/1/steps/end/step", RecordedBodies.step), ("/flows/DemoFlow/runs/1/steps/end/task", RecordedBodies.task),
            ("/flows/DemoFlow/runs/1/steps/end/tasks/1/metadata", RecordedBodies.metadata("attempt", "0")),
        ] {
            _ = try await scene.metadataJSON("POST", path, body: body)
        }
        return scene
    }

    private func state(_ scene: Scene) async throws -> JSON? {
        try JSON(parsing: Array(await scene.browser("/runs").body.utf8))["data"]?.elements.first?["status"]
    }

    @Test("A run is running, fails an attempt, is retried and completes") func follows() async throws {
        let scene = try await scene()
        defer { scene.remove() }
        func record(_ field: String, _ value: String) async throws {
            _ = try await scene.metadataJSON("POST", "/flows/DemoFlow/runs/1/steps/end/tasks/1/metadata", body: RecordedBodies.metadata(field, value))
        }
        #expect(try await state(scene) == "running")
        try await record("attempt_ok", "False")
        scene.clock.advance(seconds: 100)
        #expect(try await state(scene) == "failed")
        try await record("attempt", "1")
        _ = await scene.metadata("POST", "/flows/DemoFlow/runs/1/heartbeat", body: "{}")
        #expect(try await state(scene) == "running")
        try await record("attempt_ok", "True")
        #expect(try await state(scene) == "completed")
        let detail = try JSON(parsing: Array(await scene.browser("/flows/DemoFlow/runs/1").body.utf8))["data"]
        #expect(detail?["heartbeats"] == 1 && detail?["duration"] == 100_000)
        #expect(detail?["tasks"]?.elements.first?["attempts"] == 2 && detail?["tasks"]?.elements.first?["status"] == "completed")
    }

    @Test("Pages show runs and tasks, and a tag cannot become markup") func pages() async throws {
        let scene = try await scene()
        defer { scene.remove() }
        let list = await scene.browser("/")
        #expect(list.status == 200 && list.body.contains("href=\"/DemoFlow/1\""))
        let run = await scene.browser("/DemoFlow/1")
        #expect(run.status == 200 && run.body.contains(">end</h2>"))
        for page in [list, run] {
            #expect(page.body.contains("&lt;b&gt;bold&lt;/b&gt;") && !page.body.contains("<b>"))
            #expect(page.field("Content-Security-Policy") != nil)
        }
        #expect(await scene.browser("/DemoFlow/99").status == 404)
        #expect(await scene.browser("/a/b/c").status == 404)
        #expect(await scene.browser("/", query: [(name: "flow", value: "Nope")]).body.contains("No run is recorded"))
    }

    @Test("Older runs are on further pages") func older() async throws {
        let scene = try await scene()
        defer { scene.remove() }
        for _ in 0..<60 { _ = try await scene.metadataJSON("POST", "/flows/DemoFlow/run", body: RecordedBodies.run) }
        let first = await scene.browser("/", query: [(name: "flow", value: "DemoFlow")])
        #expect(first.body.contains("href=\"/?flow=DemoFlow&amp;before=12\""))
        let second = await scene.browser("/", query: [(name: "before", value: "12")])
        #expect(second.body.contains("/DemoFlow/11\"") && !second.body.contains("/DemoFlow/12\"") && !second.body.contains("Older runs"))
    }

    @Test("The read-only API answers and refuses to write", arguments: ["/ping", "/version", "/features", "/runs", "/flows"]) func interface(path: String) async throws {
        let scene = try Scene()
        defer { scene.remove() }
        let reply = await scene.browser(path)
        #expect(reply.status == 200 && reply.field("Content-Type") == "application/json")
        #expect(await scene.platform.browser.answer(Scene.call("POST", path)).status == 405)
        #expect(await scene.platform.browser.answer(Scene.call("HEAD", path)).status == 200)
    }
}
