package import Authentication
package import GatewayTerms
package import HTTPWire
internal import Routing

/// A request that is only thought of: the code that serves reads and matches it, and it is never sent.
package struct RequestSketch: Sendable {
    let head: RequestHead
    let bytes: [UInt8]

    package enum Unreadable: Error, Equatable, Sendable, CustomStringConvertible {
        /// What the gateway would answer with 400 and more before it knows the request's path.
        case refused(RequestError)
        /// A line end or a NUL would make another request of it.
        case lineEnd(in: String)

        package var description: String {
            switch self {
            case .refused(let error): "the gateway refuses such a request with \(error.status): \(error.rawValue)"
            case .lineEnd(let place): "\(place) holds a line end or another control character"
            }
        }
    }

    /// - Parameters:
    ///   - authority: `host[:port]`.
    ///   - target: path and query, as a client would send them.
    ///   - fields: besides `Host`.
    package init(method: String, authority: String, target: String, fields: [(name: String, value: String)] = [], limits: RequestLimits = RequestLimits()) throws(Unreadable) {
        for (place, text) in [("the method", method), ("the host", authority), ("the address", target)] + fields.map({ ("the field \($0.name)", $0.name + $0.value) })
        where text.utf8.contains(where: { $0 < 32 && $0 != 9 || $0 == 127 }) { throw .lineEnd(in: place) }
        let lines = ["\(method) \(target) HTTP/1.1", "host: \(authority)"] + fields.map { "\($0.name): \($0.value)" }
        let bytes = Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8)
        var head = RequestHead()
        var parser = RequestParser(limits: limits)
        let isWhole: Bool
        do { isWhole = try parser.parse(bytes.span, into: &head) } catch { throw .refused(error) }
        guard isWhole else { throw .refused(.headTooLarge) }
        self.head = head
        self.bytes = bytes
    }

    package var method: Method { head.method }

    func matching(_ snapshot: Snapshot) -> Admission.Matching {
        var lookup = StageLookup()
        return Admission.match(head, bytes.span, snapshot: snapshot, serverName: .none, lookup: &lookup)
    }

    /// Where the request leads under this snapshot, before anybody asks who sends it.
    package func destination(_ snapshot: Snapshot) -> SketchedDestination {
        switch matching(snapshot) {
        case .destination(let destination):
            let route = destination.route
            let target: SketchedDestination.Target = switch route.target {
            case .upstream(let index, _): .upstream(snapshot.upstreams[index].name)
            case .commandLineAPI: .commandLineAPI
            case .respond(let status): .answer(status: status, code: Fault.responds(status).code)
            case .redirect(let status, _): .answer(status: status, code: "configured_redirect")
            }
            let credentials = Admission.demandedCredentials(destination)
            return SketchedDestination(
                stage: destination.stage.name, path: destination.path.description, route: route.name, target: target, credentials: credentials,
                groups: credentials.isEmpty ? [] : route.policy.groups, scopes: credentials.isEmpty ? [] : route.policy.scopes,
                clients: Dictionary(destination.stage.rules.issuers.flatMap(\.clients).map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first }))
        case .login(let stage, _, let path, let own):
            return SketchedDestination(stage: stage.name, path: path.description, target: own == nil ? .answer(status: 404, code: "no_route") : .login)
        case .redirect(let stage, let path):
            return SketchedDestination(stage: stage.name, path: path.description, target: .answer(status: 308, code: "path_not_canonical"))
        case .fault(let fault, let stage, let path):
            return SketchedDestination(stage: stage?.name, path: path?.description, target: .answer(status: fault.status(.browser), code: fault.code))
        }
    }
}

/// Where a request leads, and what is asked of its sender.
package struct SketchedDestination: Sendable {
    package enum Target: Equatable, Sendable {
        case upstream(String)
        case commandLineAPI
        /// One of the login's own paths.
        case login
        /// The gateway's own answer to everybody.
        case answer(status: Int, code: String)
    }

    package var stage: String?
    package var path: String?
    package var route: String?
    package var target: Target
    package var credentials: Route.Credentials = []
    package var groups: [String] = []
    package var scopes: [String] = []
    /// The stage's clients by name.
    package var clients: [String: ClientRule] = [:]
}
