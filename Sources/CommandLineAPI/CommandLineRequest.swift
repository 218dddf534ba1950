package import GatewayTerms

/// What the service looks at of a request.
package struct CommandLineRequest: Sendable {
    package var method: Method
    /// Of the canonical path, what stands behind the route's own: empty, `/`, `/config`.
    package var path: String
    /// Without its question mark; empty when there is none.
    package var query: [UInt8]
    /// The value of `Accept`.
    package var accept: String?
    /// The value of `If-None-Match`.
    package var ifNoneMatch: String?

    package init(method: Method, path: String, query: [UInt8] = [], accept: String? = nil, ifNoneMatch: String? = nil) {
        (self.method, self.path, self.query, self.accept, self.ifNoneMatch) = (method, path, query, accept, ifNoneMatch)
    }
}

/// Who calls, as the bearer token that was verified says.
package struct CommandLineIdentity: Sendable, Equatable {
    package var subject: String
    /// `nil` for a program that has no user (client credentials).
    package var userName: String?
    package var groups: [String]
    package var expiresAt: WallTime

    package init(subject: String, userName: String?, groups: [String], expiresAt: WallTime) {
        (self.subject, self.userName, self.groups, self.expiresAt) = (subject, userName, groups, expiresAt)
    }
}

/// The response. Its sender adds what every answer of the gateway has (Date, Content-Length, X-Request-Id, nosniff, and `no-store`
/// unless it ``isCacheable``), leaves the body away for HEAD, and for 304 also the length and type of a body that is not there.
package struct CommandLineAnswer: Sendable, Equatable {
    package struct Field: Sendable, Equatable {
        /// In lower case.
        package let name: StaticString
        package let value: String

        package static func == (left: Field, right: Field) -> Bool { left.name.description == right.name.description && left.value == right.value }
    }

    package var status: Int
    /// `nil` exactly when the status is 304.
    package var contentType: String?
    package var fields: [Field] = []
    package var body: [UInt8] = []
    /// The strong entity tag with its quotation marks (RFC 9110 §8.8.3), which also stands among the fields.
    package var etag: String?
    /// `fields` hold a Cache-Control that lets it be kept; otherwise it may not be.
    package var isCacheable = false
}
