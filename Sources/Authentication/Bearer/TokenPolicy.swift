internal import GatewayTerms

/// Whether a verified token may be used on this stage, this route, now: asked on every request, also when the token's
/// signature was verified earlier.
enum TokenPolicy {
    enum Verdict {
        case allowed(Identity)
        case refused(BearerRefusal)
    }

    static func verdict(
        on token: VerifiedToken, reading: StageReading, route: RoutePolicy, address: IPAddress?, revocation: Revocation, now: WallTime
    ) -> Verdict {
        if let refusal = reading.issuerRefusal { return .refused(refusal) }
        if let refusal = timeRefusal(token.claims, skew: reading.clockSkewSeconds, now: now) { return .refused(refusal) }
        if let refusal = reading.bindingRefusal { return .refused(refusal) }
        guard let identity = reading.identity else { return .refused(.clientNotAllowed(client: "")) }
        if !revocation.isEmpty, let kind = revocation.revokes(identity, now: now) { return .refused(.revoked(kind)) }
        if let refusal = reading.clientRefusal { return .refused(refusal) }
        if let refusal = route.refusal(of: identity, from: address) { return .refused(refusal) }
        return .allowed(identity)
    }

    /// `now < exp + skew`; `nbf` and `iat` ≤ now + skew (C4). Claims are at most the year 9999, so nothing overflows.
    private static func timeRefusal(_ claims: TokenClaims, skew: Int64, now: WallTime) -> BearerRefusal? {
        guard now < claims.expiresAt.advanced(by: skew) else {
            return .expired(secondsAgo: now.seconds - claims.expiresAt.seconds)
        }
        let latest = now.advanced(by: skew)
        if let issuedAt = claims.issuedAt, latest < issuedAt {
            return .issuedInTheFuture(secondsAhead: issuedAt.seconds - now.seconds)
        }
        if let notBefore = claims.notBefore, latest < notBefore {
            return .notYetValid(secondsAhead: notBefore.seconds - now.seconds)
        }
        return nil
    }
}
