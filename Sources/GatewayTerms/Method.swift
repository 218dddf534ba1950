/// A request method (RFC 9110 §9). The list is closed: a method that is not here is answered with 501 before any
/// decision is taken, so that no filter ever meets one that it does not know.
package enum Method: UInt8, Sendable, CaseIterable {
    case get, head, post, put, patch, delete, options
    /// Known so that they can be refused by name: 501 for CONNECT, 405 for TRACE.
    case connect, trace

    /// The method as it stands on the wire; case-sensitive (RFC 9110 §9.1).
    package var name: StaticString {
        switch self {
        case .get: "GET"
        case .head: "HEAD"
        case .post: "POST"
        case .put: "PUT"
        case .patch: "PATCH"
        case .delete: "DELETE"
        case .options: "OPTIONS"
        case .connect: "CONNECT"
        case .trace: "TRACE"
        }
    }

    /// The method whose name these bytes spell, `nil` for every other token.
    package init?(_ bytes: Span<UInt8>) {
        guard let method = Method.allCases.first(where: { $0.name.spells(bytes) }) else { return nil }
        self = method
    }

    /// No effect on the resource is asked for (RFC 9110 §9.2.1).
    package var isSafe: Bool {
        switch self {
        case .get, .head, .options, .trace: true
        case .post, .put, .patch, .delete, .connect: false
        }
    }

    /// Sending it twice asks for no more than sending it once (RFC 9110 §9.2.2).
    package var isIdempotent: Bool {
        switch self {
        case .get, .head, .options, .trace, .put, .delete: true
        case .post, .patch, .connect: false
        }
    }
}

extension Method: CustomStringConvertible {
    package var description: String { name.description }
}

extension StaticString {
    /// True when the bytes are exactly this text; case matters.
    package func spells(_ bytes: Span<UInt8>) -> Bool {
        guard bytes.count == utf8CodeUnitCount else { return false }
        return withUTF8Buffer { text in
            for index in 0..<text.count where text[index] != bytes[index] { return false }
            return true
        }
    }
}
