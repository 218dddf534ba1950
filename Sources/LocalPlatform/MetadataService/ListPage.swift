/// One page of a listing, asked for with `_limit` (1 to 500, by default 50) and `_cursor`, which `X-Next-Cursor` has given.
struct ListPage: Sendable, Equatable {
    var limit = 50
    /// Run number or task id below which the page begins.
    var before = Int64.max

    init(limit: Int, before: Int64) { (self.limit, self.before) = (limit, before) }

    /// Nothing when neither is asked for: then the whole list is the answer.
    init?(_ query: FormFields) throws(MetadataFault) {
        let (limit, cursor) = (query["_limit"], query["_cursor"])
        if limit == nil, cursor == nil { return nil }
        if let limit, !limit.isEmpty {
            guard let number = Int(limit), number > 0 else { throw .badRequest("Invalid _limit: must be a positive integer") }
            self.limit = min(number, 500)
        }
        if let cursor, !cursor.isEmpty {
            guard let bytes = Base64.decodedURL(cursor), let value = try? JSON(parsing: bytes), let before = value["before"]?.integerValue else {
                throw .badRequest("Invalid cursor")
            }
            self.before = before
        }
    }

    var cursor: String { Base64.url(Array(JSON.object([JSON.Member(name: "before", value: .integer(before))]).written(.compact).utf8)) }
}
