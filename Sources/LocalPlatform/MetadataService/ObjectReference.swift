/// A run or a task as a path names it: digits are the number that the service gave, anything else is the name that a client
/// registered (`argo-…`, `sfn-…`).
enum ObjectReference: Sendable, Equatable {
    case number(Int64)
    case name(String)

    init(_ text: String) {
        let isNumeric = !text.isEmpty && text.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        // A number beyond 64 bits is nobody's.
        self = isNumeric ? .number(Int64(text) ?? -1) : .name(text)
    }
}

/// Where a request points: a flow, and below it as much as its path gives.
struct ObjectPath: Sendable {
    var flow: String
    var run: ObjectReference?
    var step: String?
    var task: ObjectReference?

    init(_ call: Call) {
        flow = call.parameter("flow_id")
        run = call.parameters["run_number"].map(ObjectReference.init)
        step = call.parameters["step_name"]
        task = call.parameters["task_id"].map(ObjectReference.init)
    }
}
