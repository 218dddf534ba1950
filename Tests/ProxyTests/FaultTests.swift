import Authentication
import GatewayTerms
import HTTPWire
import Proxy
import Routing
import Testing

@Suite("Fault")
struct FaultTests {
    /// Every fault that may pass.
    private static let passing: [Fault] = [
        .noEndpoint, .connectFailed("refused"), .connectTimeout, .overloaded, .resetBeforeHead, .responseTimeout, .responseMalformed(.statusLineMalformed),
        .bearer(.undecidable(.noKeySet)), .bearer(.undecidable(.refetchThrottled)), .bearer(.undecidable(.refetchFailed)),
    ]

    @Test("Whatever may pass is 503 with Retry-After for the Metaflow client, the one status that it retries", arguments: passing)
    func metaflowRetries(fault: Fault) {
        #expect(fault.status(.metaflow) == 503)
        #expect((1...60).contains(fault.retryAfter(.metaflow) ?? 0))
    }

    @Test("What is definitely bad is never 503", arguments: [
        (Fault.malformed(.bareLineFeed), 400), (.malformed(.headTooLarge), 431), (.malformed(.targetTooLong), 414), (.malformed(.methodTrace), 405),
        (.malformed(.methodConnect), 501), (.path(.encodedSlash), 400), (.path(.tooLong), 414), (.pathNotCanonical, 400), (.pathParameters, 400),
        (.hostUnknown, 404), (.misdirected, 421), (.noRoute, 404), (.methodNotAllowed(MethodSet([.get])), 405), (.bodyTooLarge(.mebibytes(64)), 413),
        (.headTimeout, 408), (.bodyTimeout, 408), (.originRefused, 403), (.bearer(.missing), 401), (.bearer(.expired(secondsAgo: 5)), 401),
        (.bearer(.groupMissing(["a"], policy: "p")), 403), (.credentialMissing, 401), (.responds(404), 404), (.gateway("x"), 500),
    ] as [(Fault, Int)])
    func definite(fault: Fault, status: Int) {
        #expect(fault.status(.metaflow) == status)
        #expect(fault.status(.browser) == status)
        #expect(fault.retryAfter(.metaflow) == nil)
    }

    @Test("A browser is told which side failed", arguments: [
        (Fault.connectFailed("refused"), 502), (.resetBeforeHead, 502), (.responseMalformed(.statusInvalid), 502), (.connectTimeout, 504), (.responseTimeout, 504),
        (.noEndpoint, 503), (.overloaded, 503),
    ] as [(Fault, Int)])
    func browser(fault: Fault, status: Int) {
        #expect(fault.status(.browser) == status)
    }

    @Test("Framing that cannot be trusted ends the connection, an ordinary refusal does not")
    func closes() {
        for fault in [Fault.malformed(.bareLineFeed), .body(.chunkSizeInvalid), .headTimeout, .bodyTimeout, .misdirected] { #expect(fault.closesConnection) }
        for fault in [Fault.noRoute, .bearer(.missing), .noEndpoint, .pathNotCanonical, .responds(404)] { #expect(!fault.closesConnection) }
    }

    @Test("A fault's JSON answer holds its sentence, its word and the request id, and is never cached")
    func json() {
        let answer = LocalAnswer(.noEndpoint, profile: .metaflow, reader: ErrorPage.Reader(again: "/a?b=\"c", now: WallTime(seconds: 1_764_000_000)), stage: nil, requestID: RequestID(high: 1, low: 2))
        let text = String(decoding: answer.body, as: UTF8.self)
        #expect(answer.contentType == "application/json")
        #expect(text.contains("\"code\":\"no_healthy_upstream\""))
        #expect(text.contains("\"request_id\":\"\(RequestID(high: 1, low: 2))\""))
        #expect(!answer.isCacheable)
    }

    @Test("A person gets a page only where the profile is the browser's")
    func page() {
        let page = LocalAnswer(.noRoute, profile: .browser, reader: ErrorPage.Reader(again: "/a?b=\"c", now: WallTime(seconds: 1_764_000_000)), stage: nil, requestID: RequestID(high: 1, low: 2))
        #expect(page.contentType?.hasPrefix("text/html") == true)
        #expect(page.fields.contains { $0.name.description == "content-security-policy" })
        let program = LocalAnswer(.noRoute, profile: .browser, reader: nil, stage: nil, requestID: RequestID(high: 1, low: 2))
        #expect(program.contentType == "application/json")
    }

    @Test("A page says what to do next, with the address escaped, and when it was", arguments: [
        (Fault.responseTimeout, "Try again</a>"), (.overloaded, "Try again</a>"), (.connectFailed("x"), "Try again</a>"), (.gateway("x"), "Try again</a>"),
        (.noRoute, "href=\"/\">To the start page</a>"), (.credentialMissing, "href=\"/oauth2/start?rd=%2F\">Sign in</a>"),
    ])
    func pageSteps(fault: Fault, step: String) {
        let reader = ErrorPage.Reader(again: "/a?b=\"c", login: "/oauth2/start?rd=%2F", now: WallTime(seconds: 1_764_000_000))
        let text = String(decoding: LocalAnswer(fault, profile: .browser, reader: reader, stage: nil, requestID: RequestID(high: 1, low: 2)).body, as: UTF8.self)
        #expect(text.contains(step))
        #expect(text.contains("2025-11-24T16:00:00.000Z") && text.contains(fault.code) && text.contains(RequestID(high: 1, low: 2).description))
        #expect(text.contains("href=\"/a?b=&quot;c\"") == step.hasPrefix("Try again"))
        let form = ErrorPage.Reader(again: nil, now: WallTime(seconds: 1_764_000_000))
        #expect(!String(decoding: LocalAnswer(fault, profile: .browser, reader: form, stage: nil, requestID: RequestID(high: 1, low: 2)).body, as: UTF8.self).contains("Try again</a>"))
    }

    @Test("A request that is too large, or asks too much, is not called malformed", arguments: [
        (RequestError.targetTooLong, "longer than"), (.headTooLarge, "cookies"), (.fieldTooLarge, "cookies"), (.tooManyFields, "cookies"), (.methodTrace, "method"),
        (.methodUnknown, "method"), (.expectationUnsupported, "Expect"), (.versionUnsupported, "version"), (.bareLineFeed, "not well-formed"),
    ])
    func wellFormed(error: RequestError, word: String) {
        let message = Fault.malformed(error).message(on: nil)
        #expect(message.contains(word) && message.contains("not well-formed") == (error.status == 400))
    }

    @Test("A page that only a program's token opens offers no login that would lead back to it")
    func programsOnly() {
        let reader = ErrorPage.Reader(again: "/", login: "/oauth2/start?rd=%2F", now: WallTime(seconds: 1_764_000_000))
        let text = String(decoding: LocalAnswer(.bearer(.missing), profile: .browser, reader: reader, stage: nil, requestID: RequestID(high: 1, low: 2)).body, as: UTF8.self)
        #expect(text.contains("<h1>This address is for programs</h1>") && !text.contains("/oauth2/start"))
    }

    @Test("405 says which methods there are")
    func allow() {
        let answer = LocalAnswer(.methodNotAllowed(MethodSet([.get, .head])), profile: .metaflow, reader: nil, stage: nil, requestID: RequestID(high: 0, low: 0))
        #expect(answer.fields.contains { $0.name.description == "allow" && $0.value == "GET, HEAD" })
    }
}
