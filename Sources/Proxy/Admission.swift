internal import Authentication
internal import CommandLineAPI
internal import GatewayTerms
internal import HTTPWire
internal import Routing

/// The decisions of an exchange before it is forwarded: canonicalise → match → authenticate → authorise. Pure: what it looks at are
/// its arguments, and it changes nothing but the caches of the authenticator.
enum Admission {
    /// Where a request leads.
    struct Destination {
        let stage: Stage
        let route: Route
        let path: CanonicalPath
        let prefixCount: Int
    }

    enum Matching {
        case destination(Destination)
        /// One of the login's own paths, which no route can shadow (D2); `nil` for what is not one of them below `/oauth2`.
        case login(Stage, LoginRules, CanonicalPath, LoginPath?)
        /// To the same address with this path, for a GET whose slashes or dots were out of form (B1).
        case redirect(Stage, CanonicalPath)
        case fault(Fault, Stage?, CanonicalPath?)
    }

    /// Canonicalises the path and finds the route.
    /// - Parameter serverName: what the TLS handshake's server name chose.
    static func match(
        _ head: borrowing RequestHead, _ bytes: Span<UInt8>, snapshot: Snapshot, serverName: ServerNameChoice, lookup: inout StageLookup
    ) -> Matching {
        guard let stage = lookup.stage(of: bytes.extracting(head.authority.range), in: snapshot) else {
            return .fault(serverName.isForeign(to: nil) ? .misdirected : .hostUnknown, nil, nil)
        }
        // RFC 9110 §7.4: a request for a host that this connection was not made for.
        guard !serverName.isForeign(to: stage) else { return .fault(.misdirected, stage, nil) }
        if head.isAsteriskForm { return .fault(.noRoute, stage, nil) }
        let path: CanonicalPath
        do { path = try CanonicalPath(bytes.extracting(head.path.range)) } catch { return .fault(.path(error), stage, nil) }
        if path.change == .structure {
            return head.method == .get || head.method == .head ? .redirect(stage, path) : .fault(.pathNotCanonical, stage, path)
        }
        if let login = stage.login {
            switch LoginPath.match(path) {
            case .path(let own): return .login(stage, login, path, own)
            case .unknown: return .login(stage, login, path, nil)
            case .elsewhere: break
            }
        }
        switch stage.table.match(path, method: head.method) {
        case .none: return .fault(.noRoute, stage, path)
        case .methodNotAllowed(let methods): return .fault(.methodNotAllowed(methods), stage, path)
        case .route(let index, let prefixCount):
            let route = stage.routes[index]
            // CVE-2026-73553: what some servers cut off behind a `;`, a rule here would not have seen.
            if path.hasParameters, !route.acceptsPathParameters, !route.credentials.isEmpty { return .fault(.pathParameters, stage, path) }
            if case .length(let count) = head.framing, count > UInt64(route.bodyBytesMax.bytes) { return .fault(.bodyTooLarge(route.bodyBytesMax), stage, path) }
            return .destination(Destination(stage: stage, route: route, path: path, prefixCount: prefixCount))
        }
    }

    /// What the route asks for; the command-line service knows itself which of its resources needs a token.
    static func demandedCredentials(_ destination: Destination) -> Route.Credentials {
        guard case .commandLineAPI = destination.route.target else { return destination.route.credentials }
        return destination.stage.commandLine?.needsIdentity(path: commandLinePath(destination)) == true ? .bearer : []
    }

    /// The path as the command-line service sees it.
    static func commandLinePath(_ destination: Destination) -> String {
        String(decoding: destination.path.bytes[destination.prefixCount...], as: UTF8.self)
    }

    /// The rules by which a request's cookie is asked; `nil` where it is none of the login's business: a request with an Authorization
    /// field is a program's and never led to a login (D1), and a program without a cookie is told of the token that it lacks.
    static func loginRules(_ head: borrowing RequestHead, _ destination: Destination, hasOwnCookies: () -> Bool) -> LoginRules? {
        let route = destination.route
        guard route.credentials.contains(.loginSession), let rules = destination.stage.login, head.value(of: .authorization) == nil else { return nil }
        if route.credentials.contains(.apiKey), head.value(of: .apiKey) != nil { return nil }
        if route.failures == .metaflow, route.credentials.contains(.bearer), !hasOwnCookies() { return nil }
        return rules
    }

    /// The field whose token is asked. Bearer tokens win over `x-api-key`.
    enum PresentedToken {
        /// The value of Authorization.
        case authorization(Slice)
        case apiKey(Slice)
        case none
    }

    static func presentedToken(_ head: borrowing RequestHead, _ credentials: Route.Credentials) -> PresentedToken {
        if let authorization = head.value(of: .authorization), credentials.contains(.bearer) { return .authorization(authorization) }
        if let key = head.value(of: .apiKey), credentials.contains(.apiKey) { return .apiKey(key) }
        return .none
    }

    enum Verdict {
        case admitted(Identity?)
        case fault(Fault)
        case needsKeys(issuer: String, keyID: String?)
    }

    /// Authenticates and authorises.
    /// - Parameter address: the client's, where the route's policy asks for it.
    /// - Parameter credentials: what is asked for, by default what the route asks for. Bearer tokens win: a request that carries one is never treated as a browser's (D1).
    static func authenticate(
        _ head: borrowing RequestHead, _ bytes: Span<UInt8>, _ destination: Destination, credentials: Route.Credentials, from address: IPAddress? = nil, authenticator: BearerAuthenticator, keySets: KeySets,
        revocation: Revocation, now: WallTime, refetch: RefetchState, memo: inout TokenMemo
    ) -> Verdict {
        let route = destination.route
        guard !credentials.isEmpty else { return .admitted(nil) }
        let decision: BearerDecision
        switch presentedToken(head, credentials) {
        case .authorization(let authorization):
            decision = authenticator.decide(
                authorization: bytes.extracting(authorization.range), stage: destination.stage.rules, route: route.policy, address: address, keySets: keySets,
                revocation: revocation, now: now, refetch: refetch, memo: &memo)
        case .apiKey(let key):
            decision = authenticator.decide(
                token: bytes.extracting(key.range), stage: destination.stage.rules, route: route.policy, address: address, keySets: keySets,
                revocation: revocation, now: now, refetch: refetch)
        case .none:
            // A program is told of the token that it lacks, a person of the login.
            let isForPrograms = route.failures == .metaflow && credentials.contains(.bearer)
            return .fault(credentials.contains(.loginSession) && !isForPrograms ? .credentialMissing : .bearer(.missing))
        }
        switch decision {
        case .allowed(let identity): return .admitted(identity)
        case .refused(let refusal): return .fault(.bearer(refusal))
        case .needsKeys(let issuer, let keyID): return .needsKeys(issuer: issuer, keyID: keyID)
        }
    }
}

/// What the TLS handshake's server name means for routing.
enum ServerNameChoice {
    /// No TLS, or no server name: every stage is right.
    case none
    case stage(name: String)
    /// A name that no stage has: the default certificate was used.
    case unknown

    func isForeign(to stage: Stage?) -> Bool {
        switch self {
        case .none: false
        case .stage(let name): stage?.name != name
        case .unknown: true
        }
    }
}
