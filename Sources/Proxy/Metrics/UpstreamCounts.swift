/// What one loop has counted of one upstream.
package struct UpstreamCounts: Sendable {
    /// Why an upstream gave no answer that could be passed on.
    package enum Failure: Int, Sendable, CaseIterable {
        case noEndpoint, connectFailed, connectTimeout, overloaded, reset, responseTimeout, malformed

        package var label: String {
            switch self {
            case .noEndpoint: "no_healthy_upstream"
            case .connectFailed: "upstream_connect_failed"
            case .connectTimeout: "upstream_connect_timeout"
            case .overloaded: "upstream_overloaded"
            case .reset: "upstream_reset"
            case .responseTimeout: "upstream_response_timeout"
            case .malformed: "response_malformed"
            }
        }

        /// `nil` for what is not the upstream's doing.
        init?(_ fault: Fault) {
            switch fault {
            case .noEndpoint: self = .noEndpoint
            case .connectFailed: self = .connectFailed
            case .connectTimeout: self = .connectTimeout
            case .overloaded: self = .overloaded
            case .resetBeforeHead: self = .reset
            case .responseTimeout: self = .responseTimeout
            case .responseMalformed: self = .malformed
            default: return nil
            }
        }
    }

    /// By ``CodeClass``: the upstream's own statuses.
    private var answers = InlineArray<6, UInt64>(repeating: 0)
    private var failures = InlineArray<7, UInt64>(repeating: 0)
    package var retries: UInt64 = 0
    /// From the request's last try to the head of the response.
    package var duration = DurationHistogram()

    package init() {}

    package func answers(_ codeClass: CodeClass) -> UInt64 { answers[Int(codeClass.rawValue)] }
    package var answersAll: UInt64 { CodeClass.allCases.reduce(0) { $0 &+ answers($1) } }
    package func failures(_ failure: Failure) -> UInt64 { failures[failure.rawValue] }
    package mutating func answered(_ codeClass: CodeClass) { answers[Int(codeClass.rawValue)] &+= 1 }
    package mutating func failed(_ failure: Failure) { failures[failure.rawValue] &+= 1 }

    package static func + (left: UpstreamCounts, right: UpstreamCounts) -> UpstreamCounts {
        var sum = left
        for index in 0..<6 { sum.answers[index] &+= right.answers[index] }
        for index in 0..<7 { sum.failures[index] &+= right.failures[index] }
        sum.retries &+= right.retries
        sum.duration = left.duration + right.duration
        return sum
    }
}
