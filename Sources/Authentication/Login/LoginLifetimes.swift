package import GatewayTerms

/// How long a login may last (D16), and when its session is renewed (D9).
package struct LoginLifetimes: Sendable, Equatable {
    /// After its beginning, whatever happens.
    package let lifetimeSeconds: Int64
    /// After its last request.
    package let idleSeconds: Int64

    package init(lifetimeSeconds: Int64 = 86_400, idleSeconds: Int64 = 28_800) {
        self.lifetimeSeconds = min(max(lifetimeSeconds, 1), 315_360_000)
        self.idleSeconds = min(max(idleSeconds, 1), self.lifetimeSeconds)
    }

    /// When the login ends at the latest, if it is used and renewed.
    package func end(of session: LoginSession) -> WallTime {
        let end = session.createdAt.advanced(by: lifetimeSeconds)
        return session.refreshToken == nil ? min(end, session.expiresAt) : end
    }

    /// The last request was noted so long ago that it should be noted anew. Not close to a refresh: a cookie with the old refresh token
    /// must not overtake the one with the new.
    func wantsTouch(_ session: LoginSession, at now: WallTime) -> Bool {
        guard now >= session.usedAt.advanced(by: max(1, idleSeconds / 8)) else { return false }
        return session.refreshToken == nil || now < RefreshDecision.aheadFrom(session).advanced(by: -Self.quietSeconds)
    }

    /// Before a refresh, no other cookie is set for this long.
    static let quietSeconds: Int64 = 60
    /// A new cookie goes with an answer whose head leaves within so many seconds; later it could overtake a newer one.
    static let touchValidSeconds: Int64 = 5
    static let refreshValidSeconds: Int64 = 30
}

/// Whether the provider must vouch for a login session again (D9). Pure.
package enum RefreshDecision: Sendable, Equatable {
    /// Good for a while.
    case none
    /// Good, and soon no longer: refresh beside this request.
    case ahead
    /// Over: refresh before this request, which waits at most three seconds.
    case blocking
    /// Over, and nothing to refresh it with, or the login's own end has come.
    case ended(LoginEnd)

    /// Longest wait of a request for its refresh, also of a response's head (DESIGN §7).
    package static let waitSecondsMax: Int64 = 3

    package init(_ session: LoginSession, lifetimes: LoginLifetimes, now: WallTime) {
        if now >= session.createdAt.advanced(by: lifetimes.lifetimeSeconds) {
            self = .ended(.lifetime)
        } else if now >= session.usedAt.advanced(by: lifetimes.idleSeconds) {
            self = .ended(.idle)
        } else if now >= session.expiresAt {
            self = session.refreshToken == nil ? .ended(.expired) : .blocking
        } else if session.refreshToken != nil, now >= Self.aheadFrom(session) {
            self = .ahead
        } else {
            self = .none
        }
    }

    /// A minute before the end, or at 80 % of a life of less than five minutes.
    static func aheadFrom(_ session: LoginSession) -> WallTime {
        let life = max(0, session.expiresAt.milliseconds - session.refreshedAt.milliseconds)
        return max(session.expiresAt.advanced(by: -60), WallTime(milliseconds: session.refreshedAt.milliseconds + life / 5 * 4))
    }
}

/// Why a login is over.
package enum LoginEnd: String, Sendable, Equatable {
    case lifetime, idle, expired
    /// The provider refused the refresh token.
    case refused
    case revoked
}
