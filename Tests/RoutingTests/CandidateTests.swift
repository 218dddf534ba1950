import GatewayTerms
@testable import Routing
import Testing

@Suite("Why a route was taken and others were not")
struct CandidateTests {
    private static let table = RouteTable(
        [("/", nil), ("/api", [Method.get]), ("/api", nil), ("/api/x", [.post]), ("/other", nil), ("/api", [.put])].map { (path: String, methods: [Method]?) in
            RoutePattern(prefix: try! CanonicalPath(path), methods: methods.map { MethodSet($0) } ?? .all)
        })

    @Test("Every route whose prefix holds the path is told, the longest first, and the one that matches is chosen", arguments: [
        ("/api/x/y", Method.get, [(3, RouteCandidate.Outcome.methodNotServed), (1, .chosen), (5, .methodNotServed), (2, .behind(1)), (0, .lessSpecific(than: 1))]),
        ("/api/x", .post, [(3, .chosen), (1, .methodNotServed), (5, .methodNotServed), (2, .lessSpecific(than: 3)), (0, .lessSpecific(than: 3))]),
        ("/apis", .get, [(0, .chosen)]),
        ("/other", .delete, [(4, .chosen), (0, .lessSpecific(than: 4))]),
    ] as [(String, Method, [(Int, RouteCandidate.Outcome)])])
    func tells(path: String, method: Method, expected: [(Int, RouteCandidate.Outcome)]) throws {
        let path = try CanonicalPath(path)
        let candidates = Self.table.candidates(path, method: method)
        #expect(candidates == expected.map { RouteCandidate(index: $0.0, outcome: $0.1) })
        if case .route(let index, _) = Self.table.match(path, method: method) { #expect(candidates.first { $0.outcome == .chosen }?.index == index) }
    }

    @Test("Where no route matches, none is chosen") func none() throws {
        let table = RouteTable([RoutePattern(prefix: try CanonicalPath("/a"), methods: MethodSet([.get]))])
        #expect(table.candidates(try CanonicalPath("/a/b"), method: .post) == [RouteCandidate(index: 0, outcome: .methodNotServed)])
        #expect(table.candidates(try CanonicalPath("/b"), method: .get).isEmpty)
    }
}
