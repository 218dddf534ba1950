internal import GRDB

/// The SQLite database (write-ahead log): what a service has answered for is committed, so SIGKILL loses nothing of it.
enum StateDatabase {
    static func open(at path: String) throws(PlatformError) -> DatabasePool {
        do {
            var configuration = Configuration()
            configuration.busyMode = .timeout(5)
            configuration.foreignKeysEnabled = true
            configuration.maximumReaderCount = 4
            let database = try DatabasePool(path: path, configuration: configuration)
            try migrator.migrate(database)
            return database
        } catch {
            throw .cannotUseState(directory: path, reason: String(describing: error))
        }
    }

    private static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("metadata", migrate: createMetadataTables)
        migrator.registerMigration("identity", migrate: createIdentityTables)
        return migrator
    }

    /// The keys and constraints of the metadata service's own tables: run numbers and task ids count across all flows.
    @Sendable private static func createMetadataTables(_ database: Database) throws {
        try database.execute(sql: """
            CREATE TABLE flows (
                flow_id TEXT PRIMARY KEY, user_name TEXT, ts_epoch INTEGER NOT NULL, tags TEXT NOT NULL, system_tags TEXT NOT NULL);
            CREATE TABLE runs (
                run_number INTEGER PRIMARY KEY AUTOINCREMENT, flow_id TEXT NOT NULL REFERENCES flows, run_id TEXT, user_name TEXT,
                ts_epoch INTEGER NOT NULL, last_heartbeat_ts INTEGER, heartbeats INTEGER NOT NULL DEFAULT 0,
                tags TEXT NOT NULL, system_tags TEXT NOT NULL, UNIQUE (flow_id, run_number), UNIQUE (flow_id, run_id));
            CREATE TABLE steps (
                flow_id TEXT NOT NULL, run_number INTEGER NOT NULL, run_id TEXT, step_name TEXT NOT NULL, user_name TEXT,
                ts_epoch INTEGER NOT NULL, tags TEXT NOT NULL, system_tags TEXT NOT NULL,
                PRIMARY KEY (flow_id, run_number, step_name), FOREIGN KEY (flow_id, run_number) REFERENCES runs (flow_id, run_number));
            CREATE TABLE tasks (
                task_id INTEGER PRIMARY KEY AUTOINCREMENT, flow_id TEXT NOT NULL, run_number INTEGER NOT NULL, run_id TEXT,
                step_name TEXT NOT NULL, task_name TEXT, user_name TEXT, ts_epoch INTEGER NOT NULL, last_heartbeat_ts INTEGER,
                heartbeats INTEGER NOT NULL DEFAULT 0, tags TEXT NOT NULL, system_tags TEXT NOT NULL,
                UNIQUE (flow_id, run_number, step_name, task_name),
                FOREIGN KEY (flow_id, run_number, step_name) REFERENCES steps (flow_id, run_number, step_name));
            CREATE INDEX tasks_of_step ON tasks (flow_id, run_number, step_name);
            CREATE TABLE metadata (
                id INTEGER PRIMARY KEY AUTOINCREMENT, flow_id TEXT NOT NULL, run_number INTEGER NOT NULL, run_id TEXT,
                step_name TEXT NOT NULL, task_id INTEGER NOT NULL REFERENCES tasks, task_name TEXT, field_name TEXT NOT NULL,
                value TEXT, type TEXT, user_name TEXT, ts_epoch INTEGER NOT NULL, tags TEXT NOT NULL, system_tags TEXT NOT NULL);
            CREATE INDEX metadata_of_task ON metadata (flow_id, run_number, step_name, task_id);
            CREATE TABLE artifacts (
                flow_id TEXT NOT NULL, run_number INTEGER NOT NULL, run_id TEXT, step_name TEXT NOT NULL,
                task_id INTEGER NOT NULL REFERENCES tasks, task_name TEXT, name TEXT NOT NULL, location TEXT, ds_type TEXT, sha TEXT,
                type TEXT, content_type TEXT, user_name TEXT, attempt_id INTEGER NOT NULL, ts_epoch INTEGER NOT NULL,
                tags TEXT NOT NULL, system_tags TEXT NOT NULL,
                PRIMARY KEY (flow_id, run_number, step_name, task_id, attempt_id, name));
            """)
    }

    /// Codes, tokens and logins are kept as SHA-256 only.
    @Sendable private static func createIdentityTables(_ database: Database) throws {
        try database.execute(sql: """
            CREATE TABLE logins (
                digest TEXT PRIMARY KEY, pool TEXT NOT NULL, username TEXT NOT NULL, auth_time INTEGER NOT NULL, expires INTEGER NOT NULL);
            CREATE TABLE families (
                origin_jti TEXT PRIMARY KEY, pool TEXT NOT NULL, client TEXT NOT NULL, username TEXT NOT NULL, scope TEXT NOT NULL,
                auth_time INTEGER NOT NULL, expires INTEGER NOT NULL, revoked INTEGER NOT NULL DEFAULT 0);
            CREATE TABLE codes (
                digest TEXT PRIMARY KEY, pool TEXT NOT NULL, client TEXT NOT NULL, username TEXT NOT NULL, redirect_uri TEXT NOT NULL,
                scope TEXT NOT NULL, nonce TEXT, challenge TEXT, auth_time INTEGER NOT NULL, expires INTEGER NOT NULL, origin_jti TEXT);
            CREATE TABLE refresh_tokens (
                digest TEXT PRIMARY KEY, origin_jti TEXT NOT NULL REFERENCES families, replaced INTEGER);
            """)
    }
}
