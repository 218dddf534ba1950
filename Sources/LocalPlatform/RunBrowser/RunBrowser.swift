internal import GatewayTerms

/// A read-only view of flows and runs: pages for people at `/` and `/{flow}/{run}`, JSON beside them. The gateway serves it at `/`
/// and, with the prefix taken off, at `/api`.
struct RunBrowser: Sendable {
    static let runsPerPage = 50

    private let runs: RunReader
    private let clock: @Sendable () -> WallTime

    init(runs: RunReader, clock: @escaping @Sendable () -> WallTime) { (self.runs, self.clock) = (runs, clock) }

    func answer(_ call: Call) async -> Reply {
        var probe = call
        if probe.method == "HEAD" { probe.method = "GET" }
        switch Self.table.match(probe) {
        case .found(let call, let handler):
            do {
                return try await handler(self, call)
            } catch {
                return .json(["status": 500, "title": "Internal Server Error", "detail": .string(String(describing: error))], status: 500)
            }
        case .otherMethods(let methods):
            return Reply(status: 405, contentType: "text/plain; charset=utf-8", body: "405: the run browser is read-only", [("Allow", methods.joined(separator: ", "))])
        case .unknownPath:
            return Page(title: "Not found", body: "<main><h1>There is no such page</h1><p><a href=\"/\">All runs</a></p></main>").reply(status: 404)
        }
    }

    private static let table: EndpointTable<RunBrowser> = {
        var table = EndpointTable<RunBrowser>()
        table.on("GET", "/") { try await $0.listPage($1) }
        table.on("GET", "/{flow}/{run}") { try await $0.runPage($1) }
        table.on("GET", "/ping") { _, _ in .json(["status": "pong", "service": "run browser of the local platform"]) }
        table.on("GET", "/version") { _, _ in .json(["version": .string(MetadataService.version), "service": "run browser of the local platform"]) }
        table.on("GET", "/features") { _, _ in
            .json(["FEATURE_RUN_GROUPS": false, "FEATURE_CARDS": false, "FEATURE_ARTIFACT_SEARCH": false, "FEATURE_LIVE_UPDATES": true])
        }
        table.on("GET", "/runs") { try await $0.runList($1) }
        table.on("GET", "/flows") { browser, _ in
            .json(["data": .array(try await browser.runs.flows().map { ["flow_id": .string($0.name), "runs": .integer($0.runs)] }), "status": 200])
        }
        table.on("GET", "/flows/{flow}/runs") { try await $0.runList($1) }
        table.on("GET", "/flows/{flow}/runs/{run}") { try await $0.runDetail($1) }
        return table
    }()

    // MARK: JSON

    private func runList(_ call: Call) async throws -> Reply {
        let flow = call.parameters["flow"] ?? call.query["flow_id"]
        let limit = max(1, min(call.query["_limit"].flatMap { Int($0) } ?? Self.runsPerPage, 500))
        let (list, next) = try await runs.runs(flow: flow, before: call.query["before"].flatMap { Int64($0) } ?? .max, limit: limit, now: clock())
        return .json(["data": .array(list.map(Self.json)), "status": 200, "next_before": JSON(next)])
    }

    private func runDetail(_ call: Call) async throws -> Reply {
        guard let (run, tasks) = try await runs.run(flow: call.parameter("flow"), identifier: call.parameter("run"), now: clock()) else {
            return .json(["status": 404, "title": "not found"], status: 404)
        }
        let rows = tasks.map { Self.json($0, in: run) }
        return .json(["data": .object(Self.json(run).members + [JSON.Member(name: "tasks", value: .array(rows))]), "status": 200])
    }

    private static func json(_ task: RunReader.Task, in run: RunReader.Run) -> JSON {
        [
            "step_name": .string(task.step), "task_id": .string(task.identifier), "ts_epoch": .integer(task.started),
            "finished_at": JSON(task.finished), "attempts": .integer(task.attempts),
            "status": .string(state(of: task, in: run).rawValue), "last_heartbeat_ts": JSON(task.lastHeartbeat),
        ]
    }

    /// What a subscriber of `resource` is told of, by name: a list of runs, a run, or a run's tasks. Nothing for a resource that is not there.
    func rows(of resource: LiveResource) async throws -> [LiveRow] {
        switch resource {
        case .runs(let flow):
            return try await runs.runs(flow: flow, before: .max, limit: Self.runsPerPage, now: clock()).runs.map { LiveRow(name: "\($0.flow)/\($0.identifier)", since: $0.started, json: Self.json($0)) }
        case .run(let flow, let identifier):
            guard let (run, _) = try await runs.run(flow: flow, identifier: identifier, now: clock()) else { return [] }
            return [LiveRow(name: "\(run.flow)/\(run.identifier)", since: run.started, json: Self.json(run))]
        case .tasks(let flow, let identifier):
            guard let (run, tasks) = try await runs.run(flow: flow, identifier: identifier, now: clock()) else { return [] }
            return tasks.map { LiveRow(name: "\($0.step)/\($0.identifier)", since: $0.started, json: Self.json($0, in: run)) }
        }
    }

    private static func json(_ run: RunReader.Run) -> JSON {
        [
            "flow_id": .string(run.flow), "run_number": Int64(run.identifier).map(JSON.integer) ?? .string(run.identifier),
            "status": .string(run.state.rawValue), "user_name": .string(run.user), "ts_epoch": .integer(run.started),
            "finished_at": JSON(run.finished), "duration": JSON(run.finished.map { $0 - run.started }),
            "last_heartbeat_ts": JSON(run.lastHeartbeat), "heartbeats": .integer(run.heartbeats),
            "tags": .array(run.tags.map(JSON.string)), "system_tags": .array(run.systemTags.map(JSON.string)),
        ]
    }

    // MARK: Pages

    private func listPage(_ call: Call) async throws -> Reply {
        let now = clock()
        let flow = call.query["flow"].flatMap { $0.isEmpty ? nil : $0 }
        let before = call.query["before"].flatMap { Int64($0) } ?? .max
        let flows = try await runs.flows()
        let (list, next) = try await runs.runs(flow: flow, before: before, limit: Self.runsPerPage, now: now)
        let flowLinks = flows.map { entry -> HTML in
            let current: HTML = entry.name == flow ? " aria-current=\"page\"" : ""
            return "<a class=\"tag\" href=\"/?flow=\(PercentText.encoded(entry.name))\"\(current)>\(entry.name) (\(entry.runs))</a>"
        }
        let rows = list.map { run -> HTML in
            """
            <tr><td class="run"><a href="\(Self.address(of: run))">\(run.flow)/\(run.identifier)</a></td><td>\(Self.badge(run.state))</td>
            <td class="number">\(Moment.text(milliseconds: run.started))</td><td class="number">\(Self.duration(of: run, now))</td>
            <td>\(run.user)</td><td class="tags">\(run.tags.map { "<span class=\"tag\">\($0)</span>" })</td></tr>
            """
        }
        let table: HTML = rows.isEmpty
            ? "<p class=\"note\">No run is recorded yet. Point Metaflow here with METAFLOW_SERVICE_URL and run a flow.</p>"
            : """
            <div class="table" tabindex="0" role="region" aria-label="Runs"><table><thead><tr><th scope="col">Run</th><th scope="col">State</th><th scope="col">Started (UTC)</th>
            <th scope="col">Duration</th><th scope="col">User</th><th scope="col">Tags</th></tr></thead><tbody>\(rows)</tbody></table></div>
            """
        let flowPart = flow.map { "flow=\(PercentText.encoded($0))&" } ?? ""
        let older: HTML = if let next { "<p><a rel=\"next\" href=\"/?\(flowPart)before=\(next)\">Older runs</a></p>" } else { "" }
        let everything: HTML = flow == nil ? "" : "<a class=\"tag\" href=\"/\">all flows</a>"
        return Page(title: "Runs", body: """
            \(LivePage.notice)
            <header><h1>Runs</h1><p class="soft">Local platform, for development only. Times are UTC.</p></header>
            <main><nav aria-label="Flows">\(everything)\(flowLinks)</nav><h2>\(flow ?? "All flows")</h2>\(table)\(older)</main>
            """, script: LivePage.script, scriptData: flow.map { "/flows/\($0)/runs" } ?? "/runs").reply()
    }

    private func runPage(_ call: Call) async throws -> Reply {
        let now = clock()
        guard let (run, tasks) = try await runs.run(flow: call.parameter("flow"), identifier: call.parameter("run"), now: now) else {
            return Page(title: "Not found", body: """
                <main><h1>There is no run \(call.parameter("flow"))/\(call.parameter("run"))</h1>
                <p>The metadata service of this platform has recorded none under this name.</p><p><a href="/">All runs</a></p></main>
                """).reply(status: 404)
        }
        var steps: [(name: String, tasks: [RunReader.Task])] = []
        for task in tasks {
            if let index = steps.firstIndex(where: { $0.name == task.step }) {
                steps[index].tasks.append(task)
            } else {
                steps.append((name: task.step, tasks: [task]))
            }
        }
        let sections = steps.map { step -> HTML in
            let rows = step.tasks.map { task -> HTML in
                let seconds = ((task.finished ?? run.finished ?? now.milliseconds) - task.started) / 1000
                return """
                    <tr><td>\(task.identifier)</td><td>\(Self.badge(Self.state(of: task, in: run)))</td><td class="number">\(max(1, task.attempts))</td>
                    <td class="number">\(Moment.text(milliseconds: task.started))</td><td class="number">\(Moment.span(seconds: seconds))</td>
                    <td class="number">\(Self.age(of: task.lastHeartbeat, now))</td></tr>
                    """
            }
            return """
                <h2>\(step.name)</h2><div class="table" tabindex="0" role="region" aria-label="Tasks of \(step.name)"><table><thead><tr><th scope="col">Task</th><th scope="col">State</th>
                <th scope="col">Attempts</th><th scope="col">Started (UTC)</th><th scope="col">Duration</th><th scope="col">Heartbeat</th></tr></thead>
                <tbody>\(rows)</tbody></table></div>
                """
        }
        return Page(title: "\(run.flow)/\(run.identifier)", body: """
            \(LivePage.notice)
            <header><p><a href="/">All runs</a> · <a href="/?flow=\(PercentText.encoded(run.flow))">\(run.flow)</a></p>
            <h1>\(run.flow)/\(run.identifier)</h1>
            <p>\(Self.badge(run.state)) · started \(Moment.text(milliseconds: run.started)) UTC by \(run.user) · \(Self.duration(of: run, now))
            · heartbeat \(Self.age(of: run.lastHeartbeat, now)), \(run.heartbeats) recorded</p>
            <p>\(run.tags.map { "<span class=\"tag\">\($0)</span>" })</p><p class="soft">\(run.systemTags.joined(separator: " · "))</p></header>
            <main>\(sections.isEmpty ? ["<p class=\"note\">No task has started yet.</p>"] : sections)</main>
            """, script: LivePage.script, scriptData: "/flows/\(run.flow)/runs/\(run.identifier)/tasks").reply()
    }

    private static func address(of run: RunReader.Run) -> String {
        "/\(PercentText.encoded(run.flow))/\(PercentText.encoded(run.identifier))"
    }

    private static func badge(_ state: RunState) -> HTML { "<span class=\"state \(state.rawValue)\">\(state.rawValue)</span>" }

    /// A task without a verdict has ended with its run.
    private static func state(of task: RunReader.Task, in run: RunReader.Run) -> RunState {
        switch task.succeeded {
        case true?: .completed
        case false?: .failed
        case nil: run.state == .running ? .running : .failed
        }
    }

    private static func duration(of run: RunReader.Run, _ now: WallTime) -> String {
        Moment.span(seconds: run.seconds ?? (now.milliseconds - run.started) / 1000)
    }

    private static func age(of heartbeat: Int64?, _ now: WallTime) -> String {
        heartbeat.map { Moment.span(seconds: now.seconds - $0) + " ago" } ?? "none"
    }
}
