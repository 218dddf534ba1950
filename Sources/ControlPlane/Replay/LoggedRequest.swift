internal import Authentication
internal import GatewayTerms

/// What a line of the access log says of one request, as far as a replay needs it.
struct LoggedRequest {
    enum Reading {
        case request(LoggedRequest)
        /// A line of another kind, or of a request whose head could not be read.
        case other
        /// No line of an access log.
        case bad
    }

    let host: String
    let method: String
    let path: String
    let stage: String?
    let route: String?
    let upstream: String?
    let status: Int?
    let details: String?
    let credential: String?
    let isAllowed: Bool
    let reason: String?
    let client: String?

    static let lineBytesMax = 64 << 10
    private static let limits = StrictJSON.Limits(bytesMax: lineBytesMax, depthMax: 4, valuesMax: 256)

    static func read(_ line: Span<UInt8>) -> Reading {
        guard let object = (try? StrictJSON.read(line, limits: limits))?.object, let kind = object["kind"]?.string else { return .bad }
        guard kind == "access", let method = object["method"]?.string, let host = object["host"]?.string, let path = object["path"]?.string else { return .other }
        let auth = object["auth"]?.object
        return .request(LoggedRequest(
            host: host, method: method, path: path, stage: object["stage"]?.string, route: object["route"]?.string, upstream: object["upstream"]?.string,
            status: object["status"]?.integer.map { Int(clamping: $0) }, details: object["details"]?.string, credential: auth?["method"]?.string,
            isAllowed: auth?["decision"]?.string == "allowed", reason: auth?["reason"]?.string, client: auth?["client"]?.string))
    }

    /// What it met, in words that group requests.
    var outcome: String {
        if let upstream { return "upstream \(upstream) by \(route ?? "no route")" }
        let answer = [status.map(String.init), details].compactMap { $0 }.joined(separator: " ")
        return answer.isEmpty ? "no answer" : answer
    }
}
