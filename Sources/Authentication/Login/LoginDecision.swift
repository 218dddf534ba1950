package import GatewayTerms

/// Why a request has no login.
package enum LoginAbsence: Sendable, Equatable {
    case noCookie
    /// A part of the cookie is missing.
    case incomplete
    case unreadable(SealFault)
    case ended(LoginEnd)
    case tooManyCookies

    /// For the access log: a closed list.
    package var code: String {
        switch self {
        case .noCookie: "no_login"
        case .incomplete: "login_incomplete"
        case .unreadable(.malformed): "login_malformed"
        case .unreadable(.unknownKey): "login_key_unknown"
        case .unreadable(.notAuthentic): "login_not_authentic"
        case .unreadable(.unavailable): "login_unreadable"
        case .ended(let end): "login_ended_\(end.rawValue)"
        case .tooManyCookies: "too_many_cookies"
        }
    }
}

/// Set-Cookie values for an answer that is on its way anyway.
package struct CookieUpdate: Sendable, Equatable {
    package let lines: [String]
    /// Later they must not be sent: they could overtake newer ones.
    package let validUntil: WallTime

    package func lines(at now: WallTime) -> [String] { now <= validUntil ? lines : [] }
}

/// A request that a login session authenticates.
package struct LoginGrant: Sendable {
    package let identity: Identity
    package let session: LoginSession
    /// A stream of this request is to be closed then, at the latest (D12).
    package let endsAt: WallTime
    /// To be added to the response's head.
    package let update: CookieUpdate?
    /// Not nil: ask the port beside this request, and hold the response's head for the answer, at most three seconds.
    package let refreshAhead: PendingRefresh?
}

/// A question to the provider that renews a login session.
package struct PendingRefresh: Sendable {
    package let grant: RefreshGrant
    package let session: LoginSession
    /// Places of the session's parts that the browser sent.
    let sentParts: [Int]
}

/// What a request's cookies say.
package enum LoginDecision: Sendable {
    case allowed(LoginGrant)
    /// Logged in, and the route's policy wants more: 403.
    case refused(BearerRefusal, LoginGrant)
    /// Ask the port first; the request waits at most three seconds.
    case refreshFirst(PendingRefresh)
    /// The session wants a refresh, and where the provider is has not been discovered yet: `AuthorizationCodeFlow.providerUnavailable`.
    case providerUnavailable
    /// `AuthorizationCodeFlow.challenge` answers.
    case none(LoginAbsence)
}

/// What became of a refresh.
package enum RefreshOutcome: Sendable {
    /// Goes on with this; `update` holds the new cookies.
    case renewed(LoginGrant)
    /// The same, and the route's policy wants more: 403, with the new cookies.
    case refused(BearerRefusal, LoginGrant)
    /// The provider ended the login: the cookies are to be cleared; a request that waited is challenged.
    case ended(CookieUpdate)
    /// The provider could not be asked. Before the session's end this is nothing; a request that waited gets 503 with Retry-After.
    case unavailable
    /// The provider's answer is signed by a key that is not at hand: refetch, then say so and ask again.
    case needsKeys(issuer: String, keyID: String?)
}
