internal import GRDB
internal import GatewayTerms

/// The records of runs. Rows come out as the JSON of the real service; steps, tasks and artifacts show their run's tags.
struct MetadataStore: Sendable {
    let database: DatabasePool
    let clock: @Sendable () -> WallTime

    /// A beat counts when the last one is at least this old; an earlier one is answered 404.
    static let heartbeatSeconds: Int64 = 10

    // MARK: Flows

    func flows() async throws -> JSON {
        try await database.read { .array(try Row.fetchAll($0, sql: "SELECT * FROM flows ORDER BY ts_epoch DESC, rowid DESC").map(Self.flow)) }
    }

    func flow(_ path: ObjectPath) async throws -> JSON {
        try await database.read { database in
            guard let row = try Row.fetchOne(database, sql: "SELECT * FROM flows WHERE flow_id = ?", arguments: [path.flow]) else {
                throw MetadataFault.notFound
            }
            return Self.flow(row)
        }
    }

    func createFlow(_ path: ObjectPath, _ new: NewObject) async throws -> JSON {
        let now = clock().milliseconds
        return try await database.write { database in
            guard try Row.fetchOne(database, sql: "SELECT 1 FROM flows WHERE flow_id = ?", arguments: [path.flow]) == nil else {
                throw MetadataFault.alreadyExists("duplicate key value violates unique constraint \"flows_v3_pkey\"")
            }
            try database.execute(
                sql: "INSERT INTO flows (flow_id, user_name, ts_epoch, tags, system_tags) VALUES (?, ?, ?, ?, ?)",
                arguments: [path.flow, new.userName, now, new.tags, new.systemTags])
            return Self.flow(try Row.fetchOne(database, sql: "SELECT * FROM flows WHERE flow_id = ?", arguments: [path.flow]) ?? Row())
        }
    }

    // MARK: Runs

    func runs(_ path: ObjectPath, page: ListPage?) async throws -> (JSON, ListPage?) {
        try await listing(
            "SELECT *, run_number AS position FROM runs WHERE flow_id = ?", [path.flow], page: page, row: Self.run)
    }

    func run(_ path: ObjectPath) async throws -> JSON {
        try await database.read { Self.run(try Self.runRow($0, path)) }
    }

    func createRun(_ path: ObjectPath, _ new: NewObject) async throws -> JSON {
        let now = clock()
        return try await database.write { database in
            if let name = new.name, case .number = ObjectReference(name) {
                throw MetadataFault.internalError("provided run_id may not be a numeric")
            }
            guard try Row.fetchOne(database, sql: "SELECT 1 FROM flows WHERE flow_id = ?", arguments: [path.flow]) != nil else {
                throw MetadataFault.noParent("insert or update on table \"runs_v3\" violates foreign key constraint \"runs_v3_flow_id_fkey\"")
            }
            if let name = new.name,
                try Row.fetchOne(database, sql: "SELECT 1 FROM runs WHERE flow_id = ? AND run_id = ?", arguments: [path.flow, name]) != nil
            {
                throw MetadataFault.alreadyExists("duplicate key value violates unique constraint \"runs_v3_flow_id_run_id_key\"")
            }
            let beat = HeartbeatCapability.isAnnounced(in: new.systemTagList) ? now.seconds : nil
            try database.execute(
                sql: "INSERT INTO runs (flow_id, run_id, user_name, ts_epoch, last_heartbeat_ts, tags, system_tags) VALUES (?, ?, ?, ?, ?, ?, ?)",
                arguments: [path.flow, new.name, new.userName, now.milliseconds, beat, new.tags, new.systemTags])
            var created = path
            created.run = .number(database.lastInsertedRowID)
            return Self.run(try Self.runRow(database, created))
        }
    }

    func beatRun(_ path: ObjectPath) async throws -> Bool {
        let now = clock().seconds
        return try await database.write { try Self.beatRun($0, path, at: now) }
    }

    /// Removals first, then additions; system tags can be neither removed nor added. SQLite lets one writer in at a time, so
    /// the real service's 409 for a concurrent change cannot happen.
    func mutateTags(_ path: ObjectPath, add: [String], remove: [String]) async throws -> JSON {
        try await database.write { database in
            let row = try Self.runRow(database, path)
            func strings(_ column: String) -> [String] {
                (try? JSON(parsing: Array((row[column] as String).utf8)))?.strings ?? []
            }
            let (old, system) = (strings("tags"), Set(strings("system_tags")))
            let forbidden = system.intersection(remove)
            guard forbidden.isEmpty else {
                throw MetadataFault.unprocessable("Cannot remove tags that are existing system tags {\(forbidden.sorted().map { "'\($0)'" }.joined(separator: ", "))}")
            }
            let removed = Set(remove)
            var tags = old.filter { !removed.contains($0) }
            for tag in add where !system.contains(tag) && !tags.contains(tag) { tags.append(tag) }
            let value = JSON.array(tags.map(JSON.string))
            if tags != old {
                try database.execute(
                    sql: "UPDATE runs SET tags = ? WHERE run_number = ?", arguments: [value.written(), row["run_number"] as Int64])
            }
            return ["tags": value]
        }
    }

    // MARK: Steps

    func steps(_ path: ObjectPath) async throws -> JSON {
        try await database.read { database in
            let (conditions, arguments) = Self.conditions(path, "s")
            return .array(try Row.fetchAll(
                database, sql: "\(Self.stepSelection) WHERE \(conditions) ORDER BY s.ts_epoch DESC, s.rowid DESC", arguments: arguments
            ).map(Self.step))
        }
    }

    func step(_ path: ObjectPath) async throws -> JSON {
        try await database.read { database in
            guard let row = try Self.stepRow(database, path) else { throw MetadataFault.notFound }
            return Self.step(row)
        }
    }

    func createStep(_ path: ObjectPath, _ new: NewObject) async throws -> JSON {
        let now = clock().milliseconds
        return try await database.write { database in
            let run = try Self.parentRun(database, path)
            guard try Self.stepRow(database, path) == nil else {
                throw MetadataFault.alreadyExists("duplicate key value violates unique constraint \"steps_v3_pkey\"")
            }
            try database.execute(
                sql: """
                    INSERT INTO steps (flow_id, run_number, run_id, step_name, user_name, ts_epoch, tags, system_tags)
                    VALUES (?, ?, ?, ?, ?, ?, ?, ?)
                    """,
                arguments: [
                    path.flow, run["run_number"] as Int64, run["run_id"] as String?, path.step, new.userName ?? "", now, new.tags,
                    new.systemTags,
                ])
            guard let row = try Self.stepRow(database, path) else { throw MetadataFault.notFound }
            return Self.step(row)
        }
    }

    // MARK: Tasks

    func tasks(_ path: ObjectPath, page: ListPage?) async throws -> (JSON, ListPage?) {
        let (conditions, arguments) = Self.conditions(path, "t")
        return try await listing("\(Self.taskSelection) WHERE \(conditions)", arguments, page: page, row: Self.task)
    }

    func task(_ path: ObjectPath) async throws -> JSON {
        try await database.read { database in
            guard let row = try Self.taskRow(database, path) else { throw MetadataFault.notFound }
            return Self.task(row)
        }
    }

    func createTask(_ path: ObjectPath, _ new: NewObject) async throws -> JSON {
        let now = clock()
        return try await database.write { database in
            if let name = new.name, case .number = ObjectReference(name) {
                throw MetadataFault.message("provided task_name may not be a numeric")
            }
            let run = try Self.parentRun(database, path)
            guard try Self.stepRow(database, path) != nil else {
                throw MetadataFault.noParent("insert or update on table \"tasks_v3\" violates foreign key constraint \"tasks_v3_flow_id_fkey\"")
            }
            var created = path
            if let name = new.name {
                created.task = .name(name)
                guard try Self.taskRow(database, created) == nil else {
                    throw MetadataFault.alreadyExists("duplicate key value violates unique constraint \"tasks_v3_flow_id_run_number_step_name_task_name_key\"")
                }
            }
            let beats = HeartbeatCapability.isAnnounced(in: new.systemTagList)
            try database.execute(
                sql: """
                    INSERT INTO tasks (flow_id, run_number, run_id, step_name, task_name, user_name, ts_epoch, last_heartbeat_ts, tags, system_tags)
                    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                    """,
                arguments: [
                    path.flow, run["run_number"] as Int64, run["run_id"] as String?, path.step, new.name, new.userName, now.milliseconds,
                    beats ? now.seconds : nil, new.tags, new.systemTags,
                ])
            created.task = .number(database.lastInsertedRowID)
            if beats { _ = try Self.beatRun(database, path, at: now.seconds) }
            guard let row = try Self.taskRow(database, created) else { throw MetadataFault.notFound }
            return Self.task(row)
        }
    }

    /// A task's beat is one of its run too.
    func beatTask(_ path: ObjectPath) async throws -> Bool {
        let now = clock().seconds
        return try await database.write { database in
            _ = try Self.beatRun(database, path, at: now)
            guard let row = try Self.taskRow(database, path) else { return false }
            try database.execute(
                sql: """
                    UPDATE tasks SET last_heartbeat_ts = ?, heartbeats = heartbeats + 1
                    WHERE task_id = ? AND (last_heartbeat_ts IS NULL OR last_heartbeat_ts <= ?)
                    """,
                arguments: [now, row["task_id"] as Int64, now - Self.heartbeatSeconds])
            return database.changesCount > 0
        }
    }

    /// Pathspecs of the step's tasks that have a metadata entry of that name (if given) whose value matches the pattern (if given).
    func filteredTasks(_ path: ObjectPath, field: String?, pattern: String?) async throws -> JSON {
        try await database.read { database in
            var matcher: Regex<AnyRegexOutput>?
            if let pattern {
                do {
                    matcher = try Regex(pattern).matchingSemantics(.unicodeScalar)
                } catch {
                    throw MetadataFault.internalError("invalid regular expression: \(pattern)")
                }
            }
            var (conditions, arguments) = Self.conditions(path, "m")
            if let field {
                conditions += " AND m.field_name = ?"
                arguments += [field]
            }
            let rows = try Row.fetchCursor(
                database,
                sql: """
                    SELECT m.flow_id, m.run_number, m.run_id, m.step_name, m.task_id, m.task_name, m.value
                    FROM metadata m WHERE \(conditions) ORDER BY m.task_id, m.id
                    """,
                arguments: arguments)
            var pathspecs: [String] = []
            while let row = try rows.next() {
                if let matcher {
                    guard let value = row["value"] as String?, (try? matcher.firstMatch(in: value)) != nil else { continue }
                }
                let run = row["run_id"] as String? ?? String(row["run_number"] as Int64)
                let task = row["task_name"] as String? ?? String(row["task_id"] as Int64)
                let pathspec = "\(row["flow_id"] as String)/\(run)/\(row["step_name"] as String)/\(task)"
                if pathspecs.last != pathspec { pathspecs.append(pathspec) }
            }
            return .array(pathspecs.map(JSON.string))
        }
    }

    // MARK: Metadata

    func metadata(_ path: ObjectPath) async throws -> JSON {
        try await database.read { database in
            let (conditions, arguments) = Self.conditions(path, "m")
            return .array(try Row.fetchAll(database, sql: "SELECT * FROM metadata m WHERE \(conditions) ORDER BY m.id", arguments: arguments).map(Self.metadata))
        }
    }

    func createMetadata(_ path: ObjectPath, _ body: JSON) async throws -> JSON {
        let now = clock().milliseconds
        guard case .array(let entries) = body else { throw MetadataFault.internalError("the body must be a JSON array") }
        return try await database.write { database in
            guard let task = try Self.taskRow(database, path) else { throw MetadataFault.message("need to register run_id and task_id first") }
            let statement = try database.makeStatement(sql: """
                INSERT INTO metadata (flow_id, run_number, run_id, step_name, task_id, task_name, field_name, value, type, user_name, ts_epoch, tags, system_tags)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                """)
            for entry in entries {
                try statement.execute(arguments: [
                    path.flow, task["run_number"] as Int64, task["run_id"] as String?, path.step, task["task_id"] as Int64,
                    task["task_name"] as String?, Self.text(entry["field_name"]) ?? " ", Self.text(entry["value"]) ?? " ",
                    Self.text(entry["type"]) ?? " ", Self.text(entry["user_name"]), now, (entry["tags"] ?? .null).written(),
                    (entry["system_tags"] ?? .null).written(),
                ])
            }
            return ["metadata_created": .integer(Int64(entries.count))]
        }
    }

    // MARK: Artifacts

    /// Below a run, step or task: of each task, those of `attempt`, or of its latest one.
    func artifacts(_ path: ObjectPath, attempt: Int64? = nil) async throws -> JSON {
        try await database.read { database in
            let (conditions, arguments) = Self.conditions(path, "a")
            let rows = try Row.fetchAll(
                database, sql: "\(Self.artifactSelection) WHERE \(conditions) ORDER BY a.attempt_id DESC, a.rowid", arguments: arguments)
            var latest: [Int64: Int64] = [:]
            for row in rows {
                let task: Int64 = row["task_id"]
                latest[task] = max(row["attempt_id"], latest[task] ?? 0)
            }
            return .array(rows.filter { row in row["attempt_id"] == (attempt ?? latest[row["task_id"]] ?? 0) }.map(Self.artifact))
        }
    }

    /// One artifact. Without an attempt it is looked for in the task's latest one, which is the latest to have an artifact called
    /// `name`: every attempt stores that.
    func artifact(_ path: ObjectPath, name: String, attempt: Int64?) async throws -> JSON {
        try await database.read { database in
            let (conditions, arguments) = Self.conditions(path, "a")
            let latest = try attempt ?? Int64.fetchOne(
                database, sql: "SELECT max(a.attempt_id) FROM artifacts a WHERE \(conditions) AND a.name = 'name'", arguments: arguments) ?? 0
            guard let row = try Row.fetchOne(
                database, sql: "\(Self.artifactSelection) WHERE \(conditions) AND a.name = ? AND a.attempt_id = ?",
                arguments: arguments + [name, latest])
            else { throw MetadataFault.notFound }
            return Self.artifact(row)
        }
    }

    func createArtifacts(_ path: ObjectPath, _ body: JSON) async throws -> JSON {
        let now = clock().milliseconds
        guard case .array(let artifacts) = body else { throw MetadataFault.internalError("the body must be a JSON array") }
        return try await database.write { database in
            guard let task = try Self.taskRow(database, path) else { throw MetadataFault.message("need to register run_id and task_id first") }
            let statement = try database.makeStatement(sql: """
                INSERT OR IGNORE INTO artifacts (flow_id, run_number, run_id, step_name, task_id, task_name, name, location, ds_type, sha, type,
                    content_type, user_name, attempt_id, ts_epoch, tags, system_tags)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                """)
            var created: Int64 = 0
            for artifact in artifacts {
                func text(_ name: String) -> String { Self.text(artifact[name]) ?? " " }
                try statement.execute(arguments: [
                    path.flow, task["run_number"] as Int64, task["run_id"] as String?, path.step, task["task_id"] as Int64,
                    task["task_name"] as String?, text("name"), text("location"), text("ds_type"), text("sha"), text("type"),
                    text("content_type"), text("user_name"), artifact["attempt_id"]?.integerValue ?? 0, now,
                    (artifact["tags"] ?? .null).written(), (artifact["system_tags"] ?? .null).written(),
                ])
                created += Int64(database.changesCount)
            }
            return ["artifacts_created": .integer(created)]
        }
    }
}

// MARK: - Rows

extension MetadataStore {
    private static let stepSelection = """
        SELECT s.*, r.tags AS run_tags, r.system_tags AS run_system_tags FROM steps s JOIN runs r ON r.run_number = s.run_number
        """
    private static let taskSelection = """
        SELECT t.*, t.task_id AS position, r.tags AS run_tags, r.system_tags AS run_system_tags
        FROM tasks t JOIN runs r ON r.run_number = t.run_number
        """
    private static let artifactSelection = """
        SELECT a.*, r.tags AS run_tags, r.system_tags AS run_system_tags FROM artifacts a JOIN runs r ON r.run_number = a.run_number
        """

    /// The path as SQL conditions on the columns of `table`.
    private static func conditions(_ path: ObjectPath, _ table: String) -> (String, StatementArguments) {
        var conditions = "\(table).flow_id = ?"
        var arguments: StatementArguments = [path.flow]
        switch path.run {
        case .number(let number): (conditions, arguments) = (conditions + " AND \(table).run_number = ?", arguments + [number])
        case .name(let name): (conditions, arguments) = (conditions + " AND \(table).run_id = ?", arguments + [name])
        case nil: break
        }
        if let step = path.step { (conditions, arguments) = (conditions + " AND \(table).step_name = ?", arguments + [step]) }
        switch path.task {
        case .number(let number): (conditions, arguments) = (conditions + " AND \(table).task_id = ?", arguments + [number])
        case .name(let name): (conditions, arguments) = (conditions + " AND \(table).task_name = ?", arguments + [name])
        case nil: break
        }
        return (conditions, arguments)
    }

    private static func runRow(_ database: Database, _ path: ObjectPath) throws -> Row {
        var run = path
        (run.step, run.task) = (nil, nil)
        let (conditions, arguments) = conditions(run, "r")
        guard let row = try Row.fetchOne(database, sql: "SELECT * FROM runs r WHERE \(conditions)", arguments: arguments) else {
            throw MetadataFault.notFound
        }
        return row
    }

    /// The run of a step or task to be made; where there is none, the real service runs into an exception.
    private static func parentRun(_ database: Database, _ path: ObjectPath) throws -> Row {
        do {
            return try runRow(database, path)
        } catch MetadataFault.notFound {
            throw MetadataFault.internalError("no such run")
        }
    }

    private static func stepRow(_ database: Database, _ path: ObjectPath) throws -> Row? {
        var step = path
        step.task = nil
        let (conditions, arguments) = conditions(step, "s")
        return try Row.fetchOne(database, sql: "\(stepSelection) WHERE \(conditions)", arguments: arguments)
    }

    private static func taskRow(_ database: Database, _ path: ObjectPath) throws -> Row? {
        let (conditions, arguments) = conditions(path, "t")
        return try Row.fetchOne(database, sql: "\(taskSelection) WHERE \(conditions)", arguments: arguments)
    }

    private static func beatRun(_ database: Database, _ path: ObjectPath, at now: Int64) throws -> Bool {
        var run = path
        (run.step, run.task) = (nil, nil)
        let (conditions, arguments) = conditions(run, "runs")
        try database.execute(
            sql: """
                UPDATE runs SET last_heartbeat_ts = ?, heartbeats = heartbeats + 1
                WHERE \(conditions) AND (last_heartbeat_ts IS NULL OR last_heartbeat_ts <= ?)
                """,
            arguments: [now] + arguments + [now - heartbeatSeconds])
        return database.changesCount > 0
    }

    /// Newest first; with a page, that many from its cursor on, and where the next page begins.
    private func listing(
        _ selection: String, _ arguments: StatementArguments, page: ListPage?, row makeJSON: @Sendable @escaping (Row) -> JSON
    ) async throws -> (JSON, ListPage?) {
        try await database.read { database in
            guard let page else {
                let rows = try Row.fetchAll(database, sql: "SELECT * FROM (\(selection)) ORDER BY position DESC", arguments: arguments)
                return (.array(rows.map(makeJSON)), nil)
            }
            let rows = try Row.fetchAll(
                database, sql: "SELECT * FROM (\(selection)) WHERE position < ? ORDER BY position DESC LIMIT ?",
                arguments: arguments + [page.before, page.limit + 1])
            let shown = rows.prefix(page.limit)
            let next = rows.count > page.limit ? shown.last.map { ListPage(limit: page.limit, before: $0["position"]) } : nil
            return (.array(shown.map(makeJSON)), next)
        }
    }

    private static func flow(_ row: Row) -> JSON {
        ["flow_id": .string(row["flow_id"]), "user_name": JSON(row["user_name"] as String?), "ts_epoch": .integer(row["ts_epoch"]),
         "tags": .text(row["tags"]), "system_tags": .text(row["system_tags"])]
    }

    private static func runNumber(_ row: Row) -> JSON {
        (row["run_id"] as String?).map(JSON.string) ?? .integer(row["run_number"])
    }

    private static func taskIdentifier(_ row: Row) -> JSON {
        (row["task_name"] as String?).map(JSON.string) ?? .integer(row["task_id"])
    }

    private static func run(_ row: Row) -> JSON {
        ["flow_id": .string(row["flow_id"]), "run_number": runNumber(row), "user_name": JSON(row["user_name"] as String?),
         "ts_epoch": .integer(row["ts_epoch"]), "tags": .text(row["tags"]), "system_tags": .text(row["system_tags"]),
         "last_heartbeat_ts": JSON(row["last_heartbeat_ts"] as Int64?)]
    }

    private static func step(_ row: Row) -> JSON {
        ["flow_id": .string(row["flow_id"]), "run_number": runNumber(row), "step_name": .string(row["step_name"]),
         "user_name": JSON(row["user_name"] as String?), "ts_epoch": .integer(row["ts_epoch"]), "tags": .text(row["run_tags"]),
         "system_tags": .text(row["run_system_tags"])]
    }

    private static func task(_ row: Row) -> JSON {
        ["flow_id": .string(row["flow_id"]), "run_number": runNumber(row), "step_name": .string(row["step_name"]),
         "task_id": taskIdentifier(row), "user_name": JSON(row["user_name"] as String?), "ts_epoch": .integer(row["ts_epoch"]),
         "tags": .text(row["run_tags"]), "system_tags": .text(row["run_system_tags"]),
         "last_heartbeat_ts": JSON(row["last_heartbeat_ts"] as Int64?)]
    }

    private static func metadata(_ row: Row) -> JSON {
        ["id": .integer(row["id"]), "flow_id": .string(row["flow_id"]), "run_number": runNumber(row), "step_name": .string(row["step_name"]),
         "task_id": taskIdentifier(row), "field_name": .string(row["field_name"]), "value": JSON(row["value"] as String?),
         "type": JSON(row["type"] as String?), "user_name": JSON(row["user_name"] as String?), "ts_epoch": .integer(row["ts_epoch"]),
         "tags": .text(row["tags"]), "system_tags": .text(row["system_tags"])]
    }

    private static func artifact(_ row: Row) -> JSON {
        ["flow_id": .string(row["flow_id"]), "run_number": runNumber(row), "step_name": .string(row["step_name"]),
         "task_id": taskIdentifier(row), "name": .string(row["name"]), "location": JSON(row["location"] as String?),
         "ds_type": JSON(row["ds_type"] as String?), "sha": JSON(row["sha"] as String?), "type": JSON(row["type"] as String?),
         "content_type": JSON(row["content_type"] as String?), "user_name": JSON(row["user_name"] as String?),
         "attempt_id": .integer(row["attempt_id"]), "ts_epoch": .integer(row["ts_epoch"]), "tags": .text(row["run_tags"]),
         "system_tags": .text(row["run_system_tags"])]
    }

    /// A member as the text column keeps it.
    private static func text(_ value: JSON?) -> String? {
        switch value {
        case nil, .null: nil
        case .string(let text): text
        case .some(let other): other.written()
        }
    }
}
