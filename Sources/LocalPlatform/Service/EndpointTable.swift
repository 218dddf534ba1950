/// Method and path template → handler of a `Service`, made once. A template's `{name}` takes one segment; literal segments win over
/// names where both fit.
struct EndpointTable<Service: Sendable>: Sendable {
    typealias Handler = @Sendable (Service, Call) async throws -> Reply

    private struct Endpoint: Sendable {
        var method: String
        var template: [Substring]
        var handler: Handler

        /// The named segments, or nothing when the path is not this endpoint's.
        func parameters(of path: [String]) -> [String: String]? {
            guard path.count == template.count else { return nil }
            var parameters: [String: String] = [:]
            for (part, segment) in zip(template, path) {
                if part.hasPrefix("{") {
                    guard !segment.isEmpty else { return nil }
                    parameters[String(part.dropFirst().dropLast())] = segment
                } else if part != segment {
                    return nil
                }
            }
            return parameters
        }

        var namedSegments: Int { template.count { $0.hasPrefix("{") } }
    }

    private var endpoints: [Endpoint] = []

    mutating func on(_ method: String, _ template: String, _ handler: @escaping Handler) {
        let parts = template.split(separator: "/", omittingEmptySubsequences: false).dropFirst()
        endpoints.append(Endpoint(method: method, template: Array(parts), handler: handler))
    }

    enum Match: Sendable {
        case found(Call, Handler)
        /// The path is known, the method is not: 405 with `Allow`.
        case otherMethods([String])
        case unknownPath
    }

    func match(_ call: Call) -> Match {
        let fitting = endpoints.compactMap { endpoint in endpoint.parameters(of: call.path).map { (endpoint, $0) } }
            .sorted { $0.0.namedSegments < $1.0.namedSegments }
        if let (endpoint, parameters) = fitting.first(where: { $0.0.method == call.method }) {
            var call = call
            call.parameters = parameters
            return .found(call, endpoint.handler)
        }
        return fitting.isEmpty ? .unknownPath : .otherMethods(Set(fitting.map(\.0.method)).sorted())
    }
}
