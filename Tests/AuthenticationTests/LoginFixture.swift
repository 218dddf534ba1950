import Authentication
import GatewayTerms

/// Random bytes that a test can repeat.
final class SeededBytes {
    private var state: UInt64

    init(_ seed: UInt64 = 1) { state = seed &* 0x9e37_79b9_7f4a_7c15 | 1 }

    func next() -> UInt64 {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return state
    }

    func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8(truncatingIfNeeded: next() >> 24) } }

    func below(_ bound: Int) -> Int { Int(next() >> 33) % bound }
}

/// A browser's cookies for one host, as RFC 6265 keeps them.
struct Browser {
    private(set) var cookies: [(name: String, value: String, endsAt: Int64)] = []
    /// Longest Set-Cookie value that came, and most bytes of one Cookie field that went.
    private(set) var longestSetCookie = 0

    mutating func take(_ lines: [String], at now: WallTime) {
        for line in lines {
            longestSetCookie = max(longestSetCookie, line.utf8.count)
            let parts = line.split(separator: ";").map { $0.drop { $0 == " " } }
            let pair = parts[0].split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let age = parts.compactMap { $0.hasPrefix("Max-Age=") ? Int64($0.dropFirst(8)) : nil }.first ?? 0
            cookies.removeAll { $0.name == String(pair[0]) }
            if age > 0 { cookies.append((String(pair[0]), String(pair[1]), now.seconds + age)) }
        }
    }

    mutating func take(_ answer: LoginAnswer, at now: WallTime) { take(answer.cookies, at: now) }

    func field(at now: WallTime) -> String {
        cookies.filter { $0.endsAt > now.seconds }.map { "\($0.name)=\($0.value)" }.joined(separator: "; ")
    }

    func sent(at now: WallTime) -> LoginCookies { LoginCookies(field(at: now)) }

    func count(prefix: String) -> Int { cookies.count { $0.name.hasPrefix(prefix) } }

    mutating func remove(_ name: String) { cookies.removeAll { $0.name == name } }

    mutating func plant(_ name: String, _ value: String) { cookies.append((name, value, .max)) }
}

extension LoginCookies {
    init(_ text: String) {
        let bytes = Array(text.utf8)
        self.init(bytes.span)
    }
}

extension LoginAnswer {
    func values(_ name: String) -> [String] { fields.filter { $0.name.description == name }.map(\.value) }
    var location: String? { values("location").first }
    var cookies: [String] { values("set-cookie") }
    var text: String { String(decoding: body, as: UTF8.self) }
}

/// One gateway's login for one stage, with everything that it depends on in the test's hand.
final class LoginBench {
    static let clientID = "client-browser"
    static let endpoints = ProviderEndpoints(
        authorizationURL: "https://login.example/oauth2/authorize", tokenURL: "https://login.example/oauth2/token",
        revocationURL: "https://login.example/oauth2/revoke", signOut: .cognito(url: "https://login.example/logout"))

    let authenticator: LoginAuthenticator
    let random: SeededBytes
    var rules: LoginRules
    var ring: KeyRing
    var keySets: KeySets
    var revocation = Revocation.none
    var discovered: [LoginSurroundings.Discovered] = []
    var now = Fixture.now

    init(_ rules: LoginRules? = nil, ring: KeyRing? = nil, keySets: KeySets? = nil, seed: UInt64 = 1) throws {
        authenticator = try LoginAuthenticator()
        let random = SeededBytes(seed)
        self.random = random
        self.rules = rules ?? Self.rules()
        self.ring = ring ?? Self.ring
        self.keySets = try keySets ?? Fixture.keySets()
    }

    static let ring = KeyRing.fresh(at: Fixture.now.advanced(by: -86_400)) { SeededBytes(7).bytes($0) }

    static func rules(
        _ stage: String = "alpha", issuer: String = Fixture.issuer, isCognito: Bool = true, endpoints: ProviderEndpoints? = endpoints,
        lifetimes: LoginLifetimes = LoginLifetimes(), forwardedGroups: [String]? = nil
    ) -> LoginRules {
        LoginRules(
            stage: stage, host: Hostname("\(stage).example.com")!, publicURL: "https://\(stage).example.com", issuer: issuer, isCognito: isCognito,
            clientID: clientID, clientSecret: Secret("secret of the browser client"), endpoints: endpoints, lifetimes: lifetimes,
            forwardedGroups: forwardedGroups)
    }

    var surroundings: LoginSurroundings {
        LoginSurroundings(keyRing: ring, keySets: keySets, revocation: revocation, discovered: discovered, now: now)
    }

    var flow: AuthorizationCodeFlow {
        AuthorizationCodeFlow(authenticator: authenticator, rules: rules, surroundings: surroundings, random: random.bytes)
    }

    func decide(_ browser: Browser, route: RoutePolicy = Fixture.open) -> LoginDecision { flow.decide(browser.sent(at: now), route: route) }

    func challenge(_ browser: Browser, _ target: String = "/") -> LoginAnswer {
        guard case .none(let absence) = decide(browser) else { return LoginAnswer.unexpected }
        return flow.challenge(Self.request(target, browser.sent(at: now)), absence)
    }

    static func request(
        _ target: String = "/", _ cookies: LoginCookies = .none, method: Method = .get, as requestClass: RequestClass = .navigation,
        wantsPage: Bool? = nil, fetchSite: String? = "same-origin", origin: String? = nil
    ) -> LoginRequest {
        let query = target.utf8.firstIndex(of: UInt8(ascii: "?")).map { Array(target.utf8[target.utf8.index(after: $0)...]) }
        return LoginRequest(
            method: method, target: Array(target.utf8), query: query, cookies: cookies, requestClass: requestClass, wantsPage: wantsPage ?? (requestClass == .navigation), fetchSite: fetchSite, origin: origin,
            requestID: "0193-request")
    }

    func serve(_ path: LoginPath, _ browser: Browser = Browser(), query: String = "", method: Method = .get, as requestClass: RequestClass = .navigation,
               fetchSite: String? = "same-origin", origin: String? = nil) -> LoginAction {
        let target = path.rawValue + (query.isEmpty ? "" : "?" + query)
        return flow.serve(path, Self.request(target, browser.sent(at: now), method: method, as: requestClass, fetchSite: fetchSite, origin: origin))
    }

    // MARK: - A whole login

    /// Parameters of the authorization request that an answer leads to.
    static func parameters(_ answer: LoginAnswer) -> [String: String] {
        guard let location = answer.location, let mark = location.firstIndex(of: "?") else { return [:] }
        var found: [String: String] = [:]
        for pair in location[location.index(after: mark)...].split(separator: "&") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            found[String(parts[0])] = decoded(String(parts[1]))
        }
        return found
    }

    static func decoded(_ text: String) -> String {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let first = rest.popFirst() {
            if first == UInt8(ascii: "%"), rest.count >= 2, let byte = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) {
                bytes.append(byte)
                rest = rest.dropFirst(2)
            } else {
                bytes.append(first)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    struct Tokens {
        var idChanges: [(String, String?)] = []
        var accessChanges: [(String, String?)] = []
        var key = Fixture.first
        var lifetime: Int64 = 3600
        var refreshToken: String? = "refresh-1"
        var groups: [String]?
        /// A hash of something else.
        var breaksHash = false
        var subject = "a1b2c3"
        var issuer = Fixture.issuer
    }

    /// What Cognito's token endpoint answers.
    func tokens(nonce: String?, _ tokens: Tokens = Tokens()) -> TokenAnswer {
        var access: [(String, String?)] = [
            ("client_id", "\"\(Self.clientID)\""), ("sub", "\"\(tokens.subject)\""), ("exp", "\(now.seconds + tokens.lifetime)"), ("iat", "\(now.seconds)"),
            ("auth_time", "\(now.seconds)"), ("scope", "\"openid email profile\""), ("iss", "\"\(tokens.issuer)\""),
        ]
        if let groups = tokens.groups { access.append(("cognito:groups", "[" + groups.map { "\"\($0)\"" }.joined(separator: ",") + "]")) }
        let accessToken = Fixture.token(claims: Fixture.claims(access + tokens.accessChanges), key: tokens.key)
        let hash = LoginDigest.sha256(Array((tokens.breaksHash ? accessToken + "x" : accessToken).utf8).span).prefix(16)
        var id: [(String, String?)] = access.filter { $0.0 != "client_id" && $0.0 != "scope" }
        id += [("aud", "\"\(Self.clientID)\""), ("at_hash", "\"\(base64URL(Array(hash)))\"")]
        if let nonce { id.append(("nonce", "\"\(nonce)\"")) }
        let idToken = Fixture.token(claims: Fixture.idClaims(id + tokens.idChanges), key: tokens.key)
        return TokenAnswer(
            accessToken: Secret(accessToken), idToken: Secret(idToken), refreshToken: tokens.refreshToken.map { Secret($0) }, expiresIn: tokens.lifetime, scope: nil)
    }

    /// Start, provider, callback; the answer to the callback.
    @discardableResult
    func login(_ browser: inout Browser, target: String = "/", _ tokens: Tokens = Tokens()) -> LoginAnswer {
        let begun = challenge(browser, target)
        browser.take(begun, at: now)
        return comeBack(&browser, Self.parameters(begun), tokens)
    }

    func comeBack(_ browser: inout Browser, _ parameters: [String: String], _ tokens: Tokens = Tokens()) -> LoginAnswer {
        let request = Self.request("/oauth2/callback?code=the-code&state=\(parameters["state"] ?? "")", browser.sent(at: now), fetchSite: "cross-site")
        let answer: LoginAnswer
        switch flow.serve(.callback, request) {
        case .answer(let direct): answer = direct
        case .redeem(let pending):
            guard case .answer(let done) = flow.redeemed(pending, .success(self.tokens(nonce: parameters["nonce"], tokens)), request) else { return .unexpected }
            answer = done
        case .refresh, .signOut: answer = .unexpected
        }
        browser.take(answer, at: now)
        return answer
    }
}

extension LoginAnswer {
    /// Stands for "something else than an answer", so that expectations on it fail.
    static let unexpected = AuthorizationCodeFlow.unexpectedAnswer
}

extension AuthorizationCodeFlow {
    static var unexpectedAnswer: LoginAnswer {
        let bench = try! LoginBench()
        return bench.flow.unknownPath(LoginBench.request())
    }
}

extension LoginAction {
    var answer: LoginAnswer? {
        switch self {
        case .answer(let answer), .signOut(let answer, _, _): answer
        case .redeem, .refresh: nil
        }
    }
    var redeeming: PendingLogin? { if case .redeem(let pending) = self { pending } else { nil } }
    var refreshing: PendingRefresh? { if case .refresh(let pending) = self { pending } else { nil } }
}

extension LoginDecision {
    var grant: LoginGrant? { if case .allowed(let grant) = self { grant } else { nil } }
    var absence: LoginAbsence? { if case .none(let absence) = self { absence } else { nil } }
    var first: PendingRefresh? { if case .refreshFirst(let pending) = self { pending } else { nil } }
}
extension RefreshOutcome {
    var grant: LoginGrant? { if case .renewed(let grant) = self { grant } else { nil } }
}
