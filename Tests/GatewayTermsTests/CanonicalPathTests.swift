import GatewayTerms
import Testing

@Suite("CanonicalPath")
struct CanonicalPathTests {
    @Test("A path in canonical form stays byte for byte what it was", arguments: [
        "/", "/api/metadata/flows/HelloFlow/runs/12", "/a-b_c.d~e", "/a/", "/!$&'()*+,=:@", "/a..b/..c/d..", "/%20", "/%C3%A9", "/.well-known/x", "/...",
    ])
    func keepsCanonical(path: String) throws {
        let canonical = try CanonicalPath(path)
        #expect(canonical.description == path)
        #expect(canonical.change == .none)
    }

    @Test("Escapes are brought to one form without a change of structure", arguments: [
        ("/%41bc", "/Abc"), ("/%7euser", "/~user"), ("/%c3%a9", "/%C3%A9"), ("/a%2Db", "/a-b"), ("/a|b", "/a%7Cb"),
        ("/a\"b", "/a%22b"), ("/[x]", "/%5Bx%5D"), ("/%3f", "/%3F"), ("/a%3bb", "/a%3Bb"), ("/100%25", "/100%25"), ("/100%25a", "/100%25a"),
    ])
    func normalisesEscapes(raw: String, canonical: String) throws {
        let path = try CanonicalPath(raw)
        #expect(path.description == canonical)
        #expect(path.change == (raw == canonical ? .none : .escapes))
    }

    @Test("Merged slashes and removed dot segments are a change of structure", arguments: [
        ("//", "/"), ("//a", "/a"), ("/a//b", "/a/b"), ("/a///", "/a/"), ("/./a", "/a"), ("/a/.", "/a/"), ("/a/./b", "/a/b"),
        ("/a/..", "/"), ("/a/../b", "/b"), ("/a/b/../c", "/a/c"), ("/a/b/..", "/a/"), ("/a/%2e%2e/b", "/b"), ("/a/%2E/b", "/a/b"),
        ("/a/.%2e/b", "/b"), ("/a/b/../../c", "/c"), ("/a//../b", "/b"), ("/api/metadata/../status", "/api/status"),
    ])
    func resolvesStructure(raw: String, canonical: String) throws {
        let path = try CanonicalPath(raw)
        #expect(path.description == canonical)
        #expect(path.change == .structure)
    }

    @Test("What two servers could read differently is refused, by name", arguments: [
        ("", PathRejection.notAbsolute), ("a", .notAbsolute), ("*", .notAbsolute), ("http://h/", .notAbsolute),
        ("/a\\b", .backslash), ("/\\evil", .backslash), ("/a#b", .fragment), ("/a\tb", .control), ("/a b", .control), ("/a\u{7f}", .control),
        ("/é", .notASCII), ("/%", .brokenEscape), ("/%4", .brokenEscape), ("/%zz", .brokenEscape), ("/a%2", .brokenEscape), ("/%4g", .brokenEscape),
        ("/%00", .encodedNUL), ("/a%00b", .encodedNUL), ("/%0a", .encodedControl), ("/%0D%0A", .encodedControl), ("/%7f", .encodedControl),
        ("/%2f", .encodedSlash), ("/a%2Fb", .encodedSlash), ("/%2F..%2F", .encodedSlash), ("/%5c", .encodedBackslash), ("/a%5Cb", .encodedBackslash),
        ("/%252f", .doubleEncoding), ("/%252e%252e", .doubleEncoding), ("/%2541", .doubleEncoding), ("/%25%32%66", .doubleEncoding), ("/%25%46%46", .doubleEncoding),
        ("/..", .climbsAboveRoot), ("/../a", .climbsAboveRoot), ("/a/../..", .climbsAboveRoot), ("/%2e%2e/a", .climbsAboveRoot), ("//..", .climbsAboveRoot),
    ])
    func refuses(raw: String, rejection: PathRejection) {
        #expect(throws: rejection) { try CanonicalPath(raw) }
    }

    @Test("A semicolon in a segment is noticed, also after a rewrite", arguments: [
        ("/a;b", true), ("/a/..;/b", true), ("//a;b", true), ("/a%3Bb", false), ("/a", false),
    ])
    func noticesParameters(raw: String, expected: Bool) throws {
        #expect(try CanonicalPath(raw).hasParameters == expected)
    }

    @Test("Reading a canonical path again changes nothing", arguments: ["/a//b/../c;d", "/%41%7e|", "/x/./y/", "/%c3%a9/%25"])
    func isIdempotent(raw: String) throws {
        let once = try CanonicalPath(raw)
        let twice = try CanonicalPath(once.description)
        #expect(twice.bytes == once.bytes)
        #expect(twice.change == .none)
    }

    @Test("A path over 8 KiB is refused for its length")
    func refusesLong() {
        #expect(throws: PathRejection.tooLong) { try CanonicalPath("/" + String(repeating: "a", count: CanonicalPath.countMax)) }
    }
}
