/// What Metaflow 2.19.39 sent, recorded from a run of a flow with a foreach and a retried task.
enum RecordedBodies {
    static let flow = #"{"flow_id": "DemoFlow", "user_name": "ada", "tags": [], "system_tags": [], "ts_epoch": 1795522789001}"#
    static let run = #"{"flow_id": "DemoFlow", "user_name": "ada", "tags": ["first"], "system_tags": ["python_version:3.11.7", "user:ada", "runtime:dev", "metaflow_version:2.19.39"], "ts_epoch": 1795522828504}"#
    static let step = #"{"run_number": "1", "step_name": "start", "flow_id": "DemoFlow", "user_name": "ada", "tags": ["first"], "system_tags": ["python_version:3.11.7", "user:ada", "runtime:dev", "metaflow_version:2.19.39"], "ts_epoch": 1795522828995}"#
    static let task = #"{"run_number": "1", "step_name": "start", "flow_id": "DemoFlow", "user_name": "ada", "tags": ["first"], "system_tags": ["python_version:3.11.7", "user:ada", "runtime:dev", "metaflow_version:2.19.39"], "ts_epoch": 1795522829047}"#

    static func metadata(_ field: String, _ value: String, attempt: Int = 0) -> String {
        #"[{"flow_id": "DemoFlow", "run_number": "1", "step_name": "start", "task_id": 1, "field_name": "\#(field)", "type": "\#(field)", "value": "\#(value)", "tags": ["attempt_id:\#(attempt)"], "user_name": "ada", "ts_epoch": 1795522829099}]"#
    }

    static func artifacts(_ names: [String], attempt: Int = 0) -> String {
        let artifacts = names.map {
            #"{"run_number": "1", "step_name": "start", "task_id": "1", "attempt_id": \#(attempt), "name": "\#($0)", "content_type": "pickle-v4", "type": "metaflow.artifact", "sha": "88b43c1ab7923317769905738d44af534e34295e", "ds_type": "local", "location": ":root:/tmp/.metaflow", "flow_id": "DemoFlow", "user_name": "ada", "tags": ["first"], "system_tags": ["runtime:dev"], "ts_epoch": 1795522830335}"#
        }
        return "[" + artifacts.joined(separator: ", ") + "]"
    }
}
