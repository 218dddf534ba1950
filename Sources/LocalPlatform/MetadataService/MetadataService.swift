/// The Metaflow metadata API: the routes, statuses and bodies of the Netflix metadata service. Bodies are JSON labelled
/// `text/plain`, as there; a heartbeat's is JSON in a JSON string, and Metaflow's client depends on that.
struct MetadataService: Sendable {
    /// Clients send heartbeats from 2.0.4, mutate tags from 2.3.0 and filter tasks from 2.5.0 on.
    static let version = "2.5.1"
    private static let versionField = ("METADATA_SERVICE_VERSION", version)
    private static let plain = "text/plain; charset=utf-8"
    private static let heartbeatBody = JSON.string(JSON.object([JSON.Member(name: "wait_time_in_seconds", value: .integer(MetadataStore.heartbeatSeconds))]).written())

    private let store: MetadataStore

    init(store: MetadataStore) { self.store = store }

    func answer(_ call: Call) async -> Reply {
        switch Self.table.match(call) {
        case .found(let call, let handler):
            do {
                return try await handler(store, call)
            } catch let fault as MetadataFault {
                let (status, body) = fault.reply
                return Self.reply(body, status: status)
            } catch {
                let (status, body) = MetadataFault.internalError(String(describing: error)).reply
                return Self.reply(body, status: status)
            }
        case .otherMethods(let methods):
            return Reply(status: 405, contentType: Self.plain, body: "405: Method Not Allowed", [("Allow", methods.joined(separator: ","))])
        case .unknownPath:
            return Reply(status: 404, contentType: Self.plain, body: "404: Not Found")
        }
    }

    private static func reply(_ body: JSON, status: Int = 200, _ fields: [(String, String)] = []) -> Reply {
        Reply(status: status, contentType: plain, body: body.written(), [versionField] + fields)
    }

    private static func object(_ call: Call) throws(MetadataFault) -> JSON {
        do {
            return try JSON(parsing: call.body)
        } catch {
            throw .internalError("the body is not JSON")
        }
    }

    private static let table: EndpointTable<MetadataStore> = {
        var table = EndpointTable<MetadataStore>()
        table.on("GET", "/ping") { _, _ in Reply(contentType: plain, body: "pong", [versionField]) }
        table.on("GET", "/version") { _, _ in Reply(contentType: plain, body: version) }
        table.on("GET", "/healthcheck") { _, _ in .json(["status": "UP"]) }

        let (flow, run) = ("/flows/{flow_id}", "/flows/{flow_id}/runs/{run_number}")
        let step = run + "/steps/{step_name}"
        let task = step + "/tasks/{task_id}"
        func read(_ template: String, _ handler: @escaping @Sendable (MetadataStore, ObjectPath, Call) async throws -> JSON) {
            table.on("GET", template) { reply(try await handler($0, ObjectPath($1), $1)) }
        }
        func create(
            _ template: String, name: String? = nil, _ handler: @escaping @Sendable (MetadataStore, ObjectPath, NewObject) async throws -> JSON
        ) {
            table.on("POST", template) { reply(try await handler($0, ObjectPath($1), NewObject(object($1), nameMember: name))) }
        }
        func list(
            _ template: String, _ handler: @escaping @Sendable (MetadataStore, ObjectPath, ListPage?) async throws -> (JSON, ListPage?)
        ) {
            table.on("GET", template) { store, call in
                let page = try ListPage(call.query)
                let (rows, next) = try await handler(store, ObjectPath(call), page)
                var fields = page.map { [("X-Limit", String($0.limit))] } ?? []
                if let next { fields.append(("X-Next-Cursor", next.cursor)) }
                return reply(rows, fields)
            }
        }
        func beat(_ template: String, _ handler: @escaping @Sendable (MetadataStore, ObjectPath) async throws -> Bool) {
            table.on("POST", template) { reply(heartbeatBody, status: try await handler($0, ObjectPath($1)) ? 200 : 404) }
        }

        read("/flows") { store, _, _ in try await store.flows() }
        read(flow) { store, path, _ in try await store.flow(path) }
        create(flow) { try await $0.createFlow($1, $2) }

        list(flow + "/runs") { try await $0.runs($1, page: $2) }
        read(run) { store, path, _ in try await store.run(path) }
        create(flow + "/run", name: "run_number") { try await $0.createRun($1, $2) }
        beat(run + "/heartbeat") { try await $0.beatRun($1) }
        table.on("PATCH", run + "/tag/mutate") { store, call in
            let body = try object(call)
            return reply(try await store.mutateTags(
                ObjectPath(call), add: try tags("tags_to_add", of: body), remove: try tags("tags_to_remove", of: body)))
        }

        read(run + "/steps") { store, path, _ in try await store.steps(path) }
        read(step) { store, path, _ in try await store.step(path) }
        create(step + "/step") { try await $0.createStep($1, $2) }

        list(step + "/tasks") { try await $0.tasks($1, page: $2) }
        read(step + "/filtered_tasks") {
            try await $0.filteredTasks($1, field: $2.query["metadata_field_name"], pattern: $2.query["pattern"])
        }
        read(task) { store, path, _ in try await store.task(path) }
        create(step + "/task", name: "task_id") { try await $0.createTask($1, $2) }
        beat(task + "/heartbeat") { try await $0.beatTask($1) }

        read(run + "/metadata") { store, path, _ in try await store.metadata(path) }
        read(task + "/metadata") { store, path, _ in try await store.metadata(path) }
        table.on("POST", task + "/metadata") { reply(try await $0.createMetadata(ObjectPath($1), object($1))) }

        read(run + "/artifacts") { store, path, _ in try await store.artifacts(path) }
        read(step + "/artifacts") { store, path, _ in try await store.artifacts(path) }
        read(task + "/artifacts") { store, path, _ in try await store.artifacts(path) }
        read(task + "/attempt/{attempt_id}/artifacts") { try await $0.artifacts($1, attempt: attempt($2)) }
        read(task + "/artifacts/{artifact_name}") { try await $0.artifact($1, name: $2.parameter("artifact_name"), attempt: nil) }
        read(task + "/artifacts/{artifact_name}/attempt/{attempt_id}") {
            try await $0.artifact($1, name: $2.parameter("artifact_name"), attempt: attempt($2))
        }
        table.on("POST", task + "/artifact") { reply(try await $0.createArtifacts(ObjectPath($1), object($1))) }
        return table
    }()

    private static func attempt(_ call: Call) throws(MetadataFault) -> Int64 {
        guard let number = Int64(call.parameter("attempt_id")) else { throw .internalError("attempt_id must be an integer") }
        return number
    }

    private static func tags(_ name: String, of body: JSON) throws(MetadataFault) -> [String] {
        guard let value = body[name] else { return [] }
        guard case .array = value else { throw .badRequest("\(name) must be a list") }
        guard let tags = value.strings else { throw .badRequest("All tag values must be strings") }
        return tags
    }
}
