/// What a client sends to create a flow, run, step or task.
struct NewObject: Sendable {
    var userName: String?
    /// JSON text, kept as it came: an array of strings from Metaflow's own client.
    var tags: String
    var systemTags: String
    var systemTagList: [String]
    /// The name that the client gives a run (`run_number`) or a task (`task_id`) instead of having it numbered.
    var name: String?

    init(_ body: JSON, nameMember: String? = nil) throws(MetadataFault) {
        guard case .object = body else { throw .internalError("the body must be a JSON object") }
        userName = body["user_name"]?.stringValue
        tags = (body["tags"] ?? .null).written()
        systemTags = (body["system_tags"] ?? .null).written()
        systemTagList = body["system_tags"]?.strings ?? []
        name = nameMember.flatMap { body[$0] }.flatMap { value in
            switch value {
            case .string(let text): text.isEmpty ? nil : text
            case .integer(let number): String(number)
            default: nil
            }
        }
    }
}
