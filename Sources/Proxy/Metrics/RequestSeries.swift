package import GatewayTerms

/// What `gw_requests_total` tells exchanges apart by, in one number.
package struct RequestSeries: Sendable, Hashable {
    package var listener: Int
    /// In ``MetricNames/routes``.
    package var route: Int
    package var method: Method?
    package var codeClass: CodeClass
    /// Bit number of the first of ``AccessLogFlags``; `nil` without one.
    package var flag: Int?

    package init(listener: Int, route: Int, method: Method?, codeClass: CodeClass, flag: Int?) {
        (self.listener, self.route, self.method, self.codeClass, self.flag) = (listener, route, method, codeClass, flag)
    }

    package init(_ key: UInt64) {
        func bits(_ from: UInt64, _ count: UInt64) -> Int { Int(truncatingIfNeeded: key >> from & (1 << count - 1)) }
        listener = bits(0, 8)
        route = bits(8, 16)
        method = Method(rawValue: UInt8(bits(24, 8)))
        codeClass = CodeClass(rawValue: UInt8(bits(32, 8))) ?? .none
        let number = bits(40, 8)
        flag = number == 255 ? nil : number
    }

    /// Never 0.
    package var key: UInt64 {
        var key = UInt64(truncatingIfNeeded: listener & 0xff) | UInt64(truncatingIfNeeded: route & 0xffff) << 8
        key |= UInt64(method?.rawValue ?? 0xff) << 24 | UInt64(codeClass.rawValue) << 32 | UInt64(truncatingIfNeeded: (flag ?? 0xff) & 0xff) << 40
        return key | 1 << 63
    }
}

/// The class of a status (RFC 9110 §15).
package enum CodeClass: UInt8, Sendable, CaseIterable {
    /// The client left before there was an answer.
    case none
    case informational, success, redirection, clientError, serverError

    package init(_ status: Int?) {
        self = switch status ?? 0 {
        case 100..<200: .informational
        case 200..<300: .success
        case 300..<400: .redirection
        case 400..<500: .clientError
        case 500...: .serverError
        default: .none
        }
    }

    package var label: String {
        switch self {
        case .none: "none"
        case .informational: "1xx"
        case .success: "2xx"
        case .redirection: "3xx"
        case .clientError: "4xx"
        case .serverError: "5xx"
        }
    }
}
