internal import Authentication
internal import GatewayTerms
internal import HTTPWire
internal import NIOCore

/// The browser's login within an exchange: the cookie as a credential, and the login's own paths. `AuthorizationCodeFlow` decides.
extension ExchangeDriver {
    /// How long a request waits for the provider: to redeem, and to renew; a response's head waits no longer either. A little longer than
    /// the port promises, so that its own answer comes first.
    private static let redemptionWait = TimeAmount.milliseconds(5500)
    private static let refreshWait = TimeAmount.milliseconds(3300)

    // MARK: - The cookie as a credential

    func loginRules(_ destination: Admission.Destination) -> LoginRules? {
        Admission.loginRules(head, destination) { cookies.hasOwn }
    }

    func authenticateByLogin(_ rules: LoginRules) {
        guard let destination else { return }
        let cookies = cookies
        record.isLogin = true
        let flow = worker.flow(rules, from: policyAddress)
        let isUpgrade = head.upgrade != nil
        if cookies.hasSession, !head.method.isSafe || isUpgrade,
           !CrossSiteRule.allows(
               method: head.method, hasUpgrade: isUpgrade, fetchSite: text(of: .secFetchSite), origin: text(of: .origin), publicURL: rules.publicURL) {
            return send(flow.crossSiteRefusal(loginRequest(cookies)))
        }
        switch flow.decide(cookies, route: destination.route.policy) {
        case .allowed(let grant):
            if let pending = grant.refreshAhead { renewBeside(pending) }
            pass(grant)
        case .refused(let refusal, let grant):
            (record.refusal, record.refusedCaller) = (refusal, grant.identity)
            send(flow.refusal(loginRequest(cookies), refusal, grant, newCookies: grant.update))
        case .refreshFirst(let pending):
            ask(pending, own: nil)
        case .providerUnavailable:
            send(flow.providerUnavailable(loginRequest(cookies)))
        case .none(let absence):
            record.isCredentialMissing = true
            if absence != .noCookie { record.absence = absence }
            record.flags.insert(.loginSession)
            send(flow.challenge(loginRequest(cookies), absence))
        }
    }

    private func pass(_ grant: LoginGrant) {
        cookieUpdate = grant.update
        loginEndsAt = grant.endsAt
        loginExpiresAt = grant.session.expiresAt
        loginProgress = nil
        admit(grant.identity)
    }

    // MARK: - The login's own paths

    func serveLogin(_ path: LoginPath?, _ rules: LoginRules) {
        record.isLogin = true
        let flow = worker.flow(rules, from: policyAddress)
        let request = loginRequest(cookies)
        guard let path else { return send(flow.unknownPath(request)) }
        switch flow.serve(path, request) {
        case .answer(let answer): send(answer)
        case .redeem(let pending):
            loginProgress = .redeeming(pending, request, answer: nil)
            wait(Self.redemptionWait) { port, completion in port.redeem(pending.redemption, completion: completion) }
        case .refresh(let pending): ask(pending, own: request)
        case .signOut(let answer, let grant, let ended):
            if let grant { worker.loginPort.revoke(grant) }
            worker.loginPort.signedOut(ended)
            send(answer)
        }
    }

    // MARK: - Waiting for the provider

    private func ask(_ pending: PendingRefresh, own: LoginRequest?) {
        loginProgress = .refreshing(pending, own: own, answer: nil)
        wait(Self.refreshWait) { port, completion in port.refresh(pending.grant, completion: completion) }
    }

    /// The exchange waits; the port's answer comes back to this loop by name, so that a client who has left is nobody's dangling pointer.
    private func wait(_ time: TimeAmount, _ ask: (any LoginPort, @escaping TokenCompletion) -> Void) {
        exchange.providerIsAsked()
        connection?.expect(.provider, within: time)
        put(ask)
    }

    private func put(_ question: (any LoginPort, @escaping TokenCompletion) -> Void) {
        guard let id = connection?.id else { return }
        let (loop, number) = (worker.loop, number)
        let worker = NIOLoopBound(self.worker, eventLoop: loop)
        question(self.worker.loginPort) { result in
            loop.execute { worker.value.loginAnswered(id, exchange: number, result) }
        }
    }

    func loginAnswered(exchange number: UInt64, _ result: Result<TokenAnswer, TokenEndpointFault>) {
        guard number == self.number else { return }
        if renewal != nil { return renewalAnswered(result, refetch: .notTried) }
        guard exchange.state == .awaitingProvider, loginProgress != nil else { return }
        proceed(with: result, refetch: .notTried)
        connection?.resume()
    }

    /// The keys that the provider's answer is signed with have been asked for.
    func loginKeysRefetched(_ state: RefetchState) {
        switch loginProgress {
        case .redeeming(_, _, let answer?), .refreshing(_, _, let answer?): proceed(with: answer, refetch: state)
        case .redeeming(_, _, nil), .refreshing(_, _, nil), nil: break
        }
    }

    /// The provider has not answered in time: as if it had said that it cannot.
    func loginDeadlinePassed() { proceed(with: .failure(.unavailable(reason: "no answer in time")), refetch: .failed) }

    private func proceed(with result: Result<TokenAnswer, TokenEndpointFault>, refetch: RefetchState) {
        guard let progress = loginProgress, let rules = stage?.login else { return }
        let flow = worker.flow(rules, from: policyAddress)
        switch progress {
        case .redeeming(let pending, let request, _):
            switch flow.redeemed(pending, result, request, refetch: refetch) {
            case .answer(let answer):
                loginProgress = nil
                send(answer)
            case .needsKeys(let issuer, let keyID):
                loginProgress = .redeeming(pending, request, answer: result)
                refetchKeys(issuer, keyID)
            }
        case .refreshing(let pending, let own, _):
            let outcome = flow.refreshed(pending, result, route: destination?.route.policy ?? AuthorizationCodeFlow.ownPaths, refetch: refetch)
            if case .needsKeys(let issuer, let keyID) = outcome {
                loginProgress = .refreshing(pending, own: own, answer: result)
                return refetchKeys(issuer, keyID)
            }
            loginProgress = nil
            switch outcome {
            case .renewed(let grant), .refused(_, let grant): tellStreams(grant)
            case .ended, .unavailable, .needsKeys: break
            }
            if let own { return flow.renewed(outcome, own).map { send($0) } ?? answer(.gateway("a login without an answer")) }
            renewed(outcome, flow)
        }
    }

    private func renewed(_ outcome: RefreshOutcome, _ flow: AuthorizationCodeFlow) {
        let request = loginRequest(cookies)
        switch outcome {
        case .renewed(let grant): pass(grant)
        case .refused(let refusal, let grant):
            (record.refusal, record.refusedCaller) = (refusal, grant.identity)
            send(flow.refusal(request, refusal, grant, newCookies: grant.update))
        case .ended(let update):
            record.isCredentialMissing = true
            record.absence = .ended(.refused)
            record.flags.insert(.loginSession)
            send(flow.challenge(request, .ended(.refused), ended: update))
        case .unavailable, .needsKeys:
            send(flow.providerUnavailable(request))
        }
    }

    // MARK: - Renewing beside the request

    /// Asks for the renewal of a login that is still good (D9). The request goes to its upstream meanwhile, and what would begin the response
    /// waits for the answer, so that a rotated refresh token reaches the browser. One that comes later, or after the client has left, is
    /// handed to the browser's next request by the port.
    private func renewBeside(_ pending: PendingRefresh) {
        exchange.renewalIsAsked()
        renewal = Renewal(pending: pending, deadline: worker.now + Self.refreshWait)
        put { port, completion in port.refresh(pending.grant, completion: completion) }
    }

    /// A login was renewed: what it let in earlier, on any loop, goes on.
    private func tellStreams(_ grant: LoginGrant) { worker.loginPort.renewed(grant.session.idText, until: grant.session.expiresAt) }

    /// The response's head is there too early.
    func hold(_ held: Renewal.Held) {
        guard let renewal else { return }
        self.renewal?.held = held
        connection?.expect(.renewal, within: max(.nanoseconds(0), renewal.deadline - worker.now))
    }

    func renewalAnswered(_ result: Result<TokenAnswer, TokenEndpointFault>, refetch: RefetchState) {
        guard let renewal, let rules = stage?.login else { return endRenewal() }
        // The request was let in already, and the login is still good: what the policy says of the new one concerns the next request.
        switch worker.flow(rules, from: policyAddress).refreshed(renewal.pending, result, route: AuthorizationCodeFlow.ownPaths, refetch: refetch) {
        case .renewed(let grant), .refused(_, let grant):
            tellStreams(grant)
            cookieUpdate = grant.update
            loginEndsAt = grant.endsAt
            loginExpiresAt = grant.session.expiresAt
        case .ended(let update):
            cookieUpdate = update
        case .unavailable: break
        case .needsKeys(let issuer, let keyID):
            guard refetch == .notTried else { break }
            self.renewal?.answer = result
            return refetchKeys(issuer, keyID)
        }
        endRenewal()
    }

    /// The head leaves, with what has come of the renewal so far.
    func endRenewal() {
        let held = renewal?.held
        renewal = nil
        switch (exchange.renewalEnded(), held) {
        case (.releaseHead, .head(let head, let bytes, let switchesProtocols)?):
            responseHeadArrived(head, bytes, switchesProtocols: switchesProtocols)
            upstreamConnection?.setReading(true)
            upstreamReadComplete()
        case (.releaseAnswer, .answer(let answer)?): send(answer)
        case (.releaseHead, _), (.releaseAnswer, _), (.none, _): break
        }
        connection?.resume()
    }

    // MARK: - What the login looks at

    private func send(_ answer: LoginAnswer) {
        record.details = answer.code
        send(LocalAnswer(answer))
    }

    /// Of all Cookie fields together (RFC 6265 §5.4 knows one, HTTP/2 may bring several).
    private var cookies: LoginCookies {
        let bytes = bytes
        let values = head.fields.filter { $0.field == .cookie }
        if values.count == 1 { return LoginCookies(bytes.readableBytesUInt8Span.extracting(values[0].value.range)) }
        if values.isEmpty { return .none }
        let joined = Array(values.map { Array(copying: bytes.readableBytesUInt8Span.extracting($0.value.range)) }.joined(separator: [UInt8(ascii: ";"), UInt8(ascii: " ")]))
        return LoginCookies(joined.span)
    }

    private func loginRequest(_ cookies: LoginCookies) -> LoginRequest {
        let bytes = bytes
        return LoginRequest(head, bytes.readableBytesUInt8Span, cookies: cookies, requestID: record.requestID.description) { text(of: $0) }
    }
}
