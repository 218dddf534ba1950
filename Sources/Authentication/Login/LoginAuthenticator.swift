internal import GatewayTerms

/// What the login needs on one event loop: contexts of libcrypto and the sessions that were opened lately. `AuthorizationCodeFlow`
/// decides with it; it never fetches and never waits.
package final class LoginAuthenticator {
    private var sealer: CookieSealer
    private var verifier: TokenVerifier
    private var opened: OpenedSessions
    /// Sessions found opened already, and those that had to be opened.
    package private(set) var cacheHits: UInt64 = 0
    package private(set) var cacheMisses: UInt64 = 0
    private var keyUses = LoginKeyUses()
    /// Login cookies by the id of the key that opened them; those found opened already count too.
    package var cookiesByKey: [String: UInt64] { keyUses.counts }

    /// - Throws: `cryptographyUnavailable`, at start-up.
    package init(openedBytesMax: Int = 8 * 1024 * 1024) throws(AuthenticationError) {
        sealer = try CookieSealer()
        verifier = try TokenVerifier()
        opened = OpenedSessions(bytesMax: openedBytesMax)
    }

    enum Opening {
        case opened(LoginSession, Identity)
        case absent(LoginAbsence)
    }

    func open(_ cookies: LoginCookies, _ rules: LoginRules, _ surroundings: LoginSurroundings) -> Opening {
        if cookies.hasTooMany { return .absent(.tooManyCookies) }
        guard let value = cookies.sessionValue else { return .absent(cookies.sessionPartsSent.isEmpty ? .noCookie : .incomplete) }
        if let entry = opened.entry(value, ring: surroundings.keyRing, rules: rules) {
            cacheHits &+= 1
            entry.keyUse.add()
            return .opened(entry.session, entry.identity)
        }
        cacheMisses &+= 1
        let record: [UInt8]
        do { record = try sealer.open(value.span, as: LoginCookieName.session, for: rules.host, ring: surroundings.keyRing) } catch {
            return .absent(.unreadable(error))
        }
        guard let session = LoginSession(record: record) else { return .absent(.unreadable(.malformed)) }
        let identity = rules.identity(of: session)
        let keyUse = keyUses.use(of: CookieSealer.declaredKeyID(value.span) ?? "", in: surroundings.keyRing)
        keyUse.add()
        opened.insert(.init(value: value, session: session, identity: identity, ring: surroundings.keyRing, rules: rules, keyUse: keyUse))
        return .opened(session, identity)
    }

    /// A record sealed into one cookie's value, or nil where there is no key or libcrypto fails.
    func seal(_ record: [UInt8], as name: String, _ rules: LoginRules, _ surroundings: LoginSurroundings, random: RandomBytes, count: Int = 1) -> [UInt8]? {
        guard let key = surroundings.keyRing.sealingKey(at: surroundings.now) else { return nil }
        return sealer.seal(record, as: name, for: rules.host, count: count, key: key, nonce: random(CookieSealer.nonceBytes))
    }

    func open(_ value: [UInt8], as name: String, _ rules: LoginRules, _ surroundings: LoginSurroundings) -> [UInt8]? {
        try? sealer.open(value.span, as: name, for: rules.host, ring: surroundings.keyRing)
    }

    func verify(_ token: Secret, _ rules: LoginRules, _ surroundings: LoginSurroundings) -> TokenVerifier.Outcome {
        token.withBytes { verifier.verify($0, stage: rules.tokenRules, keySets: surroundings.keySets, tokenBytesMax: TokenAnswer.bytesMax) }
    }
}
