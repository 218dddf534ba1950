internal import GRDB
internal import GatewayTerms

/// Reads runs, steps and tasks for people.
struct RunReader: Sendable {
    let database: DatabasePool

    struct Run: Sendable {
        var flow: String
        var identifier: String
        var user: String
        /// Milliseconds.
        var started: Int64
        /// When its last task ended, in milliseconds; nothing while it runs.
        var finished: Int64?
        var lastHeartbeat: Int64?
        var heartbeats: Int64
        var tags: [String]
        var systemTags: [String]
        var state: RunState

        var seconds: Int64? { finished.map { max(0, $0 - started) / 1000 } }
    }

    struct Flow: Sendable {
        var name: String
        var runs: Int64
    }

    struct Task: Sendable {
        var step: String
        var identifier: String
        var started: Int64
        var finished: Int64?
        var attempts: Int64
        /// Of the last attempt; nothing while it runs.
        var succeeded: Bool?
        var lastHeartbeat: Int64?
    }

    func flows() async throws -> [Flow] {
        try await database.read { database in
            try Row.fetchAll(
                database,
                sql: "SELECT f.flow_id, count(r.run_number) AS runs FROM flows f LEFT JOIN runs r USING (flow_id) GROUP BY f.flow_id ORDER BY f.flow_id"
            ).map { Flow(name: $0["flow_id"], runs: $0["runs"]) }
        }
    }

    /// Newest first, `limit` of them below `before`, of one flow or of all.
    func runs(flow: String?, before: Int64, limit: Int, now: WallTime) async throws -> (runs: [Run], next: Int64?) {
        try await database.read { database in
            let rows = try Row.fetchAll(
                database,
                sql: "\(Self.selection) WHERE r.run_number < ? AND (?2 IS NULL OR r.flow_id = ?2) ORDER BY r.run_number DESC LIMIT ?3",
                arguments: [before, flow, limit + 1])
            let shown = Array(rows.prefix(limit))
            return (shown.map { Self.run($0, now) }, rows.count > limit ? shown.last?["run_number"] : nil)
        }
    }

    /// A run and its tasks in the order of their start. Metaflow's own steps (`_parameters`) are not shown: nothing is executed there.
    func run(flow: String, identifier: String, now: WallTime) async throws -> (run: Run, tasks: [Task])? {
        try await database.read { database in
            let condition: String
            let argument: DatabaseValue
            switch ObjectReference(identifier) {
            case .number(let number): (condition, argument) = ("r.run_number = ?", number.databaseValue)
            case .name(let name): (condition, argument) = ("r.run_id = ?", name.databaseValue)
            }
            guard let row = try Row.fetchOne(database, sql: "\(Self.selection) WHERE r.flow_id = ? AND \(condition)", arguments: [flow, argument]) else {
                return nil
            }
            let tasks = try Row.fetchAll(
                database,
                sql: """
                    SELECT t.step_name, t.task_id, t.task_name, t.ts_epoch, t.last_heartbeat_ts,
                      (SELECT count(*) FROM metadata m WHERE \(Self.ofTask) AND m.field_name = 'attempt') AS attempts,
                      (SELECT max(m.id) FROM metadata m WHERE \(Self.ofTask) AND m.field_name = 'attempt') AS last_start,
                      ok.id AS ok_id, ok.value AS ok_value, ok.ts_epoch AS ok_time
                    FROM tasks t LEFT JOIN metadata ok ON ok.id =
                      (SELECT max(m.id) FROM metadata m WHERE \(Self.ofTask) AND m.field_name = 'attempt_ok')
                    WHERE t.flow_id = ? AND t.run_number = ? AND substr(t.step_name, 1, 1) <> '_' ORDER BY t.task_id
                    """,
                arguments: [flow, row["run_number"] as Int64])
            return (Self.run(row, now), tasks.map(Self.task))
        }
    }

    private static let ofTask = "m.flow_id = t.flow_id AND m.run_number = t.run_number AND m.step_name = t.step_name AND m.task_id = t.task_id"

    /// A run with what its state is derived from: the last verdict on `end`, and whether some task's last verdict is bad.
    private static let selection = """
        SELECT r.*,
          (SELECT m.value FROM metadata m WHERE m.flow_id = r.flow_id AND m.run_number = r.run_number AND m.step_name = 'end'
            AND m.field_name = 'attempt_ok' ORDER BY m.id DESC LIMIT 1) AS end_ok,
          (SELECT max(m.ts_epoch) FROM metadata m WHERE m.flow_id = r.flow_id AND m.run_number = r.run_number
            AND m.field_name = 'attempt_ok') AS last_end,
          EXISTS (SELECT 1 FROM metadata m WHERE m.flow_id = r.flow_id AND m.run_number = r.run_number AND m.field_name = 'attempt_ok'
            AND lower(m.value) = 'false' AND NOT EXISTS (SELECT 1 FROM metadata n WHERE n.flow_id = m.flow_id AND n.run_number = m.run_number
              AND n.step_name = m.step_name AND n.task_id = m.task_id AND n.id > m.id AND n.field_name IN ('attempt', 'attempt_ok'))) AS has_failed
        FROM runs r
        """

    private static func run(_ row: Row, _ now: WallTime) -> Run {
        func strings(_ column: String) -> [String] { (try? JSON(parsing: Array((row[column] as String).utf8)))?.strings ?? [] }
        let started: Int64 = row["ts_epoch"]
        let beat: Int64? = row["last_heartbeat_ts"]
        let state = RunState.derived(
            endSucceeded: (row["end_ok"] as String?).map { $0.lowercased() == "true" }, hasFailedTask: row["has_failed"],
            lastSign: beat ?? started / 1000, now: now.seconds)
        let lastEnd: Int64? = row["last_end"]
        return Run(
            flow: row["flow_id"], identifier: row["run_id"] as String? ?? String(row["run_number"] as Int64),
            user: row["user_name"] as String? ?? "", started: started, finished: state == .running ? nil : lastEnd ?? beat.map { $0 * 1000 },
            lastHeartbeat: beat, heartbeats: row["heartbeats"], tags: strings("tags"), systemTags: strings("system_tags"), state: state)
    }

    private static func task(_ row: Row) -> Task {
        // A verdict older than the last attempt's start belongs to an earlier attempt.
        let verdict = (row["ok_id"] as Int64?).map { $0 > (row["last_start"] as Int64? ?? 0) } ?? false
        return Task(
            step: row["step_name"], identifier: row["task_name"] as String? ?? String(row["task_id"] as Int64), started: row["ts_epoch"],
            finished: verdict ? row["ok_time"] : nil, attempts: row["attempts"],
            succeeded: verdict ? (row["ok_value"] as String?)?.lowercased() == "true" : nil, lastHeartbeat: row["last_heartbeat_ts"])
    }
}
