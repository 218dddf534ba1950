import Authentication
import GatewayTerms
import Testing

@Suite("Where a login leads back to")
struct LoginReturnTargetTests {
    @Test("A place on this host is kept", arguments: [
        "/", "/flows", "/flows/MyFlow/runs/12?tab=timeline&x=1", "/?q=a%20b", "/search?q=100%25", "/a//", "/a?next=//evil.com", "/a?u=https://b/c", "/~user/",
        "/caf%C3%A9", "/flows/My%20Flow/runs/1", "/a%20/b%20", "/a?b=%", "/a?back=%2Foauth2%2Fx", "/oauth2x", "/a?q=c%2B%2B",
    ])
    func kept(text: String) {
        // `/a//` has a shape that the path rule mends, so it is not kept but leads to the start.
        #expect(ReturnTarget(text).text == (text == "/a//" ? "/" : text))
    }

    /// The payload classes of the open-redirect advisories: oauth2-proxy (GHSA-qqxw-m5fj-f7gv, -j7px-6hwj-hpjg, -5m6c-jp6f-2vcv,
    /// -4mf2-f3wh-gvf2, CVE-2020-4037, CVE-2020-11053), mod_auth_openidc (CVE-2022-23527), Pomerium (GO-2022-0783).
    @Test("What could lead elsewhere leads to the start", arguments: [
        "", "https://evil.com", "http:evil.com", "//evil.com", "///evil.com", "/\\evil.com", "\\\\evil.com", "/\\/evil.com", "\\/evil.com", "/%5Cevil.com", "/%5cevil.com",
        "/%255Cevil.com", "/%2Fevil.com", "/%2fevil.com", "/%252Fevil.com", "/%09/evil.com", "/%0A/evil.com", "/%0d%0aSet-Cookie:x", "/%00/evil.com", "/%20/evil.com", "/%20evil.com", "/a%2520b",
        "/\t/evil.com", "/\n/evil.com", "/\r\nLocation:x", "/ /evil.com", "/a b", "/\u{e9}", "/\u{2028}", "javascript:alert(1)", "data:text/html,x", "evil.com", "@evil.com",
        ".evil.com", "/.//evil.com", "/..//evil.com", "/./%2Fevil.com", "/a/..//evil.com", "/x/%2e%2e//evil.com", "/#//evil.com", "/a#b", "/a%23b", "/%2523", "/a?x=%0d%0a",
        "/a?x=%250d%250a", "/a?x=\\", "/oauth2/sign_out", "/oauth2", "/oauth2/start?rd=/", "/%6fauth2/sign_out", "/%256fauth2/sign_out", "/x/../oauth2/sign_out", "/./oauth2/start",
        "/oauth2/%73ign_out", "/%7f", "/a/%2e%2e/oauth2/callback", "/\u{7f}", "/%25252Fx%252F%2F",
    ])
    func refused(text: String) {
        #expect(ReturnTarget(text).text == "/")
    }

    @Test("A place of 2048 bytes is kept, a longer one is not")
    func length() {
        let longest = "/" + String(repeating: "a", count: 2047)
        #expect(ReturnTarget(longest).text == longest)
        #expect(ReturnTarget(longest + "a").text == "/")
    }

    @Test("Whatever is kept is one slash and then no slash, in plain visible ASCII, also after two decodings")
    func property() {
        let random = SeededBytes(5)
        let pieces = ["/", "\\", "%2f", "%5C", "%25", "2F", "%", "a", "..", ".", "?", "#", " ", "\t", "%09", "oauth2", "evil.com", ":", "@", "%6f", "\u{e9}", "&", "%20"]
        var kept = 0
        for _ in 0..<20_000 {
            let text = (random.below(4) == 0 ? "" : "/") + (0..<random.below(9)).map { _ in pieces[random.below(pieces.count)] }.joined()
            let target = ReturnTarget(text).text
            if target != "/" { kept += 1 }
            var form = Array(target.utf8)
            for _ in 0..<3 {
                #expect(form.first == UInt8(ascii: "/"), "\(text)")
                if form.count > 1 { #expect(form[1] != UInt8(ascii: "/") && form[1] != UInt8(ascii: "\\"), "\(text)") }
                #expect(!form.contains { $0 < 0x20 || $0 == 0x7f || $0 == UInt8(ascii: "\\") }, "\(text)")
                form = Array(LoginBench.decoded(String(decoding: form, as: UTF8.self)).utf8)
            }
            #expect(!target.hasPrefix("/oauth2/"))
        }
        #expect(kept > 500)
    }
}

@Suite("What kind of request asks for a login")
struct LoginRequestClassTests {
    struct Row: Sendable {
        var method = Method.get
        var mode: String?
        var destination: String?
        var accept: String?
        var requestedWith: String?
        var upgrade = false
        let expected: RequestClass
    }

    @Test("Only a person who goes to a page is led to the provider", arguments: [
        Row(mode: "navigate", destination: "document", expected: .navigation), Row(method: .head, mode: "navigate", destination: "document", expected: .navigation),
        Row(method: .post, mode: "navigate", destination: "document", expected: .program), Row(mode: "navigate", destination: "iframe", expected: .program),
        Row(mode: "cors", destination: "empty", accept: "text/html", expected: .program), Row(mode: "no-cors", destination: "image", expected: .program),
        Row(mode: "navigate", expected: .program), Row(destination: "document", expected: .program), Row(mode: "Navigate", destination: "document", expected: .program),
        Row(accept: "text/html,application/xhtml+xml,*/*;q=0.8", expected: .navigation), Row(accept: "Text/HTML;q=1", expected: .navigation),
        Row(accept: "application/json", expected: .program), Row(accept: "*/*", expected: .program), Row(accept: "text/htmlx", expected: .program), Row(expected: .program),
        Row(accept: "text/html", requestedWith: "XMLHttpRequest", expected: .program), Row(method: .put, accept: "text/html", expected: .program),
        Row(mode: "websocket", destination: "websocket", upgrade: true, expected: .upgrade), Row(accept: "text/html", upgrade: true, expected: .upgrade),
        Row(mode: "navigate", destination: "document", upgrade: true, expected: .upgrade),
    ])
    func classes(row: Row) {
        #expect(RequestClass(
            method: row.method, fetchMode: row.mode, fetchDestination: row.destination, accept: row.accept, requestedWith: row.requestedWith, hasUpgrade: row.upgrade
        ) == row.expected)
    }

    @Test("Another site's page cannot act with our cookie", arguments: [
        (.get, false, "cross-site", nil, true), (.get, false, nil, nil, true), (.post, false, "same-origin", nil, true), (.post, false, "none", nil, true),
        (.post, false, "same-site", nil, false), (.post, false, "cross-site", "https://alpha.example.com", false), (.post, false, nil, "https://alpha.example.com", true),
        (.post, false, nil, "https://alpha.example.com.evil.com", false), (.post, false, nil, "http://alpha.example.com", false), (.post, false, nil, "null", false),
        (.post, false, nil, nil, false), (.delete, false, nil, nil, false), (.get, true, nil, "https://alpha.example.com", true), (.get, true, nil, "https://evil.com", false),
        (.get, true, nil, nil, false), (.get, true, "cross-site", nil, false), (.patch, false, "", "https://alpha.example.com", false),
    ] as [(Method, Bool, String?, String?, Bool)])
    func crossSite(method: Method, upgrade: Bool, site: String?, origin: String?, allowed: Bool) {
        #expect(CrossSiteRule.allows(method: method, hasUpgrade: upgrade, fetchSite: site, origin: origin, publicURL: "https://alpha.example.com") == allowed)
    }
}
