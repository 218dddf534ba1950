/// An answer of the login's own: whole, to be sent as it is. Whoever writes it adds `Cache-Control: no-store` (D17), as to every answer of
/// the gateway's own, and leaves the body out for HEAD.
package struct LoginAnswer: Sendable, Equatable {
    package struct Field: Sendable, Equatable {
        /// In lower case.
        package let name: StaticString
        package let value: String

        init(_ name: StaticString, _ value: String) {
            self.name = name
            self.value = value
        }

        package static func == (left: Field, right: Field) -> Bool { left.name.description == right.name.description && left.value == right.value }
    }

    package let status: Int
    package let contentType: String
    package internal(set) var fields: [Field]
    package let body: [UInt8]
    /// For the access log: a word from a closed list.
    package let code: String

    static func redirect(to location: String, cookies: [String], code: String) -> LoginAnswer {
        LoginAnswer(
            status: 302, contentType: "text/plain; charset=utf-8",
            // Where the browser comes from may hold a code, and is nobody's business.
            fields: [Field("location", location), Field("referrer-policy", "no-referrer")] + cookies.map { Field("set-cookie", $0) },
            body: Array("Go on.\n".utf8), code: code)
    }

    static func json(_ status: Int, _ body: String, fields: [Field] = [], cookies: [String] = [], code: String) -> LoginAnswer {
        LoginAnswer(
            status: status, contentType: "application/json", fields: fields + cookies.map { Field("set-cookie", $0) },
            body: Array((body + "\n").utf8), code: code)
    }

    static func page(
        _ status: Int, _ page: PageLayout, fields: [Field] = [], cookies: [String] = [], formTargets: [String] = [], code: String
    ) -> LoginAnswer {
        LoginAnswer(
            status: status, contentType: "text/html; charset=utf-8",
            fields: fields + [
                Field("content-security-policy", PageLayout.contentSecurityPolicy(formTargets: formTargets)),
                // A form without a referrer says `Origin: null`, by which an older browser could not show where it comes from.
                Field("referrer-policy", formTargets.isEmpty ? "no-referrer" : "same-origin"),
                Field("x-content-type-options", "nosniff"),
            ] + cookies.map { Field("set-cookie", $0) },
            body: page.bytes, code: code)
    }
}
