import GatewayTerms
import Testing

@testable import metaflow_local_platform

@Suite("The metadata service")
struct MetadataServiceTests {
    private static let run = "/flows/DemoFlow/runs/1", task = "/flows/DemoFlow/runs/1/steps/start/tasks/1"

    /// A flow with one run, one step and one task, as Metaflow registers them.
    private func recorded() async throws -> Scene {
        let scene = try Scene()
        for (path, body) in [
            ("/flows/DemoFlow", RecordedBodies.flow), ("/flows/DemoFlow/run", RecordedBodies.run), (Self.run + "/steps/start/step", RecordedBodies.step),
            (Self.run + "/steps/start/task", RecordedBodies.task),
        ] {
            _ = try await scene.metadataJSON("POST", path, body: body)
        }
        return scene
    }

    @Test("Ping answers pong and says the version, by which clients decide on heartbeats and tags") func ping() async throws {
        let scene = try Scene()
        defer { scene.remove() }
        let reply = await scene.metadata("GET", "/ping")
        #expect(reply.body == "pong" && reply.field("METADATA_SERVICE_VERSION") == "2.5.1")
        #expect(await scene.metadata("GET", "/version").body == "2.5.1")
        #expect(await scene.metadata("GET", "/healthcheck").status == 200)
    }

    @Test("AWS keys are not given out, and unknown paths and methods are refused as the real service refuses them", arguments: [
        ("GET", "/auth/token", 404), ("GET", "/ping/", 404), ("GET", "//ping", 404), ("HEAD", "/ping", 405), ("OPTIONS", "/flows", 405), ("DELETE", "/flows/F", 405),
        ("PATCH", "/flows/F/runs/1", 405),
    ])
    func refuses(method: String, path: String, status: Int) async throws {
        let scene = try Scene()
        defer { scene.remove() }
        #expect(await scene.metadata(method, path).status == status)
    }

    @Test("Flow, run, step and task come back with the members of the real service") func shapes() async throws {
        let scene = try await recorded()
        defer { scene.remove() }
        let flow = await scene.metadata("GET", "/flows/DemoFlow")
        #expect(flow.field("Content-Type") == "text/plain; charset=utf-8")
        #expect(flow.body == #"{"flow_id": "DemoFlow", "user_name": "ada", "ts_epoch": 1800000000000, "tags": [], "system_tags": []}"#)
        let run = await scene.metadata("GET", Self.run)
        #expect(run.body == #"{"flow_id": "DemoFlow", "run_number": 1, "user_name": "ada", "ts_epoch": 1800000000000, "tags": ["first"], "system_tags": ["python_version:3.11.7", "user:ada", "runtime:dev", "metaflow_version:2.19.39"], "last_heartbeat_ts": 1800000000}"#)
        let step = try await scene.metadataJSON("GET", Self.run + "/steps/start")
        #expect(step.names == ["flow_id", "run_number", "step_name", "user_name", "ts_epoch", "tags", "system_tags"])
        let task = try await scene.metadataJSON("GET", Self.task)
        #expect(task.names == ["flow_id", "run_number", "step_name", "task_id", "user_name", "ts_epoch", "tags", "system_tags", "last_heartbeat_ts"])
        #expect(task["task_id"] == 1)
    }

    @Test("Lists show the newest first; of a flow that is not there, nothing") func lists() async throws {
        let scene = try await recorded()
        defer { scene.remove() }
        _ = try await scene.metadataJSON("POST", "/flows/DemoFlow/run", body: RecordedBodies.run)
        _ = try await scene.metadataJSON("POST", "/flows/Other", body: RecordedBodies.flow)
        #expect(try await scene.metadataJSON("GET", "/flows/DemoFlow/runs").elements.map { $0["run_number"] } == [2, 1])
        #expect(try await scene.metadataJSON("GET", "/flows").elements.map { $0["flow_id"] } == ["Other", "DemoFlow"])
        #expect(try await scene.metadataJSON("GET", Self.run + "/steps").elements.count == 1)
        #expect(try await scene.metadataJSON("GET", Self.run + "/steps/start/tasks").elements.count == 1)
        for path in ["/flows/Nope/runs", "/flows/DemoFlow/runs/99/steps", "/flows/DemoFlow/runs/99/steps/start/tasks", "/flows/DemoFlow/runs/1/steps/nope/tasks"] {
            #expect(await scene.metadata("GET", path).body == "[]")
        }
    }

    @Test("A page of a list says its limit and where the next begins, to the end") func pages() async throws {
        let scene = try await recorded()
        defer { scene.remove() }
        for _ in 0..<4 { _ = try await scene.metadataJSON("POST", "/flows/DemoFlow/run", body: RecordedBodies.run) }
        var seen: [Int64] = []
        var query = [(name: "_limit", value: "2")]
        for _ in 0..<5 {
            let reply = await scene.metadata("GET", "/flows/DemoFlow/runs", query: query)
            #expect(reply.field("X-Limit") == "2")
            seen += try JSON(parsing: Array(reply.body.utf8)).elements.compactMap { $0["run_number"]?.integerValue }
            guard let next = reply.field("X-Next-Cursor") else { break }
            query = [(name: "_limit", value: "2"), (name: "_cursor", value: next)]
        }
        #expect(seen == [5, 4, 3, 2, 1])
        #expect(await scene.metadata("GET", "/flows/DemoFlow/runs", query: [(name: "_cursor", value: "nonsense")]).status == 400)
        #expect(await scene.metadata("GET", "/flows/DemoFlow/runs", query: [(name: "_limit", value: "-1")]).status == 400)
    }

    @Test("What is not there is 404 with an empty object", arguments: [
        "/flows/Nope", "/flows/DemoFlow/runs/99", "/flows/Nope/runs/1", "/flows/DemoFlow/runs/name", "/flows/DemoFlow/runs/1/steps/nope",
        "/flows/DemoFlow/runs/1/steps/start/tasks/99", "/flows/DemoFlow/runs/99999999999999999999", "/flows/DemoFlow/runs/1/steps/start/tasks/1/artifacts/nope",
    ])
    func missing(path: String) async throws {
        let scene = try await recorded()
        defer { scene.remove() }
        let reply = await scene.metadata("GET", path)
        #expect(reply.status == 404 && reply.body == "{}")
    }

    @Test("What is there already is 409, in JSON within JSON") func conflicts() async throws {
        let scene = try await recorded()
        defer { scene.remove() }
        let named = #"{"user_name": "ada", "tags": [], "system_tags": [], "run_number": "argo-x", "task_id": "t-x"}"#
        _ = try await scene.metadataJSON("POST", "/flows/DemoFlow/run", body: named)
        _ = try await scene.metadataJSON("POST", Self.run + "/steps/start/task", body: named)
        for (path, body) in [
            ("/flows/DemoFlow", RecordedBodies.flow), (Self.run + "/steps/start/step", RecordedBodies.step), ("/flows/DemoFlow/run", named),
            (Self.run + "/steps/start/task", named),
        ] {
            let text = try #require(try await scene.metadataJSON("POST", path, body: body, status: 409).stringValue)
            #expect(try JSON(parsing: Array(text.utf8))["err_msg"]?["pgcode"] == "23505")
        }
    }

    @Test("A child of what is not there is refused as the real service refuses it", arguments: [
        ("/flows/Nope/run", RecordedBodies.run, 404), ("/flows/DemoFlow/runs/99/steps/start/step", RecordedBodies.step, 500),
        ("/flows/DemoFlow/runs/99/steps/start/task", RecordedBodies.task, 500), ("/flows/DemoFlow/runs/1/steps/nope/task", RecordedBodies.task, 404),
        ("/flows/DemoFlow/runs/1/steps/start/tasks/99/metadata", RecordedBodies.metadata("a", "b"), 400),
        ("/flows/DemoFlow/runs/1/steps/start/tasks/99/artifact", RecordedBodies.artifacts(["a"]), 400),
        ("/flows/DemoFlow/runs/1/steps/start/tasks/1/artifact", "{}", 500), ("/flows/New", "not JSON", 500), ("/flows/New", "[]", 500),
        ("/flows/DemoFlow/run", #"{"run_number": "12"}"#, 500), ("/flows/DemoFlow/runs/1/steps/start/task", #"{"task_id": "12"}"#, 400),
    ])
    func orphans(path: String, body: String, status: Int) async throws {
        let scene = try await recorded()
        defer { scene.remove() }
        #expect(await scene.metadata("POST", path, body: body).status == status)
    }

    @Test("A run and a task with names of their own are found by name and by number, and show the name") func named() async throws {
        let scene = try await recorded()
        defer { scene.remove() }
        let body = #"{"user_name": "ada", "tags": [], "system_tags": [], "run_number": "argo-x", "task_id": "t-x"}"#
        #expect(try await scene.metadataJSON("POST", "/flows/DemoFlow/run", body: body)["run_number"] == "argo-x")
        for run in ["argo-x", "2"] { #expect(try await scene.metadataJSON("GET", "/flows/DemoFlow/runs/\(run)")["run_number"] == "argo-x") }
        _ = try await scene.metadataJSON("POST", "/flows/DemoFlow/runs/argo-x/steps/start/step", body: RecordedBodies.step)
        #expect(try await scene.metadataJSON("POST", "/flows/DemoFlow/runs/2/steps/start/task", body: body)["task_id"] == "t-x")
        for path in ["runs/argo-x/steps/start/tasks/t-x", "runs/2/steps/start/tasks/2"] {
            #expect(try await scene.metadataJSON("GET", "/flows/DemoFlow/" + path)["task_id"] == "t-x")
        }
    }

    @Test("A heartbeat is JSON in JSON; one that comes within ten seconds is 404, as every one for what is not there") func heartbeats() async throws {
        let scene = try await recorded()
        defer { scene.remove() }
        let body = #""{\"wait_time_in_seconds\": 10}""#
        func beat(_ path: String) async -> Reply { await scene.metadata("POST", path + "/heartbeat", body: "{}") }
        for path in [Self.task, Self.run] {
            scene.clock.advance(seconds: 9)
            // The run took the task's beat nine seconds ago.
            #expect(await beat(path).status == 404)
            scene.clock.advance(seconds: 1)
            let good = await beat(path)
            #expect(good.status == 200 && good.body == body)
            #expect(good.field("Content-Type") == "text/plain; charset=utf-8")
            let early = await beat(path)
            #expect(early.status == 404 && early.body == body)
            #expect(try await scene.metadataJSON("GET", path)["last_heartbeat_ts"]?.integerValue == scene.clock.now.seconds)
        }
        for path in ["/flows/Nope/runs/1", "/flows/DemoFlow/runs/99", "/flows/DemoFlow/runs/1/steps/nope/tasks/1", "/flows/DemoFlow/runs/1/steps/start/tasks/99"] {
            #expect(await beat(path).status == 404)
        }
    }

    @Test("A client that sends no heartbeats is given none at the start", arguments: [
        (["metaflow_version:2.2.12"], true), (["metaflow_version:2.19.39"], true), (["metaflow_version:3"], true), (["x", "metaflow_version:2.2.12.post1+g1"], true),
        (["metaflow_version:2.0.5"], false), (["metaflow_version:2.2.11"], false), (["metaflow_version:"], false), (["metaflow_version:unknown"], false), ([], false),
    ])
    func capability(tags: [String], sends: Bool) { #expect(HeartbeatCapability.isAnnounced(in: tags) == sends) }

    @Test("A new task of a client that beats is a beat of its run") func taskBeats() async throws {
        let scene = try await recorded()
        defer { scene.remove() }
        scene.clock.advance(seconds: 20)
        _ = try await scene.metadataJSON("POST", Self.run + "/steps/start/task", body: RecordedBodies.task)
        #expect(try await scene.metadataJSON("GET", Self.run)["last_heartbeat_ts"]?.integerValue == scene.clock.now.seconds)
    }

    @Test("Tags are removed before they are added, system tags are neither, and steps, tasks and artifacts show the run's") func tags() async throws {
        let scene = try await recorded()
        defer { scene.remove() }
        _ = try await scene.metadataJSON("POST", Self.task + "/artifact", body: RecordedBodies.artifacts(["name"]))
        func mutate(_ body: String, status: Int = 200) async throws -> JSON {
            try await scene.metadataJSON("PATCH", Self.run + "/tag/mutate", body: body, status: status)
        }
        #expect(try await mutate(#"{"tags_to_add": ["gold", "x"], "tags_to_remove": []}"#) == ["tags": ["first", "gold", "x"]])
        #expect(try await mutate(#"{"tags_to_add": ["x", "runtime:dev"], "tags_to_remove": ["x", "first", "absent"]}"#) == ["tags": ["gold", "x"]])
        #expect(try await mutate("{}") == ["tags": ["gold", "x"]])
        #expect(try await mutate(#"{"tags_to_remove": ["runtime:dev"]}"#, status: 422) == "Cannot remove tags that are existing system tags {'runtime:dev'}")
        for path in [Self.run, Self.run + "/steps/start", Self.task, Self.task + "/artifacts/name"] {
            #expect(try await scene.metadataJSON("GET", path)["tags"] == ["gold", "x"])
        }
    }

    @Test("A tag change of the wrong form is 400, of a run that is not there 404", arguments: [
        (#"{"tags_to_add": "so_meta"}"#, "1", 400), (#"{"tags_to_add": [5]}"#, "1", 400), (#"{"tags_to_remove": {}}"#, "1", 400), (#"{"tags_to_add": ["a"]}"#, "nope", 404),
    ])
    func refusesTags(body: String, run: String, status: Int) async throws {
        let scene = try await recorded()
        defer { scene.remove() }
        #expect(await scene.metadata("PATCH", "/flows/DemoFlow/runs/\(run)/tag/mutate", body: body).status == status)
    }

    @Test("Fifty tag changes at once are all kept") func concurrentTags() async throws {
        let scene = try await recorded()
        defer { scene.remove() }
        await withTaskGroup(of: Int.self) { group in
            for number in 0..<50 {
                group.addTask { await scene.metadata("PATCH", Self.run + "/tag/mutate", body: #"{"tags_to_add": ["\#(number)"]}"#).status }
            }
            for await status in group { #expect(status == 200) }
        }
        let tags = try await scene.metadataJSON("GET", Self.run)["tags"]?.strings ?? []
        #expect(Set(tags) == Set((0..<50).map(String.init) + ["first"]))
    }

    @Test("Metadata come back in the order in which they came, of a task and of a run") func metadata() async throws {
        let scene = try await recorded()
        defer { scene.remove() }
        #expect(await scene.metadata("POST", Self.task + "/metadata", body: RecordedBodies.metadata("attempt", "0")).body == #"{"metadata_created": 1}"#)
        _ = try await scene.metadataJSON("POST", Self.task + "/metadata", body: RecordedBodies.metadata("attempt_ok", "True"))
        for path in [Self.task, Self.run] {
            let entries = try await scene.metadataJSON("GET", path + "/metadata").elements
            #expect(entries.map { $0["field_name"] } == ["attempt", "attempt_ok"])
            #expect(entries.first?.names == [
                "id", "flow_id", "run_number", "step_name", "task_id", "field_name", "value", "type", "user_name", "ts_epoch", "tags", "system_tags",
            ])
            #expect(entries.first?["tags"] == ["attempt_id:0"] && entries.first?["system_tags"] == .null)
        }
    }

    @Test("Tasks are filtered by a metadata entry's name and by a pattern on its value", arguments: [
        ("foreach-stack", "^(?:.*a.*)$", ["1"]), ("foreach-stack", nil, ["1", "2"]), (nil, "b$", ["2"]), (nil, nil, ["1", "2"]), ("nope", nil, []), (nil, "(", nil),
    ] as [(String?, String?, [String]?)])
    func filters(field: String?, pattern: String?, tasks: [String]?) async throws {
        let scene = try await recorded()
        defer { scene.remove() }
        _ = try await scene.metadataJSON("POST", Self.run + "/steps/start/task", body: RecordedBodies.task)
        _ = try await scene.metadataJSON("POST", Self.task + "/metadata", body: RecordedBodies.metadata("foreach-stack", "xa"))
        _ = try await scene.metadataJSON("POST", Self.run + "/steps/start/tasks/2/metadata", body: RecordedBodies.metadata("foreach-stack", "xb"))
        var query: [(name: String, value: String)] = []
        if let field { query.append((name: "metadata_field_name", value: field)) }
        if let pattern { query.append((name: "pattern", value: pattern)) }
        let answer = try await scene.metadataJSON("GET", Self.run + "/steps/start/filtered_tasks", query: query, status: tasks == nil ? 500 : 200)
        if let tasks { #expect(answer.strings == tasks.map { "DemoFlow/1/start/" + $0 }) }
    }

    @Test("Artifacts are those of the latest attempt, or of the one that is asked for; a second copy is not counted") func artifacts() async throws {
        let scene = try await recorded()
        defer { scene.remove() }
        func names(_ path: String) async throws -> [String] {
            try await scene.metadataJSON("GET", path).elements.compactMap { $0["name"]?.stringValue }
        }
        #expect(await scene.metadata("POST", Self.task + "/artifact", body: RecordedBodies.artifacts(["name", "old"])).body == #"{"artifacts_created": 2}"#)
        #expect(await scene.metadata("POST", Self.task + "/artifact", body: RecordedBodies.artifacts(["name", "new"], attempt: 1)).body == #"{"artifacts_created": 2}"#)
        #expect(await scene.metadata("POST", Self.task + "/artifact", body: RecordedBodies.artifacts(["name", "more"], attempt: 1)).body == #"{"artifacts_created": 1}"#)
        for path in [Self.task, Self.run + "/steps/start", Self.run] { #expect(try await names(path + "/artifacts") == ["name", "new", "more"]) }
        #expect(try await names(Self.task + "/attempt/0/artifacts") == ["name", "old"])
        #expect(try await names(Self.task + "/attempt/7/artifacts") == [])
        #expect(try await scene.metadataJSON("GET", Self.task + "/artifacts/name")["attempt_id"] == 1)
        #expect(try await scene.metadataJSON("GET", Self.task + "/artifacts/name/attempt/0")["attempt_id"] == 0)
        #expect(await scene.metadata("GET", Self.task + "/artifacts/old").status == 404)
        #expect(try await scene.metadataJSON("GET", Self.task + "/artifacts/old/attempt/0").names == [
            "flow_id", "run_number", "step_name", "task_id", "name", "location", "ds_type", "sha", "type", "content_type", "user_name", "attempt_id",
            "ts_epoch", "tags", "system_tags",
        ])
        #expect(await scene.metadata("GET", "/flows/DemoFlow/runs/99/artifacts").body == "[]")
    }

    @Test("A name of any characters is kept as it is", arguments: ["naïve", "日本", "a'; DROP TABLE runs; --", "\u{1}\""]) func anyName(name: String) async throws {
        let scene = try Scene()
        defer { scene.remove() }
        let body = JSON.object([JSON.Member(name: "user_name", value: .string(name)), JSON.Member(name: "tags", value: .array([.string(name)]))]).written()
        let call = Call(method: "POST", path: ["flows", name], body: Array(body.utf8))
        let reply = await scene.platform.metadata.answer(call)
        let flow = try JSON(parsing: Array(reply.body.utf8))
        #expect(flow["flow_id"]?.stringValue == name && flow["user_name"]?.stringValue == name && flow["tags"]?.strings == [name])
    }
}
