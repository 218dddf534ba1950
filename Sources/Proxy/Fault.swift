package import GatewayTerms
package import HTTPWire
package import Routing
package import Authentication

/// Why an exchange was answered by the gateway itself, with the culprit first. The one table of status codes, flags, log words and
/// sentences of the gateway's own answers.
package enum Fault: Error, Equatable, Sendable {
    // The client's side.
    case malformed(RequestError)
    case body(BodyError)
    case path(PathRejection)
    case pathNotCanonical
    case pathParameters
    case hostUnknown
    case misdirected
    case noRoute
    case methodNotAllowed(MethodSet)
    case bodyTooLarge(ByteCount)
    case headTimeout
    case bodyTimeout
    case originRefused
    case bearer(BearerRefusal)
    case credentialMissing
    // The upstream's side.
    case noEndpoint
    case connectFailed(String)
    case connectTimeout
    case overloaded
    case resetBeforeHead
    case responseTimeout
    case responseMalformed(ResponseError)
    // The operator's word.
    case responds(Int)
    // Ours.
    case gateway(String)

    /// The status of RFC 9110 §15 that the client sees. Profile `metaflow`: what may pass is 503, the one status that the Metaflow client retries.
    package func status(_ profile: FailureProfile) -> Int {
        switch self {
        case .malformed(let error): error.status
        case .body(let error): error.status
        case .path(.tooLong): 414
        case .path, .pathNotCanonical, .pathParameters: 400
        case .hostUnknown, .noRoute: 404
        case .misdirected: 421
        case .methodNotAllowed: 405
        case .bodyTooLarge: 413
        case .headTimeout, .bodyTimeout: 408
        case .originRefused: 403
        case .bearer(let refusal): refusal.status
        case .credentialMissing: 401
        case .connectFailed, .resetBeforeHead, .responseMalformed: profile == .metaflow ? 503 : 502
        case .connectTimeout, .responseTimeout: profile == .metaflow ? 503 : 504
        case .noEndpoint, .overloaded: 503
        case .responds(let status): status
        case .gateway: 500
        }
    }

    /// Seconds after which it may pass (RFC 9110 §10.2.3); `nil` for what repeating cannot mend.
    package func retryAfter(_ profile: FailureProfile) -> Int? {
        switch self {
        case .bearer(let refusal): refusal.retryAfterSeconds
        default: status(profile) == 503 ? 1 : nil
        }
    }

    /// Envoy's letters for it (E2).
    package var flags: AccessLogFlags {
        switch self {
        case .malformed, .body, .headTimeout, .bodyTimeout, .bodyTooLarge: .downstreamProtocolError
        case .path, .pathNotCanonical, .pathParameters: .pathRefused
        case .hostUnknown, .noRoute, .misdirected, .methodNotAllowed: .noRoute
        case .originRefused, .credentialMissing: .unauthorized
        case .bearer: .tokenRefused
        case .noEndpoint: .noHealthyEndpoint
        case .connectFailed, .connectTimeout: .upstreamConnectFailure
        case .overloaded: .upstreamOverflow
        case .resetBeforeHead: .upstreamClosed
        case .responseTimeout: .upstreamTimeout
        case .responseMalformed: .upstreamReset
        case .responds: []
        case .gateway: .localReset
        }
    }

    /// The word for logs and programs: the closed vocabulary of `details` and of `code` in JSON answers.
    package var code: String {
        switch self {
        case .malformed(let error): error.rawValue
        case .body(let error): error.rawValue
        case .path(let rejection): rejection.rawValue
        case .pathNotCanonical: "path_not_canonical"
        case .pathParameters: "path_parameters"
        case .hostUnknown: "host_unknown"
        case .misdirected: "misdirected_request"
        case .noRoute: "no_route"
        case .methodNotAllowed: "method_not_allowed"
        case .bodyTooLarge: "body_too_large"
        case .headTimeout: "request_head_timeout"
        case .bodyTimeout: "request_body_timeout"
        case .originRefused: "origin_refused"
        case .bearer(let refusal): refusal.code
        case .credentialMissing: "login_required"
        case .noEndpoint: "no_healthy_upstream"
        case .connectFailed: "upstream_connect_failed"
        case .connectTimeout: "upstream_connect_timeout"
        case .overloaded: "upstream_overloaded"
        case .resetBeforeHead: "upstream_reset"
        case .responseTimeout: "upstream_response_timeout"
        case .responseMalformed(let error): error.rawValue
        case .responds: "configured_response"
        case .gateway: "internal_error"
        }
    }

    /// What is too large, or asks for what no server has to do, is well-formed all the same.
    private static func message(_ error: RequestError) -> String {
        switch error.status {
        case 405: "This method is not answered here, since it would repeat credentials. Use another one."
        case 414: "The request's address, with what is behind its '?', is longer than the gateway accepts. Shorten it."
        case 417: "The gateway cannot do what the request expects. Send it without Expect."
        case 431: "The request's fields, cookies among them, are larger than the gateway accepts. In a browser, delete the cookies of this site."
        case 501: "The gateway does not know this method. Use another one."
        case 505: "The gateway speaks HTTP/1.1 and HTTP/2, and not the version of this request."
        default: "The request is not well-formed HTTP, so it was not forwarded."
        }
    }

    /// One sentence of cause and one of remedy for the person at the other end; nothing of the request is repeated in it.
    package func message(on stage: Stage?) -> String {
        switch self {
        case .malformed(let error): Self.message(error)
        case .body: "The request's body is not well-formed HTTP, so it was not forwarded whole."
        case .path(.tooLong): "The request's path is longer than \(CanonicalPath.countMax) bytes."
        case .path: "The request's path could be read in more than one way. Send it in plain form, without encoded slashes, backslashes or control characters."
        case .pathNotCanonical: "The request's path holds empty or dot segments. Send the path without them."
        case .pathParameters: "This route does not accept ';' in paths. Send the path without it."
        case .hostUnknown: "No stage is served under this host name. Check the address."
        case .misdirected: "This connection was made for another host name. Open a new connection for this one."
        case .noRoute: "Nothing is served under this path. Check the address."
        case .methodNotAllowed(let methods): "This path answers \(methods.allowed) only."
        case .bodyTooLarge(let limit): "The request's body is larger than the \(limit) that this route accepts. Send less at a time, or ask the operators for a higher limit."
        case .headTimeout: "The request did not arrive in time. Send it again."
        case .bodyTimeout: "The request's body arrived too slowly. Send it again."
        case .originRefused: "The request comes from a page of another origin, which may not use your login here."
        case .bearer(let refusal): stage.map { refusal.message(on: $0.rules) } ?? "This needs a login."
        case .credentialMissing: "This page needs a login."
        case .noEndpoint: "The service behind this path has no healthy instance at the moment. It is safe to try again."
        case .connectFailed: "The service behind this path could not be reached. It is safe to try again."
        case .connectTimeout: "The service behind this path did not accept a connection in time. It is safe to try again."
        case .overloaded: "The service behind this path is busy. Try again in a moment."
        case .resetBeforeHead: "The service behind this path closed the connection before it answered. Try again."
        case .responseTimeout: "The service behind this path did not answer in time. Try again."
        case .responseMalformed: "The service behind this path gave an answer that is not valid HTTP."
        case .responds(let status): status == 404 ? "Nothing is served under this path." : "Nothing is behind this path: its operators have the gateway answer it with \(status)."
        case .gateway: "The gateway made a mistake. Try again, and report the request id if it happens again."
        }
    }

    /// The connection's framing can no longer be trusted, or the peer is too slow to keep it.
    package var closesConnection: Bool {
        switch self {
        case .malformed, .body, .headTimeout, .bodyTimeout, .gateway, .misdirected: true
        default: false
        }
    }
}

/// How a route speaks to its clients when something fails (DESIGN §7).
package enum FailureProfile: Sendable, Equatable {
    /// JSON, and 503 with Retry-After for whatever may pass.
    case metaflow
    /// 502, 503 and 504; a page for navigations.
    case browser
}
