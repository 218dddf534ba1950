internal import GatewayTerms

/// Begins traces and names spans, one generator an event loop. The numbers are random and no secret, like those of
/// ``RequestIDGenerator``.
struct TraceGenerator {
    private var random: Xoshiro256

    init() {
        var system = SystemRandomNumberGenerator()
        random = Xoshiro256(seed: (system.next(), system.next(), system.next(), system.next()))
    }

    /// A new trace; one of a hundred asks the upstreams to record it (E4).
    mutating func begin() -> TraceContext {
        let low = random.next()
        return TraceContext(traceHigh: random.next(), traceLow: low, span: random.next() | 1, isSampled: low % 100 == 0)
    }
}
