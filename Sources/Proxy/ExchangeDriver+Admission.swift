internal import Authentication
internal import GatewayTerms
internal import NIOCore
internal import Routing

/// Authenticate and authorise, and what is done with a request that may pass. ``Admission`` decides.
extension ExchangeDriver {
    func authenticate(_ refetch: RefetchState) {
        guard let destination, let connection else { return }
        if let rules = loginRules(destination) { return authenticateByLogin(rules) }
        let verdict = Admission.authenticate(
            head, bytes.readableBytesUInt8Span, destination, credentials: Admission.demandedCredentials(destination), from: policyAddress, authenticator: worker.authenticator, keySets: worker.keySets,
            revocation: worker.revocation, now: worker.wallTime, refetch: refetch, memo: &memo)
        switch verdict {
        case .admitted(let identity): admit(identity)
        case .fault(let fault):
            // Where there was no token, nobody was asked.
            if case .bearer(let refusal) = fault, refusal != .missing { record.refusedCaller = worker.authenticator.refusedCaller }
            answer(fault)
        case .needsKeys(let issuer, let keyID):
            guard refetch == .notTried, connection.id != nil else { return answer(.bearer(.undecidable(.refetchFailed))) }
            exchange.providerIsAsked()
            connection.expect(.provider, within: Self.providerTimeout)
            refetchKeys(issuer, keyID)
        }
    }

    /// The answer comes back to this loop by name, so that a client who has left is nobody's dangling pointer.
    func refetchKeys(_ issuer: String, _ keyID: String?) {
        guard let id = connection?.id else { return }
        let (loop, number) = (worker.loop, number)
        let worker = NIOLoopBound(self.worker, eventLoop: loop)
        self.worker.provider.refetchKeys(issuer: issuer, keyID: keyID) { state in
            loop.execute { worker.value.providerAnswered(id, exchange: number, state) }
        }
    }

    /// Where the client is, for a policy that asks for it.
    var policyAddress: IPAddress? {
        guard let destination, destination.route.policy.asksForAddress, let connection else { return nil }
        let bytes = bytes
        return connection.client.address(head, bytes.readableBytesUInt8Span)
    }

    /// The request may pass: to where its route leads.
    func admit(_ identity: Identity?) {
        guard let destination else { return }
        self.identity = identity
        switch destination.route.target {
        case .respond(let status): answer(.responds(status))
        case .redirect(let status, let location): send(.redirect(to: location, status: status))
        case .commandLineAPI: answerCommandLine(destination)
        case .upstream:
            exchange.admitted()
            chooseEndpoint(avoiding: nil)
        }
    }

    /// Longer than the second that the provider's port promises, so that its own answer comes first.
    private static let providerTimeout = TimeAmount.seconds(2)

    func providerAnswered(exchange number: UInt64, _ state: RefetchState) {
        guard number == self.number else { return }
        if let answer = renewal?.answer { return renewalAnswered(answer, refetch: state) }
        guard exchange.state == .awaitingProvider else { return }
        if loginProgress != nil { loginKeysRefetched(state) } else { authenticate(state) }
        connection?.resume()
    }
}
