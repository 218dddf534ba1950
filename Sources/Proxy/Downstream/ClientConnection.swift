internal import Authentication
internal import NIOCore

/// What the worker asks of a client's connection, whichever protocol it speaks.
protocol ClientConnection: TimedConnection {
    /// The worker drains: an idle connection ends at `time`, a busy one after what is under way.
    func drain(at time: NIODeadline)
    func closeNow()
    /// The credential of that exchange's stream is over.
    func endStream(exchange: UInt64)
    /// Tells the two sides of its tunnel at `time` that this instance goes away.
    func leaveTunnel(at time: NIODeadline)
    /// The identity provider has answered the exchange of that number.
    func providerAnswered(exchange: UInt64, _ state: RefetchState)
    /// Its token endpoint has.
    func loginAnswered(exchange: UInt64, _ result: Result<TokenAnswer, TokenEndpointFault>)
}
