internal import Authentication
internal import GatewayTerms
internal import HTTPWire
internal import Routing

/// What becomes of an exchange when one of its sides fails, leaves or is too slow. ``Exchange`` decides.
extension ExchangeDriver {
    /// The upstream's connection broke or said what is no HTTP; it is gone already.
    func upstreamFailed(_ fault: Fault, wasReused: Bool) {
        upstreamConnection = nil
        countFailure(fault)
        switch exchange.upstreamFailed(wasReused: wasReused) {
        case .retry:
            countRetry()
            chooseEndpoint(avoiding: pool)
        case .answer: answerFailure(fault)
        case .abort: abort(fault)
        case .none: break
        }
    }

    /// No try is left, or none is allowed.
    func answerFailure(_ fault: Fault) {
        if exchange.attempts > 1 { record.flags.insert(.upstreamRetriesExhausted) }
        answer(fault)
        connection?.resume()
    }

    /// The client's connection is gone.
    func clientLeft() {
        guard !exchange.isOver else { return }
        if tunnel == nil { record.flags.insert(.downstreamClosed) } else { noteTunnelEnd(left: .client) }
        leaveUpstream(exchange.clientLeft())
        renewal = nil
        writeLog()
    }

    func leaveUpstream(_ action: Exchange.LeaveAction) {
        switch action {
        case .none, .cancelProvider: break
        case .leaveQueue:
            if let waitingRequest { pool?.leave(waitingRequest) }
            waitingRequest = nil
        case .cancelUpstream:
            guard let upstreamConnection else { return }
            self.upstreamConnection = nil
            pool?.connectionLost(upstreamConnection)
            upstreamConnection.close()
        }
    }

    /// What the connection waited for did not come in time.
    func deadlinePassed(_ wait: DownstreamConnection.Wait) {
        if wait == .renewal { return endRenewal() }
        if wait == .provider, exchange.state == .awaitingProvider, loginProgress != nil {
            loginDeadlinePassed()
            connection?.resume()
            return
        }
        let fault: Fault = switch wait {
        case .provider: .bearer(.undecidable(.refetchFailed))
        case .connection: pool?.hasFreshFailures == true ? .connectTimeout : .overloaded
        case .body: .bodyTimeout
        default: .responseTimeout
        }
        if exchange.state == .tunnelling { return tunnelDeadlinePassed(wait) }
        if fault == .connectTimeout || fault == .responseTimeout { countFailure(fault) }
        let action = exchange.deadlinePassed()
        if wait == .stream { record.flags.insert(.streamIdle) }
        switch action {
        case .answer:
            leaveUpstream(exchange.state == .awaitingConnection ? .leaveQueue : .cancelUpstream)
            answer(fault)
            connection?.resume()
        case .abort: abort(fault)
        case .none, .retry: break
        }
    }

    /// The request's body is no HTTP, or larger than the route accepts.
    func bodyRefused(_ error: BodyError) {
        let fault: Fault = if error.status == 413, let destination { .bodyTooLarge(destination.route.bodyBytesMax) } else { .body(error) }
        keepsAlive = false
        leaveUpstream(exchange.state == .awaitingConnection ? .leaveQueue : .cancelUpstream)
        if exchange.response == .none { answer(fault) } else { abort(fault) }
    }

    /// A response has begun that cannot be ended: cut the connection, so that nobody takes it for whole.
    func abort(_ fault: Fault) {
        leaveUpstream(.cancelUpstream)
        record.flags.formUnion(fault.flags)
        record.details = fault.code
        _ = exchange.responseEnded()
        writeLog()
        connection?.abort()
    }
}
