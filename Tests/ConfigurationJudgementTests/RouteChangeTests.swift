import ConfigurationJudgement
import GatewayConfiguration
import Testing

private let admin = "{ path: /api/admin, upstream: ui, credentials: [login_session], policy: { groups: [operators] } }"
private let token = "{ path: /api/metadata/auth/token, respond: 404 }"
private let read = "{ path: /api/read, methods: [GET, HEAD], upstream: ui, credentials: [bearer] }"
private let api = "{ path: /api, upstream: ui, credentials: [login_session, bearer] }"
private let old = "{ path: /old, redirect: /new }"

@Suite("What changes at the paths of a stage")
struct RouteChangeTests {
    @Test("The same configuration changes nothing") func same() throws {
        #expect(try Pair("nothing", expect: []).changes == [])
    }

    @Test("A path that more people reach, or reach with less, is weaker", arguments: [
        Pair("A new public route", routes("{ path: /debug, upstream: ui, public: \"debugging\" }"), expect: ["weaker alpha: /debug becomes public"]),
        Pair("A protected route made public", api => "{ path: /api, upstream: ui, public: \"why not\" }", expect: ["weaker alpha: /api becomes public"]),
        Pair("A public route for one method", routes("{ path: /api, methods: [GET], upstream: ui, public: \"x\" }"), expect: ["weaker alpha: GET /api becomes public"]),
        Pair("A stricter route deleted falls to the longest prefix that is left", without(admin), expect: [
            "weaker alpha: /api/admin now takes bearer too", "weaker alpha: /api/admin now lets in group science too",
        ]),
        Pair("A refusing route deleted", without(token), expect: ["weaker alpha: /api/metadata/auth/token is served, and was answered with 404"]),
        Pair("A refusing route that forwards", token => "{ path: /api/metadata/auth/token, upstream: metadata, credentials: [bearer] }", expect: [
            "weaker alpha: /api/metadata/auth/token is served, and was answered with 404",
        ]),
        Pair("Another kind of credentials", admin => "{ path: /api/admin, upstream: ui, credentials: [login_session, bearer], policy: { groups: [operators] } }", expect: [
            "weaker alpha: /api/admin now takes bearer too",
        ]),
        Pair("Two kinds more", "{ path: /secure, upstream: secure, credentials: [login_session] }" => "{ path: /secure, upstream: secure, credentials: [login_session, bearer, api_key] }", expect: [
            "weaker alpha: /secure now takes api_key, bearer too",
        ]),
        Pair("A route's policy back to the stage's", admin => "{ path: /api/admin, upstream: ui, credentials: [login_session] }", expect: [
            "weaker alpha: /api/admin now lets in group science too",
        ]),
        Pair("Rules where there were none", "policy: { groups: [operators] }" => "policy: { groups: [operators], rules: [{ name: a, decision: allow, when: { scope: s } }] }", expect: [
            "stronger alpha: /api/admin now asks the rules a",
        ]),
        Pair("A group more", "policy: { groups: [operators] }" => "policy: { groups: [operators, science] }", expect: ["weaker alpha: /api/admin now lets in group science too"]),
        Pair("No group any more", "policy: { groups: [operators] }" => "policy: { groups: [], widens: \"all\" }", expect: ["weaker alpha: /api/admin no longer requires group operators"]),
        Pair("One group in place of another", "policy: { groups: [operators] }" => "policy: { groups: [science] }", expect: [
            "weaker alpha: /api/admin now lets in group science too", "stronger alpha: /api/admin no longer lets in group operators",
        ]),
        Pair("A scope less", before: ["policy: { groups: [operators] }" => "policy: { groups: [operators], scopes: [a, b] }"], "scopes: [a, b]" => "scopes: [b]", expect: [
            "weaker alpha: /api/admin no longer requires scope a",
        ]),
        Pair("No scope any more", before: ["policy: { groups: [operators] }" => "policy: { groups: [operators], scopes: [a, b] }"], ", scopes: [a, b]" => "", expect: [
            "weaker alpha: /api/admin no longer requires the scopes a, b",
        ]),
        Pair("A method that was refused", before: [without(api)], "methods: [GET, HEAD]" => "methods: [GET, HEAD, POST]", expect: [
            "weaker alpha: POST /api/read is served, and the method was refused",
        ]),
        Pair("Every method", before: [without(api)], ", methods: [GET, HEAD]" => "", expect: [
            "weaker alpha: POST, PUT, PATCH, DELETE, OPTIONS /api/read is served, and the method was refused",
        ]),
        Pair("A method that another policy holds for", "methods: [GET, HEAD]" => "methods: [GET]", expect: ["weaker alpha: HEAD /api/read now takes login_session too"]),
        Pair("A new route that lets in whom the stage refuses", routes("{ path: /wide, upstream: ui, credentials: [bearer], policy: { groups: [], widens: \"x\" } }"), expect: [
            "weaker alpha: /wide is served to callers whom the stage's policy refuses", "neutral alpha: /wide is served by upstream ui for bearer",
        ]),
        Pair("A more open path below a strict one", routes("{ path: /api/admin/help, upstream: ui, credentials: [login_session] }"), expect: [
            "weaker alpha: /api/admin/help now lets in group science too",
        ]),
        Pair("A new path to an upstream that asked for more", before: [without(api), without(read), "public: \"pictures\"" => "credentials: [login_session], policy: { groups: [operators] }"],
             routes("{ path: /side, upstream: ui, credentials: [login_session] }"), expect: [
                 "neutral alpha: /side is served by upstream ui for login_session", "weaker alpha: /side leads to upstream ui, which asked for more until now",
             ]),
        Pair("A path turned to an upstream that asked for more", "{ path: /static, upstream: ui, public: \"pictures\" }" => "{ path: /static, upstream: secure, public: \"pictures\" }", expect: [
            "neutral alpha: /static goes to upstream secure instead of upstream ui", "weaker alpha: /static leads to upstream secure, which asked for more until now",
        ]),
        Pair("The token passed on", "credentials: [login_session, bearer] }" => "credentials: [login_session, bearer], forward_authorization: true }", expect: [
            "weaker alpha: /api passes the caller's token to upstream ui",
        ]),
        Pair("Path parameters let through", "credentials: [login_session, bearer] }" => "credentials: [login_session, bearer], allow_path_parameters: true }", expect: [
            "weaker alpha: /api lets ';' in paths through",
        ]),
        Pair("The stage's policy gone", "policy: { groups: [science, operators], scopes: [] }" => "policy: { groups: [] }", expect: [
            "weaker alpha: every route without a policy of its own no longer requires one of the groups operators, science",
        ]),
        Pair("A group more in the stage's policy", "groups: [science, operators]" => "groups: [science, operators, guests]", expect: [
            "weaker alpha: every route without a policy of its own now lets in group guests too",
        ]),
        Pair("A scope less in the stage's policy", before: ["operators], scopes: []" => "operators], scopes: [a]"], "operators], scopes: [a]" => "operators], scopes: []", expect: [
            "weaker alpha: every route without a policy of its own no longer requires scope a", "weaker alpha: /api/admin no longer requires scope a",
            "neutral alpha: the command-line API asks for the scopes openid",
        ]),
        Pair("A redirect that becomes public", old => "{ path: /old, upstream: ui, public: \"x\" }", expect: ["weaker alpha: /old becomes public"]),
        Pair("A public route in place of a refusal", token => "{ path: /api/metadata/auth/token, upstream: metadata, public: \"x\" }", expect: [
            "weaker alpha: /api/metadata/auth/token becomes public",
        ]),
    ])
    func weaker(pair: Pair) throws { #expect(try pair.changes.sorted() == pair.expected.sorted()) }

    @Test("A path that fewer people reach, or reach with more, is stronger", arguments: [
        Pair("A public route protected", "public: \"pictures\"" => "credentials: [login_session]", expect: ["stronger alpha: /static is no longer public: it asks for login_session"]),
        Pair("A public route gone", without("{ path: /static, upstream: ui, public: \"pictures\" }"), expect: ["stronger alpha: /static is no longer served"]),
        Pair("A route refused", routes("{ path: /api/secret, respond: 403 }"), expect: ["stronger alpha: /api/secret is answered with 403 and no longer served"]),
        Pair("A route redirected", routes("{ path: /api/moved, redirect: /new }"), expect: ["stronger alpha: /api/moved is answered with a redirect (308) to /new and no longer served"]),
        Pair("A kind of credentials less", "[login_session, bearer] }" => "[login_session] }", expect: ["stronger alpha: /api no longer takes bearer"]),
        Pair("A policy of its own", "credentials: [login_session, bearer] }" => "credentials: [login_session, bearer], policy: { groups: [operators] } }", expect: [
            "stronger alpha: /api no longer lets in group science",
        ]),
        Pair("A scope more", "policy: { groups: [operators] }" => "policy: { groups: [operators], scopes: [a] }", expect: ["stronger alpha: /api/admin now requires scope a"]),
        Pair("A group required", before: ["policy: { groups: [science, operators], scopes: [] }" => "policy: { groups: [] }"],
             "[login_session, bearer] }" => "[login_session, bearer], policy: { groups: [ml-admins] } }", expect: ["stronger alpha: /api now requires group ml-admins"]),
        Pair("A stage's policy where there was none", before: ["groups: [science, operators], scopes: []" => "groups: []"], "policy: { groups: [] }" => "policy: { groups: [operators] }", expect: [
            "stronger alpha: every route without a policy of its own now requires group operators",
        ]),
        Pair("A stricter path below", routes("{ path: /api/keys, upstream: ui, credentials: [bearer], policy: { groups: [operators] } }"), expect: [
            "stronger alpha: /api/keys no longer takes login_session", "stronger alpha: /api/keys no longer lets in group science",
        ]),
        Pair("Methods named", before: [without(api)], "methods: [GET, HEAD]" => "methods: [GET]", expect: ["stronger alpha: HEAD /api/read is no longer served"]),
        Pair("The token kept", before: ["[login_session, bearer] }" => "[login_session, bearer], forward_authorization: true }"], ", forward_authorization: true" => "", expect: [
            "stronger alpha: /api no longer passes the caller's token on",
        ]),
        Pair("Path parameters refused", before: ["[login_session, bearer] }" => "[login_session, bearer], allow_path_parameters: true }"], ", allow_path_parameters: true" => "", expect: [
            "stronger alpha: /api no longer lets ';' in paths through",
        ]),
        Pair("The command-line API gone", without("{ path: /cli, service: command-line-api }"), expect: ["stronger alpha: /cli is no longer served"]),
    ])
    func stronger(pair: Pair) throws { #expect(try pair.changes.sorted() == pair.expected.sorted()) }

    @Test("What is new behind the stage's own policy, and what nobody gets further by, is neutral", arguments: [
        Pair("A new route", routes("{ path: /new, upstream: ui, credentials: [bearer] }"), expect: ["neutral alpha: /new is served by upstream ui for bearer"]),
        Pair("A new route with a stricter policy", routes("{ path: /new, upstream: ui, credentials: [bearer], policy: { groups: [operators] } }"), expect: [
            "neutral alpha: /new is served by upstream ui for bearer",
        ]),
        Pair("A new route for one method", routes("{ path: /new, methods: [POST], upstream: ui, credentials: [bearer] }"), expect: ["neutral alpha: POST /new is served by upstream ui for bearer"]),
        Pair("A new refusal", routes("{ path: /new, respond: 410 }"), expect: ["neutral alpha: /new is answered with 410"]),
        Pair("A new redirect", routes("{ path: /here, redirect: /there }"), expect: ["neutral alpha: /here is answered with a redirect (308) to /there"]),
        Pair("Another status", "respond: 404" => "respond: 410", expect: ["neutral alpha: /api/metadata/auth/token is answered with 410 instead of 404"]),
        Pair("Another place of a redirect", "redirect: /new" => "redirect: /newer", expect: ["neutral alpha: /old is answered with a redirect (308) to /newer instead of a redirect (308) to /new"]),
        Pair("A redirect gone", without(old), expect: ["neutral alpha: /old is no longer answered by the gateway itself"]),
        Pair("A redirect that is served behind the policy", old => "{ path: /old, upstream: ui, credentials: [login_session] }", expect: ["neutral alpha: /old is served by upstream ui for login_session"]),
        Pair("Another upstream of the same strength", "{ path: /api/metadata, upstream: metadata, credentials" => "{ path: /api/metadata, upstream: ui, credentials", expect: [
            "neutral alpha: /api/metadata goes to upstream ui instead of upstream metadata",
        ]),
        Pair("Another reason", "public: \"pictures\"" => "public: \"images\"", expect: ["neutral alpha: /static is public for another reason: images"]),
        Pair("The path stripped", "[login_session, bearer] }" => "[login_session, bearer], strip_prefix: true }", expect: ["neutral alpha: /api is forwarded without /api"]),
        Pair("A larger body", "[login_session, bearer] }" => "[login_session, bearer], body_bytes: 128MiB }", expect: ["neutral alpha: /api takes bodies of at most 128MiB"]),
        Pair("Another timeout", "[login_session, bearer] }" => "[login_session, bearer], timeout: 5s }", expect: ["neutral alpha: /api waits 5s for an answer"]),
        Pair("Another failure profile", "[login_session, bearer] }" => "[login_session, bearer], failures: metaflow }", expect: ["neutral alpha: /api fails as metaflow"]),
        Pair("A trailer", "[login_session, bearer] }" => "[login_session, bearer], allow_trailers: [x-sum] }", expect: ["neutral alpha: /api lets trailers through: x-sum"]),
        Pair("The order of the routes", api => "{ path: /first, respond: 404 }", "# more routes" => "- \(api)", expect: ["neutral alpha: /first is answered with 404"]),
        Pair("The order of credentials and groups", "[login_session, bearer] }" => "[bearer, login_session] }", "[science, operators]" => "[operators, science]", expect: []),
        Pair("A policy spelt out", "[login_session, bearer] }" => "[login_session, bearer], policy: { groups: [science, operators] } }", expect: []),
        Pair("A stage's policy that no route follows", before: [
            without("{ path: /cli, service: command-line-api }"), without(read), "[login_session, bearer] }" => "[bearer], policy: { groups: [operators] } }",
            "[bearer, login_session] }" => "[bearer], policy: { groups: [operators] } }", without("{ path: /secure, upstream: secure, credentials: [login_session] }"),
        ], "policy: { groups: [science, operators], scopes: [] }" => "policy: { groups: [science, operators, guests] }", expect: [
            "neutral alpha: every route without a policy of its own now lets in group guests too",
        ]),
    ])
    func neutral(pair: Pair) throws { #expect(try pair.changes.sorted() == pair.expected.sorted()) }

    @Test("A change stands where the new configuration says it") func location() throws {
        let pair = Pair("A new public route", routes("{ path: /debug, upstream: ui, public: \"debugging\" }"), expect: [])
        let change = try #require(try Judgement(of: pair.new, against: pair.old).changes.first)
        #expect((change.location.file, change.setting) == ("alpha.yaml", "routes[9]"))
        #expect(change.location.line == 24)
    }

    @Test("Many groups make a sentence of bounded length that still tells them apart") func manyGroups() throws {
        func sentence(_ last: String) throws -> String {
            let groups = (0..<99).map { "group-\($0)" } + [last]
            let pair = Pair("Many", "policy: { groups: [operators] }" => "policy: { groups: [\(groups.joined(separator: ", "))], widens: \"x\" }", expect: [])
            return try pair.changes.joined()
        }
        #expect(try sentence("x").utf8.count < 600)
        #expect(try sentence("x") != sentence("y"))
    }
}
