/// The field names that the gateway treats by name. Every other field is `.other` and passes through by its bytes.
///
/// The parser classifies each field once; later steps compare one byte instead of a text.
package enum FieldName: UInt8, Sendable, CaseIterable {
    case other
    // Framing and routing (RFC 9110, RFC 9112)
    case host, connection, contentLength, transferEncoding, expect, upgrade, te, trailer, keepAlive
    case proxyConnection, proxyAuthenticate, proxyAuthorization, http2Settings
    // Content and caching
    case contentType, contentEncoding, cacheControl, date, server, location, retryAfter, vary, etag, accept, acceptEncoding
    case accessControlAllowOrigin, strictTransportSecurity, ifNoneMatch
    // Authentication and origin
    case authorization, cookie, setCookie, wwwAuthenticate, apiKey, origin, userAgent
    case secFetchMode, secFetchDest, secFetchSite, secWebSocketKey, xRequestedWith
    // What only the gateway may say: deleted by family on the way in (A8, C9), then set by us
    case xRequestID, traceparent, tracestate
    case forwardedFamily

    /// The name in lower case; empty for the two that stand for many names.
    package var text: StaticString {
        switch self {
        case .other, .forwardedFamily: ""
        case .host: "host"
        case .connection: "connection"
        case .contentLength: "content-length"
        case .transferEncoding: "transfer-encoding"
        case .expect: "expect"
        case .upgrade: "upgrade"
        case .te: "te"
        case .trailer: "trailer"
        case .keepAlive: "keep-alive"
        case .proxyConnection: "proxy-connection"
        case .proxyAuthenticate: "proxy-authenticate"
        case .proxyAuthorization: "proxy-authorization"
        case .http2Settings: "http2-settings"
        case .contentType: "content-type"
        case .contentEncoding: "content-encoding"
        case .cacheControl: "cache-control"
        case .date: "date"
        case .server: "server"
        case .location: "location"
        case .retryAfter: "retry-after"
        case .vary: "vary"
        case .etag: "etag"
        case .accept: "accept"
        case .acceptEncoding: "accept-encoding"
        case .accessControlAllowOrigin: "access-control-allow-origin"
        case .strictTransportSecurity: "strict-transport-security"
        case .ifNoneMatch: "if-none-match"
        case .authorization: "authorization"
        case .cookie: "cookie"
        case .setCookie: "set-cookie"
        case .wwwAuthenticate: "www-authenticate"
        case .apiKey: "x-api-key"
        case .origin: "origin"
        case .userAgent: "user-agent"
        case .secFetchMode: "sec-fetch-mode"
        case .secFetchDest: "sec-fetch-dest"
        case .secFetchSite: "sec-fetch-site"
        case .secWebSocketKey: "sec-websocket-key"
        case .xRequestedWith: "x-requested-with"
        case .xRequestID: "x-request-id"
        case .traceparent: "traceparent"
        case .tracestate: "tracestate"
        }
    }

    /// Means something to one connection only and is never forwarded (RFC 9110 §7.6.1).
    package var isHopByHop: Bool {
        switch self {
        case .connection, .transferEncoding, .te, .trailer, .upgrade, .keepAlive,
             .proxyConnection, .proxyAuthenticate, .proxyAuthorization, .http2Settings: true
        default: false
        }
    }

    /// Fields that `Connection` may not name (B10): dropping one of these would change who asks, for what, or how much.
    package var isProtected: Bool {
        switch self {
        case .host, .authorization, .cookie, .contentLength, .transferEncoding, .xRequestID, .forwardedFamily, .contentType, .origin: true
        default: false
        }
    }

    /// Prefixes and names of the families that only the gateway may set (A8): a list by prefix, so that a new member
    /// of a family cannot slip through.
    package static let forwardedPrefixes: [StaticString] = ["x-forwarded", "x-original-", "x-envoy-", "x-auth-", "x-amzn-"]
    package static let forwardedNames: [StaticString] = ["forwarded", "x-real-ip", "x-rewrite-url", "x-client-ip", "true-client-ip"]
}
