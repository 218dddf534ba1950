/// What one subscriber knows of one resource, and so what it has still to be told. Pure: rows in, messages out.
struct LiveSubscription: Sendable {
    let identifier: String
    /// As the subscriber wrote it: the messages repeat it.
    let path: String
    let resource: LiveResource
    private var known: [String: JSON] = [:]

    init(identifier: String, path: String, resource: LiveResource) {
        (self.identifier, self.path, self.resource) = (identifier, path, resource)
    }

    /// The subscriber begins with what it has read already, and is told of what began at or after `since`, in milliseconds: it was away then.
    mutating func begin(_ rows: [LiveRow], since: Int64?) -> [JSON] {
        for row in rows { known[row.name] = row.json }
        guard let since else { return [] }
        return rows.filter { $0.since >= since }.reversed().map { message("INSERT", $0) }
    }

    /// What is new and what has changed, the oldest first.
    mutating func follow(_ rows: [LiveRow]) -> [JSON] {
        var messages: [JSON] = []
        for row in rows.reversed() where known[row.name] != row.json {
            messages.append(message(known[row.name] == nil ? "INSERT" : "UPDATE", row))
        }
        // Rows that have left the list's page are forgotten: it stays as small as a page.
        known = Dictionary(rows.map { ($0.name, $0.json) }, uniquingKeysWith: { first, _ in first })
        return messages
    }

    private func message(_ kind: String, _ row: LiveRow) -> JSON {
        ["type": .string(kind), "uuid": .string(identifier), "resource": .string(path), "data": row.json]
    }
}
