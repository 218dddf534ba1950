internal import Authentication
internal import CommandLineAPI
internal import GatewayTerms
internal import Routing

/// An answer of the gateway's own: status, fields and a whole body. Every one of them says `no-store`, so that no cache keeps a refusal.
package struct LocalAnswer: Sendable, Equatable {
    package var status: Int
    /// `nil` for an answer that has no body to describe (304).
    package var contentType: String? = "application/json"
    /// Names in lower case.
    package var fields: [Field] = []
    package var body: [UInt8] = []
    package var closesConnection = false
    package var isCacheable = false

    package struct Field: Sendable, Equatable {
        package let name: StaticString
        package let value: String

        package init(_ name: StaticString, _ value: String) {
            self.name = name
            self.value = value
        }

        package static func == (left: Field, right: Field) -> Bool { left.name.description == right.name.description && left.value == right.value }
    }

    package init(status: Int) { self.status = status }

    /// What the client sees of a fault: JSON for programs, a page for people.
    /// - Parameter reader: nil for a program.
    package init(_ fault: Fault, profile: FailureProfile, reader: ErrorPage.Reader?, stage: Stage?, requestID: RequestID) {
        status = fault.status(profile)
        closesConnection = fault.closesConnection
        if let seconds = fault.retryAfter(profile) { fields.append(Field("retry-after", String(seconds))) }
        switch fault {
        case .methodNotAllowed(let methods): fields.append(Field("allow", methods.allowed))
        case .bearer(let refusal):
            if let stage, let challenge = refusal.challenge(on: stage.rules) { fields.append(Field("www-authenticate", challenge)) }
        case .credentialMissing:
            // RFC 9110 §11.6.1: a 401 carries a challenge.
            if let stage { fields.append(Field("www-authenticate", "Bearer realm=\"\(stage.host)\"")) }
        default: break
        }
        let message = fault.message(on: stage)
        if let reader, profile == .browser {
            contentType = "text/html; charset=utf-8"
            body = ErrorPage.render(status: status, code: fault.code, message: message, reader: reader, requestID: requestID)
            fields.append(Field("content-security-policy", ErrorPage.contentSecurityPolicy))
        } else {
            body = Array("{\"message\":\(JSONText.quoted(message)),\"code\":\(JSONText.quoted(fault.code)),\"request_id\":\"\(requestID)\"}\n".utf8)
        }
    }

    /// An answer of the command-line service.
    init(_ answer: CommandLineAnswer) {
        status = answer.status
        contentType = answer.contentType
        fields = answer.fields.map { Field($0.name, $0.value) }
        body = answer.body
        isCacheable = answer.isCacheable
    }

    /// An answer of the login's.
    init(_ answer: LoginAnswer) {
        status = answer.status
        contentType = answer.contentType
        // Every answer says nosniff.
        fields = answer.fields.filter { $0.name.description != "x-content-type-options" }.map { Field($0.name, $0.value) }
        body = answer.body
    }

    /// To the same place in canonical form, or to https: 308 keeps the method (RFC 9110 §15.4.9).
    package static func redirect(to location: String, status: Int = 308) -> LocalAnswer {
        var answer = LocalAnswer(status: status)
        answer.contentType = "text/plain; charset=utf-8"
        answer.fields = [Field("location", location)]
        answer.body = Array("See \(location)\n".utf8)
        return answer
    }
}

extension LocalAnswer {
    var entityTag: String? { fields.first { $0.name.description == "etag" }?.value }

    /// What the client has, or gets, is not the same byte for byte (RFC 9110 §8.8.1).
    mutating func weakenTag() {
        for index in fields.indices where fields[index].name.description == "etag" && fields[index].value.hasPrefix("\"") {
            fields[index] = Field("etag", "W/" + fields[index].value)
        }
    }
}
