import Authentication
import GatewayTerms
import Testing

@Suite("The login's cookies in a Cookie field")
struct LoginCookiesTests {
    @Test("Upstreams never see a cookie of ours, and all others as they came", arguments: [
        ("", "unchanged"), ("a=b", "unchanged"), ("a=b; c=d", "unchanged"), ("a=b;;c", "unchanged"), ("__Host-gws=x", "nothing"),
        ("__Host-gws=x; __Host-gws.1=y; __Host-gwtx-0123abcd=z; __Host-gwrecent=q; __Host-gwout=1", "nothing"), ("a=b; __Host-gws=x; c=d", "a=b; c=d"),
        ("__HOST-GWS=x; a=b", "a=b"), ("__host-gwanything=x;a=b", "a=b"), ("  __Host-gws =x ;a=\"b c\"", "a=\"b c\""), ("__Host-gws", "nothing"),
        ("x__Host-gws=1", "unchanged"), ("__Host-g=1", "unchanged"), ("a=__Host-gws=x", "unchanged"), ("__Host-gws=x;;;", "nothing"), ("=v; __Host-gws=x", "=v"),
    ])
    func forwarded(field: String, expected: String) {
        let bytes = Array(field.utf8)
        let forwarded = LoginCookies.forwarded(bytes.span)
        switch expected {
        case "unchanged": #expect(forwarded == .unchanged)
        case "nothing": #expect(forwarded == .nothing)
        default: #expect(forwarded == .replaced(Array(expected.utf8)))
        }
        #expect(LoginCookies(field).hasOwn == (expected != "unchanged"))
    }

    @Test("Sixty-four cookies are read, and of sixty-five none is believed")
    func count() {
        let others = (0..<63).map { "c\($0)=v" }.joined(separator: "; ")
        #expect(LoginCookies(others + "; __Host-gws=x").hasSession)
        let over = LoginCookies(others + "; d=e; __Host-gws=x")
        #expect(over.hasTooMany && !over.hasSession && over.hasOwn)
        let ours = LoginCookies((0..<65).map { "__Host-gwtx-\($0)=v" }.joined(separator: "; "))
        #expect(ours.hasTooMany && ours.transactions.isEmpty)
    }

    @Test("A session's part that came twice is not there")
    func doubled() {
        #expect(!LoginCookies("__Host-gws=x; __Host-gws=x").hasSession)
        #expect(!LoginCookies("__Host-gws=x; a=b; __Host-gws=y; __Host-gws=z").hasSession)
    }

    @Test("Its values cannot be printed")
    func notPrinted() {
        #expect(!"\(LoginCookies("__Host-gws=0123456789"))".contains("3456"))
    }

    @Test("Random fields are read without a trap, and forwarding twice changes nothing more")
    func random() {
        let random = SeededBytes(11)
        let pieces = ["__Host-gws", "__Host-gws.1", "__Host-gwtx-", "=", ";", " ", "\t", "a", "1.3.k.", "\u{e9}", ",", "\""]
        for _ in 0..<3000 {
            let field = (0..<random.below(40)).map { _ in pieces[random.below(pieces.count)] }.joined()
            _ = LoginCookies(field)
            if case .replaced(let kept) = LoginCookies.forwarded(Array(field.utf8).span) { #expect(LoginCookies.forwarded(kept.span) == .unchanged) }
        }
    }
}
