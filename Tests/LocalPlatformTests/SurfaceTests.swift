import Testing

@testable import metaflow_local_platform

@Suite("What the services speak")
struct SurfaceTests {
    @Test("JSON is written as Python writes it", arguments: [
        (JSON.null, "null"), (true, "true"), (-7, "-7"), (JSON.number(1.5), "1.5"), ("a\"\\\n\r\t\u{8}\u{c}\u{1}", #""a\"\\\n\r\t\b\f\u0001""#),
        ("é😀", #""\u00e9\ud83d\ude00""#), (["a", 1, nil], #"["a", 1, null]"#), ([:], "{}"), ([], "[]"),
        (["b": 1, "a": ["c": false]], #"{"b": 1, "a": {"c": false}}"#), (["tags": .text(#"["x"]"#)], #"{"tags": ["x"]}"#),
        (.string(#"{"wait_time_in_seconds": 10}"#), #""{\"wait_time_in_seconds\": 10}""#), (.number(.infinity), "null"),
    ] as [(JSON, String)])
    func writes(value: JSON, text: String) { #expect(value.written() == text) }

    @Test("JSON that was read is the value that was written", arguments: [
        #"null"#, #"true"#, #"9223372036854775807"#, #""é😀\u0000""#, #"[1, [2, []], "x"]"#, #"{"a": {"b": null}}"#,
    ])
    func reads(text: String) throws {
        let value = try JSON(parsing: Array(text.utf8))
        #expect(try JSON(parsing: Array(value.written().utf8)) == value)
    }

    @Test("What is not JSON is refused", arguments: ["", "{", "[1", "{\"a\" 1}", "\u{feff}x", "nul"])
    func refusesJSON(text: String) { #expect(throws: (any Error).self) { try JSON(parsing: Array(text.utf8)) } }

    @Test("A form is read by the URL standard", arguments: [
        ("a=1&b=2", [("a", "1"), ("b", "2")]), ("a=1+2%2B", [("a", "1 2+")]), ("a", [("a", "")]), ("a=b=c", [("a", "b=c")]), ("&&a=1&", [("a", "1")]),
        ("a=%zz%4", [("a", "%zz%4")]), ("%C3%A9=%E2%82%AC", [("é", "€")]), ("", []),
    ] as [(String, [(String, String)])])
    func readsForm(text: String, pairs: [(String, String)]) {
        #expect(FormFields(parsing: text) == FormFields(pairs.map { (name: $0.0, value: $0.1) }))
    }

    @Test("A form that was written reads the same", arguments: ["s t&te", "é€😀", "a=b+c%20", "~-._"])
    func roundTrip(value: String) {
        let form = FormFields([(name: value, value: value)])
        #expect(FormFields(parsing: form.encoded) == form)
    }

    @Test("A name that is given twice is told") func repeated() {
        #expect(FormFields(parsing: "a=1&b=2&a=3").repeatedName == "a")
        #expect(FormFields(parsing: "a=1&b=2").repeatedName == nil)
    }

    @Test("A cookie is found among others, by its whole name") func cookies() {
        let call = Scene.call("GET", "/", fields: ["cookie": "xcognito=0; cognito=a=b; other"])
        #expect(call.cookie("cognito") == "a=b")
        #expect(call.cookie("other") == nil)
        #expect(call.cookie("cog") == nil)
    }

    @Test("A path finds its endpoint, a literal before a name; another method is 405 with what is allowed", arguments: [
        ("GET", "/flows/a", "named"), ("GET", "/flows/all", "literal"), ("POST", "/flows/all", "posted"), ("PUT", "/flows/all", "GET POST"),
        ("DELETE", "/flows/a", "GET POST"), ("GET", "/flows/", "none"), ("GET", "/flows", "none"), ("GET", "/flows/a/", "none"), ("GET", "//flows/a", "none"),
    ])
    func matches(method: String, path: String, expected: String) async throws {
        var table = EndpointTable<Int>()
        table.on("GET", "/flows/{flow}") { _, _ in Reply(body: "named") }
        table.on("POST", "/flows/{flow}") { _, _ in Reply(body: "posted") }
        table.on("GET", "/flows/all") { _, _ in Reply(body: "literal") }
        let call = Scene.call(method, path)
        switch table.match(call) {
        case .found(let call, let handler): #expect(try await handler(0, call).body == expected)
        case .otherMethods(let methods): #expect(methods.joined(separator: " ") == expected)
        case .unknownPath: #expect(expected == "none")
        }
    }

    @Test("Text in a page cannot become markup") func escapes() {
        let hostile = "<script>'\"&"
        let page: HTML = "<p title=\"\(hostile)\">\(hostile)</p>"
        #expect(page.text == "<p title=\"&lt;script&gt;&#39;&quot;&amp;\">&lt;script&gt;&#39;&quot;&amp;</p>")
    }

    @Test("A page with a script allows that one and its own origin, and no other") func scriptPolicy() throws {
        let reply = Page(title: "T", body: "", script: "follow('<b>')", scriptData: "/runs\"x").reply()
        let policy = try #require(reply.field("Content-Security-Policy"))
        #expect(policy.contains("script-src 'sha256-\(Base64.standard(Digest.sha256(Array("follow('<b>')".utf8))))'; connect-src 'self';"))
        #expect(reply.body.contains("<script>follow('<b>')</script>") && reply.body.contains("data-of=\"/runs&quot;x\""))
    }

    @Test("SHA-1 is the one of RFC 6455's example") func acceptValue() {
        #expect(Base64.standard(Digest.sha1(Array("dGhlIHNhbXBsZSBub25jZQ==258EAFA5-E914-47DA-95CA-C5AB0DC85B11".utf8))) == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    }

    @Test("A page allows its own style sheet and no script") func pagePolicy() throws {
        let policy = try #require(Page(title: "T", body: "").reply().field("Content-Security-Policy"))
        #expect(policy.contains("default-src 'none'"))
        #expect(policy.contains("style-src 'sha256-"))
        #expect(!policy.contains("unsafe") && !policy.contains("script-src"))
    }

    @Test("Base64url reads what it wrote and nothing else", arguments: [[], [0], [255, 254], [1, 2, 3], [251, 255, 191]] as [[UInt8]])
    func base64(bytes: [UInt8]) {
        #expect(Base64.decodedURL(Base64.url(bytes)) == bytes)
        #expect(!Base64.url(bytes).contains { "+/=".contains($0) })
    }

    @Test("Standard base64 is not base64url", arguments: ["+w", "/w", "AA==", "A"]) func refusesBase64(text: String) {
        #expect(Base64.decodedURL(text) == nil)
    }
}
