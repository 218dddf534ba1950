/// Why the metadata service does not do as asked, in the shapes of the real service.
enum MetadataFault: Error, Equatable {
    /// 404 with `{}`.
    case notFound
    /// 409 with PostgreSQL's words, which are JSON in JSON.
    case alreadyExists(String)
    /// 404: the parent does not exist. JSON in JSON too.
    case noParent(String)
    /// 400 with a sentence.
    case badRequest(String)
    /// 422: well formed, but against the rules.
    case unprocessable(String)
    /// 400 with `{"message": …}`.
    case message(String)
    /// 500, where the real service runs into an exception.
    case internalError(String)

    var reply: (status: Int, body: JSON) {
        switch self {
        case .notFound: (404, [:])
        case .alreadyExists(let what): (409, .string(Self.database(what, code: "23505").written()))
        case .noParent(let what): (404, .string(Self.database(what, code: "23503").written()))
        case .badRequest(let reason): (400, .string(reason))
        case .unprocessable(let reason): (422, .string(reason))
        case .message(let reason): (400, ["message": .string(reason)])
        case .internalError(let reason):
            (500, ["traceback": .string(reason), "detail": .string(reason), "status": 500, "title": "Internal Server Error", "type": "about:blank"])
        }
    }

    private static func database(_ what: String, code: String) -> JSON {
        ["err_msg": ["pgerror": .string("ERROR:  \(what)\n"), "pgcode": .string(code), "diag": ["message_primary": .string(what), "severity": "ERROR"]]]
    }
}
