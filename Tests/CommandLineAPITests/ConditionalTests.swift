@testable import CommandLineAPI
import GatewayTerms
import Testing

/// Entity tags and what a client that has the answer already is sent (RFC 9110 §13.1.2).
@Suite struct ConditionalTests {
    static let kept = ["", "/config", ResourceTests.wheelPath]

    @Test("A client that has the answer gets 304 with its tag and freshness, and no body", arguments: kept)
    func answersNotModified(path: String) throws {
        let service = Scene.service()
        let whole = service.get(path)
        let tag = try #require(whole.etag)
        let answer = service.get(path, ifNoneMatch: tag)
        #expect((answer.status, answer.contentType, answer.body) == (304, nil, []))
        #expect(answer.fields == whole.fields)
        #expect(answer.isCacheable)
        #expect(service.get(path, ifNoneMatch: tag, method: .head) == answer)
        #expect(service.get(path, ifNoneMatch: "\"another\"") == whole)
    }

    @Test("Equal settings give equal tags, so that replicas agree", arguments: kept)
    func agrees(path: String) {
        #expect(Scene.service().get(path).etag == Scene.service().get(path).etag)
    }

    @Test("Different answers have different tags")
    func distinguishes() {
        let service = Scene.service()
        let tags = [service.get("/config"), service.get(""), service.get("", accept: "text/html"), service.get(ResourceTests.wheelPath),
                    Scene.service { $0.clientID = "other" }.get("/config")].compactMap(\.etag)
        #expect(Set(tags).count == 5)
        #expect(tags.allSatisfy { $0.utf8.count == 34 && $0.hasPrefix("\"") && $0.hasSuffix("\"") })
    }

    @Test("If-None-Match is matched by its tags and by nothing else", arguments: [
        ("\"a\"", true), ("*", true), (" * ", true), ("W/\"a\"", true), ("\"b\", \"a\"", true), ("\"b\" ,\t\"a\"", true), (",\"a\",", true), ("\"b,\"a\"", false),
        ("\"b,c\", \"a\"", true), ("\"a\",\"b\"", true), ("", false), ("a", false), ("\"b\"", false), ("\"A\"", false), ("\"a", false), ("w/\"a\"", false),
        ("W/", false), ("W/a", false), ("*, \"b\"", false), ("\"a\" \"b\"", false), ("\"b\" a", false), ("\"\"", false), (",,,,", false), ("\"", false), ("\"aa\"", false),
        ("\"\u{fc}\", \"a\"", true),
    ])
    func readsTags(value: String, expected: Bool) {
        #expect(EntityTags.isMatch(value, "\"a\"") == expected)
    }

    @Test("A page is for clients that name HTML, JSON for all others", arguments: [
        (nil, false), ("", false), ("*/*", false), ("application/json", false), ("text/html", true), ("TEXT/HTML", true), ("text/*", false),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8", true), ("application/xhtml+xml", true),
        ("text/html;q=0.5, application/json", false), ("text/html, application/json;q=0.9", true), ("application/json, text/html", true),
        ("text/html;q=0", false), ("text/html;q=0.000", false), ("text/html;q=0.001", true), ("text/html;q=2", false), ("text/html;q=0.0001", false),
        ("text/html;q=", false), ("text/html;q=-1", false), ("text/html;q=1.", true), ("text/html ; q=0.3 , application/json ; q=0.2", true),
        ("text/html;charset=utf-8;q=0.1,application/json;q=0.2", false), (";,;q=1,,", false), ("text/htmlx", false), ("text/html;q=99999999999999999999", false),
    ] as [(String?, Bool)])
    func negotiates(accept: String?, isPage: Bool) {
        let answer = Scene.service().get("", accept: accept)
        #expect(answer.contentType == (isPage ? ResourceTests.html : ResourceTests.json))
        #expect(answer.value(of: "vary") == "accept")
    }

    @Test("Accept is read to its 64th range, however long it is")
    func boundsAccept() {
        #expect(!MediaRanges.preferPage(String(repeating: "a/b,", count: 64) + "text/html"))
        #expect(MediaRanges.preferPage(String(repeating: "a/b,", count: 63) + "text/html"))
    }
}
