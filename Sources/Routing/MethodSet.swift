package import GatewayTerms

/// The methods that a route answers.
package struct MethodSet: OptionSet, Sendable, Hashable {
    package let rawValue: UInt16

    package init(rawValue: UInt16) { self.rawValue = rawValue }
    package init(_ methods: some Sequence<Method>) {
        rawValue = methods.reduce(0) { $0 | 1 << UInt16($1.rawValue) }
    }

    /// Every method that can be forwarded; CONNECT and TRACE never are.
    package static let all = MethodSet(Method.allCases.filter { $0 != .connect && $0 != .trace })

    package func contains(_ method: Method) -> Bool { rawValue & 1 << UInt16(method.rawValue) != 0 }

    /// The value of an `Allow` field (RFC 9110 §10.2.1).
    package var allowed: String {
        Method.allCases.filter { contains($0) }.map(\.description).joined(separator: ", ")
    }
}
