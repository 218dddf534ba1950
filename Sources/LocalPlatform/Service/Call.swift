/// One request, read whole, as the three services see it.
struct Call: Sendable {
    var method: String
    /// The path's segments, percent-decoded.
    var path: [String]
    var query = FormFields()
    /// Field values by lower-case name; repeated lines are joined with a comma (RFC 9110 §5.2), cookies with a semicolon.
    var fields: [String: String] = [:]
    var body: [UInt8] = []
    var peerIsLoopback = true
    /// What the endpoint's template has named, such as `flow_id`.
    var parameters: [String: String] = [:]

    /// The template's value of that name; the table fills every name before it calls the handler.
    func parameter(_ name: String) -> String { parameters[name] ?? "" }

    func cookie(_ name: String) -> String? {
        guard let text = fields["cookie"] else { return nil }
        for pair in text.split(separator: ";") {
            let trimmed = pair.drop { $0 == " " }
            guard let equals = trimmed.firstIndex(of: "=") else { continue }
            if trimmed[..<equals] == name { return String(trimmed[trimmed.index(after: equals)...]) }
        }
        return nil
    }

    var form: FormFields { FormFields(parsing: String(decoding: body, as: UTF8.self)) }
}

/// One response. Bodies are whole: the largest are a run's artifacts, a few megabytes.
struct Reply: Sendable, Equatable {
    struct Field: Sendable, Equatable {
        var name: String
        var value: String
    }

    var status: Int
    var fields: [Field] = []
    var body: String = ""

    init(status: Int = 200, contentType: String? = nil, body: String = "", _ fields: [(String, String)] = []) {
        self.status = status
        self.body = body
        if let contentType { self.fields.append(Field(name: "Content-Type", value: contentType)) }
        self.fields += fields.map { Field(name: $0.0, value: $0.1) }
    }

    static func json(_ value: JSON, status: Int = 200, _ fields: [(String, String)] = []) -> Reply {
        Reply(status: status, contentType: "application/json", body: value.written(.compact), fields)
    }

    static func redirect(to location: String, status: Int = 302, _ fields: [(String, String)] = []) -> Reply {
        Reply(status: status, body: "", [("Location", location), ("Cache-Control", "no-store")] + fields)
    }

    func field(_ name: String) -> String? { fields.first { $0.name.lowercased() == name.lowercased() }?.value }
}
