package import GatewayTerms

/// The built-in `/cli` of one stage: what command-line users and their extension ask for.
///
///     GET /cli/             what this is: a page for people, JSON for programs
///     GET /cli/config       what the extension needs to know of the stage
///     GET /cli/whoami       who the bearer token is; the only one that needs a token
///     GET /cli/callback     the end of a login that began on a machine without a browser
///     GET /cli/WHEEL        the extension itself, for pip
///
/// Everything that does not depend on the request is made once, when a snapshot is compiled; an answer only chooses.
package struct CommandLineService: Sendable {
    private let stage: String
    private let host: String
    private let guide: Guide
    private let page: Page
    private let indexPage: Representation
    private let index: Representation
    /// `nil` while the provider's endpoints are not known.
    private var configuration: Representation?
    /// Makes it as soon as they are.
    private let representConfiguration: @Sendable (CommandLineSettings.Endpoints) -> Representation
    private let wheel: (path: String, representation: Representation)?

    /// - Parameter digest: SHA-256 (FIPS 180-4). It names the wheel's bytes to pip, the style to browsers, and makes the entity tags.
    package init(_ settings: CommandLineSettings, digest: @escaping @Sendable (Span<UInt8>) -> [UInt8]) {
        let wheelDigest = settings.wheel.map { CommandLineService.hexadecimal(digest($0.bytes.span)) }
        let guide = Guide(
            stage: settings.stage, host: settings.host.description, publicURL: settings.publicURL,
            wheel: settings.wheel.flatMap { wheel in wheelDigest.map { (wheel.name, $0) } })
        let page = Page(digest: digest)
        @Sendable func made(_ contentType: String, _ body: [UInt8], _ freshness: String, _ fields: [CommandLineAnswer.Field] = []) -> Representation {
            let tag = "\"\(CommandLineService.hexadecimal(digest(body.span).prefix(16)))\""
            return Representation(contentType: contentType, body: body, tag: tag, freshness: freshness, fields: fields)
        }
        stage = settings.stage
        host = settings.host.description
        self.guide = guide
        self.page = page
        let varies = CommandLineAnswer.Field(name: "vary", value: "accept")
        indexPage = made(CommandLineService.html, IndexPage.render(guide, in: page), "no-cache", [varies] + CommandLineService.pageFields(page))
        index = made(CommandLineService.json, Array(guide.json.utf8), "no-cache", [varies])
        representConfiguration = { made(CommandLineService.json, Array(ConfigurationDocument.render(settings, $0, wheelDigest: wheelDigest).utf8), "no-cache") }
        configuration = settings.endpoints.map(representConfiguration)
        // A version's bytes never change, so neither does what stands under its name.
        wheel = settings.wheel.map { ("/\($0.name)", made("application/octet-stream", $0.bytes, "public, max-age=31536000, immutable")) }
    }

    /// False for a provider whose endpoints are still to be discovered: `/cli/config` then answers 503.
    package var knowsEndpoints: Bool { configuration != nil }

    /// This service once discovery has told.
    package func knowing(_ endpoints: CommandLineSettings.Endpoints) -> CommandLineService {
        var service = self
        service.configuration = representConfiguration(endpoints)
        return service
    }

    /// True for the paths below `/cli` whose caller must prove with a bearer token who they are.
    package func needsIdentity(path: String) -> Bool { path == "/whoami" }

    /// - Parameter identity: of the verified bearer token; looked at where ``needsIdentity(path:)`` says so.
    package func answer(_ request: CommandLineRequest, identity: CommandLineIdentity?, now: WallTime) -> CommandLineAnswer {
        guard let resource = resource(request.path) else { return nothing(at: request.path) }
        guard request.method == .get || request.method == .head else {
            var answer = Self.problem(405, "method_not_allowed", "This path answers GET and HEAD only.")
            answer.fields.append(CommandLineAnswer.Field(name: "allow", value: "GET, HEAD"))
            return answer
        }
        switch resource {
        case .index: return (MediaRanges.preferPage(request.accept) ? indexPage : index).answer(to: request)
        case .configuration: return configuration?.answer(to: request) ?? endpointsUnknown
        case .identity: return identity.map { self.identity($0, now) } ?? identityMissing
        case .callback: return callback(request.query)
        case .wheel(let wheel): return wheel.answer(to: request)
        }
    }

    /// What a client address beyond its allowance meets (F8). 429 says what it is; the Metaflow client, which tries again on 503 alone,
    /// never asks here.
    package static func tooManyRequests(retryAfterSeconds: Int) -> CommandLineAnswer {
        let seconds = max(1, retryAfterSeconds)
        var answer = problem(429, "too_many_requests", "Too many requests came from your network address. Try again in \(seconds) s.")
        answer.fields.append(CommandLineAnswer.Field(name: "retry-after", value: String(seconds)))
        return answer
    }

    // MARK: Resources

    private enum Resource {
        case index, configuration, identity, callback
        case wheel(Representation)
    }

    private func resource(_ path: String) -> Resource? {
        switch path {
        case "", "/": .index
        case "/config": .configuration
        case "/whoami": .identity
        case "/callback": .callback
        default: wheel.flatMap { $0.path == path ? .wheel($0.representation) : nil }
        }
    }

    /// Changes with every second, so it is never kept and has no entity tag.
    private func identity(_ identity: CommandLineIdentity, _ now: WallTime) -> CommandLineAnswer {
        let (left, isFar) = identity.expiresAt.seconds.subtractingReportingOverflow(now.seconds)
        return CommandLineAnswer(status: 200, contentType: CommandLineService.json, body: Array((JSONText.object { object in
            object.member("subject", identity.subject)
            object.member("user_name", identity.userName)
            object.member("groups", identity.groups)
            object.member("stage", stage)
            object.member("seconds_left", isFar ? 0 : max(0, left))
        } + "\n").utf8))
    }

    /// Holds a code that logs somebody in, so no cache may keep it and no other site may learn its address.
    private func callback(_ query: [UInt8]) -> CommandLineAnswer {
        let callback = LoginCallback(query: query)
        let status = if case .code = callback { 200 } else { 400 }
        return CommandLineAnswer(
            status: status, contentType: CommandLineService.html, fields: CommandLineService.pageFields(page),
            body: CallbackPage.render(callback, stage: stage, loginLine: guide.loginWithoutBrowser, in: page))
    }

    // MARK: Problems

    private func nothing(at path: String) -> CommandLineAnswer {
        if path.hasSuffix(".whl") {
            guard let line = guide.install else {
                return Self.problem(404, "no_wheel", "This stage does not give out the extension. Ask its operators for it.")
            }
            return Self.problem(404, "no_wheel", "This stage has another version of the extension. Run: \(line)")
        }
        return Self.problem(404, "no_route", "Nothing is served under this path. \(guide.publicURL)/cli/ lists what there is.")
    }

    private var endpointsUnknown: CommandLineAnswer {
        var answer = Self.problem(503, "provider_unknown", "The gateway has not reached the identity provider of \(stage) yet. Try again in a moment.")
        answer.fields.append(CommandLineAnswer.Field(name: "retry-after", value: "2"))
        return answer
    }

    private var identityMissing: CommandLineAnswer {
        var answer = Self.problem(401, "login_required", "This needs a bearer token. Run: \(guide.login)")
        answer.fields.append(CommandLineAnswer.Field(name: "www-authenticate", value: "Bearer realm=\"\(host)\""))
        return answer
    }

    private static func problem(_ status: Int, _ code: String, _ message: String) -> CommandLineAnswer {
        CommandLineAnswer(status: status, contentType: CommandLineService.json, body: Array((JSONText.object { object in
            object.member("message", message)
            object.member("code", code)
        } + "\n").utf8))
    }

    // MARK: Details

    private static let html = "text/html; charset=utf-8"
    private static let json = "application/json"

    private static func pageFields(_ page: Page) -> [CommandLineAnswer.Field] {
        [
            CommandLineAnswer.Field(name: "content-security-policy", value: page.contentSecurityPolicy),
            CommandLineAnswer.Field(name: "referrer-policy", value: "no-referrer"),
        ]
    }

    private static func hexadecimal(_ bytes: some Collection<UInt8>) -> String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }
}

/// A body with its type, tag and freshness (RFC 9110 §8, RFC 9111 §5.2.2), ready to send.
struct Representation: Sendable {
    let contentType: String
    let body: [UInt8]
    let tag: String
    let freshness: String
    let fields: [CommandLineAnswer.Field]

    func answer(to request: CommandLineRequest) -> CommandLineAnswer {
        let validators = [CommandLineAnswer.Field(name: "etag", value: tag), CommandLineAnswer.Field(name: "cache-control", value: freshness)]
        if let known = request.ifNoneMatch, EntityTags.isMatch(known, tag) {
            return CommandLineAnswer(status: 304, contentType: nil, fields: fields + validators, etag: tag, isCacheable: true)
        }
        return CommandLineAnswer(status: 200, contentType: contentType, fields: fields + validators, body: body, etag: tag, isCacheable: true)
    }
}
