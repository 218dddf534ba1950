import GatewayTerms
import Routing
import Testing

@Suite("RouteTable")
struct RouteTableTests {
    private func table(_ routes: [(String, MethodSet)]) throws -> RouteTable {
        RouteTable(try routes.map { RoutePattern(prefix: try CanonicalPath($0.0), methods: $0.1) })
    }
    private func index(_ match: RouteMatch) -> Int? {
        if case .route(let index, _) = match { index } else { nil }
    }

    @Test("The longest prefix wins, by whole segments and whatever the order of the list", arguments: [
        ("/", 3), ("/x", 3), ("/api", 1), ("/api/", 1), ("/api/x", 1), ("/apis", 3), ("/api/metadata", 0), ("/api/metadata/", 0),
        ("/api/metadata/flows/F", 0), ("/api/metadatas", 1), ("/cli", 2), ("/cli/config", 2), ("/client", 3), ("/API", 3), ("/api/metadata/auth/token", 4),
        ("/api/metadata/auth/tokens", 0), ("/api/metadata/auth", 0), ("/api/metadata/auth/token/x", 4),
    ])
    func longestPrefix(path: String, expected: Int) throws {
        let table = try table([("/api/metadata", .all), ("/api", .all), ("/cli/", .all), ("/", .all), ("/api/metadata/auth/token", .all)])
        #expect(index(table.match(try CanonicalPath(path), method: .get)) == expected)
    }

    @Test("A longer prefix without the method lets a shorter one answer", arguments: [
        (Method.get, "/a/b", 0), (.post, "/a/b", 1), (.post, "/a/c", nil), (.delete, "/a/b", nil),
    ] as [(Method, String, Int?)])
    func methods(method: Method, path: String, expected: Int?) throws {
        let table = try table([("/a", MethodSet([.get, .head])), ("/a/b", MethodSet([.post]))])
        #expect(index(table.match(try CanonicalPath(path), method: method)) == expected)
    }

    @Test("A path that exists with other methods says which")
    func methodNotAllowed() throws {
        let table = try table([("/a", MethodSet([.get, .head])), ("/a/b", MethodSet([.post]))])
        let match = table.match(try CanonicalPath("/a/b"), method: .delete)
        #expect(match == .methodNotAllowed(MethodSet([.get, .head, .post])))
        #expect(MethodSet([.post, .get, .head]).allowed == "GET, HEAD, POST")
    }

    @Test("Without a route for the root, foreign paths match nothing")
    func noMatch() throws {
        let table = try table([("/a", .all)])
        #expect(table.match(try CanonicalPath("/b"), method: .get) == .none)
        #expect(table.match(try CanonicalPath("/"), method: .get) == .none)
    }

    @Test("Among equal prefixes the first with the method wins")
    func firstWins() throws {
        let table = try table([("/a", MethodSet([.post])), ("/a/", .all), ("/a", .all)])
        #expect(index(table.match(try CanonicalPath("/a"), method: .get)) == 1)
        #expect(index(table.match(try CanonicalPath("/a"), method: .post)) == 0)
    }

    @Test("Among equal prefixes one that names its methods goes before one that takes all, wherever it stands")
    func methodsFirst() throws {
        let table = try table([("/a", .all), ("/a", MethodSet([.post]))])
        #expect(index(table.match(try CanonicalPath("/a"), method: .post)) == 1)
        #expect(index(table.match(try CanonicalPath("/a"), method: .get)) == 0)
    }

    @Test("Ten thousand routes each find themselves and their children")
    func tenThousand() throws {
        let paths = (0..<10_000).map { "/team-\($0 % 100)/service-\($0 / 100)" }
        let table = try table(paths.map { ($0, .all) })
        for (number, path) in paths.enumerated() {
            #expect(index(table.match(try CanonicalPath(path + "/x/y"), method: .get)) == number)
        }
        #expect(table.match(try CanonicalPath("/team-1/service-100"), method: .get) == .none)
    }

    @Test("Stripping leaves the rest from its slash on, or the root", arguments: [
        ("/api/metadata/flows", "/flows"), ("/api/metadata", "/"), ("/api/metadata/", "/"), ("/api/metadata/a/", "/a/"),
    ])
    func strips(path: String, expected: String) throws {
        let table = try table([("/api/metadata", .all)])
        let path = try CanonicalPath(path)
        guard case .route(_, let prefixCount) = table.match(path, method: .get) else { Issue.record("no route"); return }
        let rest = PathRewrite.stripPrefix.range(in: path, prefixCount: prefixCount).map { String(decoding: path.bytes[$0], as: UTF8.self) } ?? "/"
        #expect(rest == expected)
        #expect(PathRewrite.keep.range(in: path, prefixCount: prefixCount) == 0..<path.bytes.count)
    }

    @Test("A prefix of the root strips nothing")
    func rootStrip() throws {
        let table = try table([("/", .all)])
        let path = try CanonicalPath("/x")
        #expect(table.match(path, method: .get) == .route(index: 0, prefixCount: 0))
        #expect(PathRewrite.stripPrefix.range(in: path, prefixCount: 0) == 0..<2)
    }
}
