package import GatewayTerms

/// What became of the question to the provider that `BearerDecision.needsKeys` asked for.
package enum RefetchState: Sendable, Equatable {
    case notTried
    /// The provider answered with a usable key set, which `keySets` has.
    case done
    case throttled
    case failed
}

package enum BearerDecision: Sendable {
    case allowed(Identity)
    case refused(BearerRefusal)
    /// Ask for a refetch of this issuer's key set, then decide again with what became of it. `keyID` nil: there is no set yet.
    case needsKeys(issuer: String, keyID: String?)
}

/// Decides about bearer tokens on one event loop: owns the loop's verified tokens and its contexts of libcrypto. Everything
/// that a decision depends on is an argument; it never fetches and never waits.
package final class BearerAuthenticator {
    private var verifier: TokenVerifier
    private var verifiedTokens: VerifiedTokenCache
    private var unknownKeys = UnknownKeyCache()
    /// Decisions that found their token verified already, and those that verified one.
    package private(set) var cacheHits: UInt64 = 0
    package private(set) var cacheMisses: UInt64 = 0
    /// Whom the last decision refused although the token's signature is good, for the log; `nil` after any other decision.
    package private(set) var refusedCaller: Identity?

    /// - Parameters:
    ///   - tokensMax: verified tokens to hold; the least recently used go first.
    ///   - tokenBytesMax: bytes of those tokens; their claims take a few times that.
    /// - Throws: `cryptographyUnavailable`, at start-up.
    package init(tokensMax: Int = 10_000, tokenBytesMax: Int = 16 * 1024 * 1024) throws(AuthenticationError) {
        verifier = try TokenVerifier()
        verifiedTokens = VerifiedTokenCache(entriesMax: tokensMax, tokenBytesMax: tokenBytesMax)
    }

    /// Tokens whose verified claims are held.
    package var verifiedTokenCount: Int { verifiedTokens.count }

    /// - Parameters:
    ///   - authorization: the value of the one Authorization field, without surrounding white space; nil: there is none.
    ///   - stage: the rules of the host that was called.
    ///   - route: the policy of the matched route.
    ///   - address: the client's; only a policy that asks for it needs it, and refuses where it is not known.
    ///   - keySets: the sets that are current on this loop.
    ///   - refetch: `.notTried` at first; after `.needsKeys`, what became of the refetch.
    ///   - memo: of the connection that the token came on.
    package func decide(
        authorization: Span<UInt8>?, stage: StageRules, route: RoutePolicy, address: IPAddress? = nil, keySets: KeySets,
        revocation: Revocation, now: WallTime, refetch: RefetchState = .notTried, memo: inout TokenMemo
    ) -> BearerDecision {
        refusedCaller = nil
        guard let authorization else { return .refused(.missing) }
        let range: Range<Int>
        do { range = try BearerCredential.tokenRange(in: authorization) } catch { return .refused(error) }
        return decide(
            token: authorization.extracting(range), stage: stage, route: route, address: address, keySets: keySets,
            revocation: revocation, now: now, refetch: refetch, memo: &memo
        )
    }

    /// The same without a memo, for callers that ask once.
    package func decide(
        authorization: Span<UInt8>?, stage: StageRules, route: RoutePolicy, address: IPAddress? = nil, keySets: KeySets,
        revocation: Revocation, now: WallTime, refetch: RefetchState = .notTried
    ) -> BearerDecision {
        var memo = TokenMemo()
        return decide(
            authorization: authorization, stage: stage, route: route, address: address, keySets: keySets, revocation: revocation, now: now, refetch: refetch, memo: &memo
        )
    }

    /// The same for a bare token, as `x-api-key` carries it where a route opts in (C2).
    package func decide(
        token: Span<UInt8>, stage: StageRules, route: RoutePolicy, address: IPAddress? = nil, keySets: KeySets,
        revocation: Revocation, now: WallTime, refetch: RefetchState = .notTried
    ) -> BearerDecision {
        var memo = TokenMemo()
        return decide(token: token, stage: stage, route: route, address: address, keySets: keySets, revocation: revocation, now: now, refetch: refetch, memo: &memo)
    }

    private func decide(
        token: Span<UInt8>, stage: StageRules, route: RoutePolicy, address: IPAddress? = nil, keySets: KeySets,
        revocation: Revocation, now: WallTime, refetch: RefetchState, memo: inout TokenMemo
    ) -> BearerDecision {
        refusedCaller = nil
        guard token.count <= stage.tokenBytesMax else { return .refused(.tooLarge(bytesMax: stage.tokenBytesMax)) }
        guard let digest = memo.digest(of: token) ?? verifier.digest(token) else { return .refused(.undecidable(.digestFailed)) }
        if let entry = verifiedTokens.entry(digest) {
            if keySets[entry.token.claims.issuer]?.generation == entry.token.generation {
                cacheHits &+= 1
                memo.keepIfNew(token, digest)
                return decision(entry, stage: stage, route: route, address: address, revocation: revocation, now: now)
            }
            verifiedTokens.remove(digest)
        }
        cacheMisses &+= 1
        switch verifier.verify(token, stage: stage, keySets: keySets) {
        case .verified(let verified):
            memo.keep(token, digest)
            return decision(verifiedTokens.insert(verified, digest), stage: stage, route: route, address: address, revocation: revocation, now: now)
        case .refused(let refusal):
            return .refused(refusal)
        case .keyMissing(let issuer, let keyID):
            return keyMissing(issuer: issuer, keyID: keyID, now: now, refetch: refetch)
        }
    }

    private func decision(
        _ entry: VerifiedTokenCache.Entry, stage: StageRules, route: RoutePolicy, address: IPAddress?, revocation: Revocation, now: WallTime
    ) -> BearerDecision {
        let reading = entry.reading(in: stage)
        switch TokenPolicy.verdict(on: entry.token, reading: reading, route: route, address: address, revocation: revocation, now: now) {
        case .allowed(let identity): return .allowed(identity)
        case .refused(let refusal):
            refusedCaller = reading.identity
            return .refused(refusal)
        }
    }

    /// C6: one question, and what cannot be asked now is refused as undecidable, never let through and never asked twice.
    private func keyMissing(issuer: String, keyID: String?, now: WallTime, refetch: RefetchState) -> BearerDecision {
        switch refetch {
        case .notTried:
            if let keyID, unknownKeys.isKnownToBeUnknown(issuer: issuer, keyID: keyID, now: now) {
                return .refused(.unknownKey(keyID: keyID))
            }
            return .needsKeys(issuer: issuer, keyID: keyID)
        case .done:
            guard let keyID else { return .refused(.undecidable(.noKeySet)) }
            unknownKeys.record(issuer: issuer, keyID: keyID, now: now)
            return .refused(.unknownKey(keyID: keyID))
        case .throttled:
            return .refused(.undecidable(keyID == nil ? .noKeySet : .refetchThrottled))
        case .failed:
            return .refused(.undecidable(keyID == nil ? .noKeySet : .refetchFailed))
        }
    }
}
