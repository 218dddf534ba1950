package import Authentication
internal import GatewayTerms
internal import HTTPWire
internal import Routing

/// Explains requests by the decisions of the code that serves: `Admission`, the route table, the authenticators. It decides nothing itself.
package final class Explainer {
    /// What a decision depends on beside the request.
    package struct Surroundings {
        package var snapshot: Snapshot
        package var login: LoginSurroundings

        package init(snapshot: Snapshot, login: LoginSurroundings) { (self.snapshot, self.login) = (snapshot, login) }
    }

    package enum Outcome: Sendable {
        case explained(Explanation)
        /// As `BearerDecision.needsKeys`: ask again with what became of it.
        case needsKeys(issuer: String, keyID: String?)
    }

    private let authenticator: BearerAuthenticator
    private let loginAuthenticator: LoginAuthenticator

    /// With authenticators of its own, on a configuration's file.
    /// - Throws: `cryptographyUnavailable`.
    package convenience init() throws(AuthenticationError) { self.init(try BearerAuthenticator(), try LoginAuthenticator()) }

    /// With those of a loop.
    init(_ authenticator: BearerAuthenticator, _ loginAuthenticator: LoginAuthenticator) {
        self.authenticator = authenticator
        self.loginAuthenticator = loginAuthenticator
    }

    package func explain(_ sketch: RequestSketch, _ surroundings: Surroundings, refetch: RefetchState = .notTried) -> Outcome {
        let snapshot = surroundings.snapshot
        var explanation = Explanation(
            method: sketch.method.description, host: String(copying: sketch.bytes.span.extracting(sketch.head.authority.range)), version: snapshot.version,
            answer: .init(status: nil, code: "", message: ""))
        switch sketch.matching(snapshot) {
        case .fault(let fault, let stage, let path):
            explanation.begin(stage, path, sketch)
            explanation.end(fault, .browser, stage)
        case .redirect(let stage, let path):
            explanation.begin(stage, path, sketch)
            explanation.answer = .init(status: 308, code: "path_not_canonical", message: "Sends the client to the canonical path.")
        case .login(let stage, _, let path, let own):
            explanation.begin(stage, path, sketch)
            explanation.candidates = []
            explanation.answer = own == nil
                ? .init(status: 404, code: "no_route", message: "Below /oauth2 only the login's own paths are served.")
                : .init(status: nil, code: "login", message: "One of the login's own paths, which no route can shadow.")
        case .destination(let destination):
            explanation.begin(destination.stage, destination.path, sketch)
            if let missing = authenticate(sketch, destination, surroundings, refetch, &explanation) { return .needsKeys(issuer: missing.issuer, keyID: missing.keyID) }
        }
        return .explained(explanation)
    }

    /// What the log says of a request that was served.
    package struct Recorded: Sendable {
        package var steps: [Explanation.Step]
        package var answer: Explanation.Answer
        /// It went to an upstream.
        package var isForwarded: Bool

        package init(steps: [Explanation.Step], answer: Explanation.Answer, isForwarded: Bool) { (self.steps, self.answer, self.isForwarded) = (steps, answer, isForwarded) }
    }

    /// Path and routes as they are now, and what the log says of the rest.
    func explain(_ sketch: RequestSketch, _ snapshot: Snapshot, _ recorded: Recorded) -> Explanation {
        var explanation = Explanation(
            method: sketch.method.description, host: String(copying: sketch.bytes.span.extracting(sketch.head.authority.range)), version: snapshot.version, answer: recorded.answer)
        switch sketch.matching(snapshot) {
        case .fault(_, let stage, let path): explanation.begin(stage, path, sketch)
        case .redirect(let stage, let path), .login(let stage, _, let path, _): explanation.begin(stage, path, sketch)
        case .destination(let destination):
            explanation.begin(destination.stage, destination.path, sketch)
            if recorded.isForwarded { explanation.pass(to: destination, nil, snapshot) }
        }
        explanation.steps = recorded.steps
        explanation.answer = recorded.answer
        return explanation
    }

    // MARK: Who calls

    /// - Returns: the key that is missing.
    private func authenticate(
        _ sketch: RequestSketch, _ destination: Admission.Destination, _ surroundings: Surroundings, _ refetch: RefetchState, _ explanation: inout Explanation
    ) -> (issuer: String, keyID: String?)? {
        let cookies = sketch.cookies
        if let rules = Admission.loginRules(sketch.head, destination, hasOwnCookies: { cookies.hasOwn }) {
            explainLogin(sketch, rules, cookies, destination, surroundings, &explanation)
            return nil
        }
        let credentials = Admission.demandedCredentials(destination)
        let login = surroundings.login
        var memo = TokenMemo()
        let verdict = Admission.authenticate(
            sketch.head, sketch.bytes.span, destination, credentials: credentials, authenticator: authenticator, keySets: login.keySets, revocation: login.revocation,
            now: login.now, refetch: refetch, memo: &memo)
        var refusal: BearerRefusal?
        switch verdict {
        case .needsKeys(let issuer, let keyID): return (issuer, keyID)
        case .admitted(let identity): explanation.pass(to: destination, identity, surroundings.snapshot)
        case .fault(let fault):
            if case .bearer(let reason) = fault { refusal = reason }
            explanation.end(fault, destination.route.failures, destination.stage)
        }
        explainToken(sketch, destination, credentials, refusal, now: login.now, &explanation)
        return nil
    }

    private func explainToken(
        _ sketch: RequestSketch, _ destination: Admission.Destination, _ credentials: Route.Credentials, _ refusal: BearerRefusal?, now: WallTime, _ explanation: inout Explanation
    ) {
        let (rules, policy) = (destination.stage.rules, destination.route.policy)
        if credentials.isEmpty {
            explanation.steps.append(.init("credentials", .note, "none are asked for"))
            return
        }
        let token: BearerExplanation
        switch Admission.presentedToken(sketch.head, credentials) {
        case .none:
            explanation.steps.append(.init("credentials", .failed, "asks for \(credentials.words); the request brings none of it"))
            return
        case .authorization(let value):
            explanation.steps.append(.init("credentials", .note, "asks for \(credentials.words); the token of Authorization is judged"))
            token = BearerExplanation(authorization: sketch.bytes.span.extracting(value.range), refusal: refusal, stage: rules, route: policy, now: now)
        case .apiKey(let value):
            explanation.steps.append(.init("credentials", .note, "asks for \(credentials.words); the token of x-api-key is judged"))
            token = BearerExplanation(token: sketch.bytes.span.extracting(value.range), refusal: refusal, stage: rules, route: policy, now: now)
        }
        explanation.steps += token.items.map { item in
            let outcome: Explanation.Step.Outcome = switch item.outcome {
            case .passed: .passed
            case .failed: .failed
            case .notReached: .notReached
            }
            return Explanation.Step(item.step.rawValue, outcome, item.value)
        }
    }

    private func explainLogin(
        _ sketch: RequestSketch, _ rules: LoginRules, _ cookies: LoginCookies, _ destination: Admission.Destination, _ surroundings: Surroundings, _ explanation: inout Explanation
    ) {
        let route = destination.route
        explanation.steps.append(.init("credentials", .note, "asks for \(route.credentials.words); the login's cookie is judged"))
        let hasUpgrade = sketch.head.upgrade != nil
        if cookies.hasSession, !sketch.head.method.isSafe || hasUpgrade {
            let isOwn = CrossSiteRule.allows(
                method: sketch.head.method, hasUpgrade: hasUpgrade, fetchSite: sketch.text(of: .secFetchSite), origin: sketch.text(of: .origin), publicURL: rules.publicURL)
            explanation.steps.append(.init("origin", isOwn ? .passed : .failed, "of pages of this stage only"))
            if !isOwn { return explanation.end(.originRefused, route.failures, destination.stage) }
        }
        let flow = AuthorizationCodeFlow(authenticator: loginAuthenticator, rules: rules, surroundings: surroundings.login) { [UInt8](repeating: 0, count: $0) }
        let demand = route.policy.demand
        switch flow.decide(cookies, route: route.policy) {
        case .allowed(let grant):
            explanation.note(grant)
            explanation.steps.append(.init("policy", .passed, demand))
            explanation.pass(to: destination, grant.identity, surroundings.snapshot)
        case .refused(let refusal, let grant):
            explanation.note(grant)
            explanation.steps.append(.init("policy", .failed, "\(demand): \(refusal.logReason)"))
            explanation.end(.bearer(refusal), route.failures, destination.stage)
        case .refreshFirst(let pending):
            explanation.note(pending.session)
            explanation.steps.append(.init("refresh", .note, "the provider is asked to renew the login first; its answer decides"))
            explanation.steps.append(.init("policy", .notReached, demand))
            explanation.answer = .init(status: nil, code: "login_refresh", message: "The provider's answer decides: on with the request, or 503 while the provider does not answer, or as without a login.")
        case .providerUnavailable:
            explanation.steps.append(.init("refresh", .failed, "where the provider renews logins has not been discovered yet"))
            explanation.answer = .init(status: 503, code: "provider_unavailable", message: "The identity provider does not answer.")
        case .none(let absence):
            let isEnded = if case .ended = absence { true } else { false }
            explanation.steps.append(.init("cookie", isEnded ? .passed : .failed, isEnded ? "" : absence.code))
            if isEnded { explanation.steps.append(.init("login", .failed, absence.code)) }
            explanation.steps.append(.init("policy", .notReached, demand))
            let request = LoginRequest(sketch.head, sketch.bytes.span, cookies: cookies, requestID: "") { sketch.text(of: $0) }
            let answer = flow.challenge(request, absence)
            let message = switch answer.status {
            case 302: "A person who opens a page is led to the login; programs and scripts get 401."
            case 401: "Programs and scripts are told; a person who opens a page (Sec-Fetch-Mode: navigate, or Accept: text/html) is led to the login, 302."
            default: "The login's own answer."
            }
            explanation.answer = .init(status: answer.status, code: answer.code, message: message)
        }
    }
}

// MARK: - What is told

extension Explanation {
    fileprivate mutating func begin(_ stage: Stage?, _ path: CanonicalPath?, _ sketch: RequestSketch) {
        self.stage = stage?.name
        self.path = path?.description
        guard let stage, let path else { return }
        pathNote = switch path.change {
        case .none: ""
        case .escapes: "escapes rewritten"
        case .structure: "slashes merged, dots removed"
        }
        candidates = stage.table.candidates(path, method: sketch.method).map { candidate in
            let route = stage.routes[candidate.index]
            let methods = route.pattern.methods == .all ? "" : route.pattern.methods.allowed
            let reason = switch candidate.outcome {
            case .chosen: "the longest path that holds the request's and has its method"
            case .methodNotServed: "does not serve \(sketch.method)"
            case .lessSpecific(let other): "\(stage.routes[other].name) is longer"
            case .behind(let other): "\(stage.routes[other].pattern.methods == .all ? "an earlier route has the same path" : "a route of the same path that names its methods goes first")"
            }
            return Candidate(route: route.name, methods: methods, isChosen: candidate.outcome == .chosen, reason: reason)
        }
    }

    fileprivate mutating func end(_ fault: Fault, _ profile: FailureProfile, _ stage: Stage?) {
        answer = Answer(status: fault.status(profile), code: fault.code, message: fault.message(on: stage))
    }

    fileprivate mutating func pass(to destination: Admission.Destination, _ identity: Identity?, _ snapshot: Snapshot) {
        switch destination.route.target {
        case .respond(let status): end(.responds(status), destination.route.failures, destination.stage)
        case .redirect(let status, let location): answer = Answer(status: status, code: "configured_redirect", message: "Sends the client to \(location).")
        case .commandLineAPI: answer = Answer(status: nil, code: "command_line_api", message: "The built-in command-line API answers.")
        case .upstream(let index, let rewrite):
            let upstream = snapshot.upstreams[index]
            let range = rewrite.range(in: destination.path, prefixCount: destination.prefixCount)
            let path = range.map { String(decoding: destination.path.bytes[$0], as: UTF8.self) } ?? "/"
            forwarding = Forwarding(upstream: upstream.name, endpoints: upstream.endpoints.map(\.name), path: path)
            answer = Answer(status: nil, code: "forwarded", message: "Upstream \(upstream.name) answers.")
        }
    }

    fileprivate mutating func note(_ grant: LoginGrant) { note(grant.session, endsAt: grant.endsAt) }

    fileprivate mutating func note(_ session: LoginSession, endsAt: WallTime? = nil) {
        steps.append(Step("cookie", .passed, "sub \(session.subject), groups \(session.groups.isEmpty ? "none" : session.groups.joined(separator: ", "))"))
        let end = endsAt.map { ", ends \($0)" } ?? ""
        steps.append(Step("login", .passed, "since \(session.createdAt), last used \(session.usedAt), vouched for until \(session.expiresAt)\(end)"))
    }
}

extension RoutePolicy {
    fileprivate var demand: String {
        var parts: [String] = []
        if !scopes.isEmpty { parts.append("wants the scopes \(scopes.joined(separator: ", "))") }
        if !groups.isEmpty { parts.append("wants one of the groups \(groups.joined(separator: ", "))") }
        if !rules.isEmpty { parts.append("asks the rules \(rules.map(\.name).joined(separator: ", "))") }
        if asksForAddress { parts.append("the client's address is not known here and counts against the caller") }
        return parts.isEmpty ? "wants nothing more" : parts.joined(separator: "; ")
    }
}

extension Route.Credentials {
    var words: String {
        [(Route.Credentials.bearer, "bearer"), (.loginSession, "login_session"), (.apiKey, "api_key")].filter { contains($0.0) }.map(\.1).joined(separator: ", ")
    }
}

extension RequestSketch {
    /// Of all Cookie fields together, as the driver reads them.
    fileprivate var cookies: LoginCookies {
        let values = head.fields.filter { $0.field == .cookie }.map { Array(copying: bytes.span.extracting($0.value.range)) }
        return values.isEmpty ? .none : LoginCookies(Array(values.joined(separator: [UInt8(ascii: ";"), UInt8(ascii: " ")])).span)
    }

    fileprivate func text(of field: FieldName) -> String? {
        head.value(of: field).map { String(copying: bytes.span.extracting($0.range)) }
    }
}
