package import Authentication
package import GatewayTerms
internal import Synchronization

/// Asks token endpoints for the event loops: the owner of the rule that a refresh token is asked for once, whoever wants it (D9).
/// Completions are called on the fetch thread, or at once where the answer is known.
package final class LoginProvider: LoginPort {
    package typealias Fetch = @Sendable (FetchRequest, @escaping FetchCompletion) -> Void

    /// What operators want to know; no secrets.
    package struct Counts: Sendable, Equatable {
        package var redemptions: UInt64 = 0
        package var redemptionsFailed: UInt64 = 0
        /// Questions put to providers.
        package var refreshes: UInt64 = 0
        package var refreshesFailed: UInt64 = 0
        /// Requests that got another request's answer.
        package var refreshesShared: UInt64 = 0
        package var revocations: UInt64 = 0
        package var revocationsFailed: UInt64 = 0
    }

    private struct State {
        var results = RefreshResults<TokenCompletion>()
        var counts = Counts()
    }

    private let state = Mutex(State())
    private let fetch: Fetch
    private let now: @Sendable () -> ContinuousClock.Instant
    private let random: @Sendable () -> Double
    private let ended: @Sendable ([Revocation.Entry]) -> Void
    private let renewed: @Sendable (_ login: String, _ until: WallTime) -> Void
    private let observe: @Sendable (_ what: String, TokenEndpointFault) -> Void

    /// - Parameters:
    ///   - random: uniform in 0…1.
    ///   - ended: gives logins that ended here to all loops.
    ///   - renewed: tells all loops of a login that goes on.
    ///   - observe: is told of each fault of a provider, for the log.
    package init(
        fetch: @escaping Fetch, now: @escaping @Sendable () -> ContinuousClock.Instant, random: @escaping @Sendable () -> Double,
        ended: @escaping @Sendable ([Revocation.Entry]) -> Void, renewed: @escaping @Sendable (_ login: String, _ until: WallTime) -> Void = { _, _ in },
        observe: @escaping @Sendable (_ what: String, TokenEndpointFault) -> Void
    ) {
        self.renewed = renewed
        self.fetch = fetch
        self.now = now
        self.random = random
        self.ended = ended
        self.observe = observe
    }

    /// The real clock, fetches on the client's thread.
    package convenience init(
        client: IdentityProviderClient, ended: @escaping @Sendable ([Revocation.Entry]) -> Void,
        renewed: @escaping @Sendable (_ login: String, _ until: WallTime) -> Void,
        observe: @escaping @Sendable (_ what: String, TokenEndpointFault) -> Void
    ) {
        self.init(
            fetch: { client.send($0, completion: $1) }, now: { ContinuousClock.now }, random: { Double.random(in: 0...1) }, ended: ended, renewed: renewed, observe: observe)
    }

    package var counts: Counts { state.withLock(\.counts) }

    package func redeem(_ redemption: CodeRedemption, completion: @escaping TokenCompletion) {
        state.withLock { $0.counts.redemptions &+= 1 }
        send(TokenEndpoint.redeem(redemption)) { [self] result in
            if case .failure(let fault) = result {
                state.withLock { $0.counts.redemptionsFailed &+= 1 }
                observe("code redemption", fault)
            }
            completion(result)
        }
    }

    package func refresh(_ grant: RefreshGrant, completion: @escaping TokenCompletion) {
        let key = grant.token.withBytes { LoginDigest.sha256($0) }
        let step = state.withLock { state in
            let step = state.results.requested(key, by: completion, now: now())
            switch step {
            case .ask: state.counts.refreshes &+= 1
            case .wait, .answer: state.counts.refreshesShared &+= 1
            }
            return step
        }
        switch step {
        case .wait: return
        case .answer(let answer): completion(answer)
        case .ask:
            send(TokenEndpoint.refresh(grant)) { [self] result in
                let waiters = state.withLock { state in
                    if case .failure = result { state.counts.refreshesFailed &+= 1 }
                    return state.results.answered(key, result, now: now(), jitter: random())
                }
                if case .failure(let fault) = result { observe("refresh", fault) }
                for waiter in waiters { waiter(result) }
            }
        }
    }

    package func revoke(_ grant: RefreshGrant) {
        guard let request = TokenEndpoint.revoke(grant) else { return }
        state.withLock { $0.counts.revocations &+= 1 }
        fetch(request) { [self] result in
            let fault: TokenEndpointFault? = switch result {
            case .success(let response) where response.status == 200: nil
            case .success(let response): .malformed(reason: "its status is \(response.status)")
            case .failure(let error): .unavailable(reason: error.description)
            }
            guard let fault else { return }
            state.withLock { $0.counts.revocationsFailed &+= 1 }
            observe("revocation", fault)
        }
    }

    package func renewed(_ login: String, until end: WallTime) { renewed(login, end) }

    package func signedOut(_ entries: [Revocation.Entry]) {
        if !entries.isEmpty { ended(entries) }
    }

    /// Sends it, and once more where no connection came about: then the provider cannot have seen it (D4).
    private func send(_ request: FetchRequest, completion: @escaping TokenCompletion) {
        let deadline = now() + request.timeout
        fetch(request) { [self] result in
            let left = deadline - now()
            guard case .failure(.unreachable) = result, left > .milliseconds(100) else { return completion(TokenEndpoint.read(result)) }
            fetch(request.with(timeout: left)) { completion(TokenEndpoint.read($0)) }
        }
    }
}

extension FetchRequest {
    fileprivate func with(timeout: Duration) -> FetchRequest {
        FetchRequest(
            url: url, method: method, fields: fields, timeout: timeout, connectTimeout: connectTimeout, bodyBytesMax: bodyBytesMax, caFile: caFile,
            carriesNoSecrets: carriesNoSecrets)
    }
}
