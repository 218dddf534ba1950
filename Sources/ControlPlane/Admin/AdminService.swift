internal import Authentication
internal import GatewayConfiguration
internal import GatewayTerms
internal import NIOCore
internal import Proxy

/// What the operators' socket answers: questions by GET, orders by POST. Only who may open the socket gets here, so no browser ever does.
struct AdminService: Sendable {
    /// The longest order, a revocation with its reason, has room.
    static let bodyBytesMax = 64 * 1024

    enum Resource: String, CaseIterable {
        case status = "/status"
        case routes = "/routes"
        case upstreams = "/upstreams"
        case certificates = "/certificates"
        case keySets = "/key-sets"
        case configuration = "/configuration"
        case reloads = "/reloads"
        case logLevel = "/loglevel"
        case explain = "/explain"
        case reload = "/reload"
        case drain = "/drain"
        case revoke = "/revoke"

        var methods: [GatewayTerms.Method] {
            switch self {
            case .status, .routes, .upstreams, .certificates, .keySets, .configuration, .reloads: [.get, .head]
            case .logLevel, .explain: [.get, .head, .post]
            case .reload, .drain, .revoke: [.post]
            }
        }
    }

    let gateway: Gateway

    func answer(_ request: LocalRequest, on loop: any EventLoop) -> EventLoopFuture<LocalAnswer> {
        guard let resource = Resource(rawValue: request.path) else {
            return loop.makeSucceededFuture(Self.fault(404, "not_found", "here are \(Resource.allCases.map(\.rawValue).joined(separator: ", "))"))
        }
        guard resource.methods.contains(request.method) else {
            let allowed = resource.methods.map(\.description).joined(separator: ", ")
            var answer = Self.fault(405, "method_not_allowed", "\(resource.rawValue) takes \(allowed)")
            answer.fields = [LocalAnswer.Field("allow", allowed)]
            return loop.makeSucceededFuture(answer)
        }
        return request.method == .post ? order(resource, request, loop) : question(resource, request, loop)
    }

    // MARK: Questions

    private func question(_ resource: Resource, _ request: LocalRequest, _ loop: any EventLoop) -> EventLoopFuture<LocalAnswer> {
        let gateway = gateway
        switch resource {
        case .status:
            let wantsScreen = request.query == "format=text"
            return gateway.read(on: loop).map { reading in
                let report = StatusReport(reading: reading)
                return wantsScreen ? .text(200, report.screen) : .json(200, report.json)
            }
        case .upstreams: return gateway.read(on: loop).map { .json(200, AdminListing.upstreams($0)) }
        case .certificates: return gateway.read(on: loop).map { .json(200, AdminListing.certificates($0)) }
        case .keySets: return gateway.read(on: loop).map { .json(200, AdminListing.keySets($0)) }
        // Beside the event loops: a long list must not keep requests waiting.
        case .routes: return loop.makeFutureWithTask { .json(200, AdminListing.routes(gateway.configuration)) }
        case .configuration: return loop.makeFutureWithTask { .json(200, ConfigurationDump.json(gateway.configuration, fingerprint: Self.fingerprint)) }
        case .reloads: return loop.makeSucceededFuture(.json(200, AdminListing.reloads(gateway.reloads.reading)))
        case .logLevel: return loop.makeSucceededFuture(.json(200, Self.level(gateway.logLevel)))
        case .explain: return loop.makeFutureWithTask { try await explain(query: request.query, loop) }
        case .reload, .drain, .revoke: return loop.makeSucceededFuture(Self.fault(405, "method_not_allowed", "POST it"))
        }
    }

    // MARK: Explanations

    private func explain(query: String, _ loop: any EventLoop) async throws -> LocalAnswer {
        let prefix = "request_id="
        guard query.hasPrefix(prefix) else { return Self.fault(400, "request_id_missing", "ask for /explain?request_id=ID") }
        let explanation = try await gateway.explain(requestID: String(query.dropFirst(prefix.count)), on: loop).get()
        return explanation.map(Self.answer) ?? Self.fault(404, "request_unknown", "no such request among the last \(Gateway.recentRequestsMax) of each event loop")
    }

    private func explain(_ body: [UInt8], _ loop: any EventLoop) async throws -> LocalAnswer {
        guard let asked = AskedRequest(document: body) else {
            return Self.fault(400, "request_malformed", "send {\"method\": …, \"url\": …, \"fields\": [[NAME, VALUE], …]}")
        }
        let sketch: RequestSketch
        do throws(RequestSketch.Unreadable) { sketch = try asked.sketch() } catch { return Self.fault(400, "request_unreadable", "\(error)") }
        return Self.answer(try await gateway.explain(sketch, on: loop).get())
    }

    private static func answer(_ explanation: Explanation) -> LocalAnswer {
        .json(200, JSONText.object { object in
            object.member("explanation", json: explanation.json)
            object.member("text", explanation.text)
        })
    }

    // MARK: Orders

    private func order(_ resource: Resource, _ request: LocalRequest, _ loop: any EventLoop) -> EventLoopFuture<LocalAnswer> {
        let gateway = gateway
        switch resource {
        case .reload:
            return loop.makeFutureWithTask { Self.answer(await gateway.reload(.command)) }
        case .drain:
            let began = gateway.requestDrain()
            return loop.makeSucceededFuture(.json(202, JSONText.object { object in
                object.member("draining", json: "true")
                object.member("message", began ? "draining has begun" : "it is draining already")
            }))
        case .logLevel:
            guard let word = Self.member("level", of: request.body), let level = Configuration.Log.Level(rawValue: word) else {
                let words = Configuration.Log.Level.allCases.map(\.rawValue).joined(separator: ", ")
                return loop.makeSucceededFuture(Self.fault(400, "level_unknown", "send {\"level\": …} with one of \(words)"))
            }
            gateway.setLogLevel(level)
            return loop.makeSucceededFuture(.json(200, Self.level(gateway.logLevel)))
        case .revoke:
            return loop.makeSucceededFuture(revoke(request.body))
        case .explain:
            return loop.makeFutureWithTask { try await explain(request.body, loop) }
        case .status, .routes, .upstreams, .certificates, .keySets, .configuration, .reloads:
            return loop.makeSucceededFuture(Self.fault(405, "method_not_allowed", "GET it"))
        }
    }

    /// One entry in the words of the revocation file (C11).
    private func revoke(_ body: [UInt8]) -> LocalAnswer {
        let document = Array("{\"version\":1,\"entries\":[".utf8) + body + Array("]}".utf8)
        do throws(AuthenticationError) {
            let revocation = try Revocation(document: document.span)
            guard revocation.entries.count == 1 else { return Self.fault(400, "entry_malformed", "send one entry") }
            let fault = gateway.revoke(revocation.entries)
            return .json(200, JSONText.object { object in
                object.member("revoked", revocation.entries.count)
                object.member("message", "refused here from now on; other replicas follow the revocation file")
                object.member("warning", fault)
            })
        } catch { return Self.fault(400, "entry_malformed", "\(error)") }
    }

    /// 200 for what was accepted, 409 for what was refused.
    static func answer(_ outcome: ReloadOutcome) -> LocalAnswer {
        switch outcome {
        case .accepted(let version, let warnings, let changes):
            .json(200, JSONText.object { object in
                object.member("result", "accepted")
                object.member("version", version)
                object.member("changes", changes)
                object.member("warnings", json: "[" + warnings.map(\.json).joined(separator: ",") + "]")
                object.member("text", json: "[" + (changes + warnings.map(\.description)).map(JSONText.quoted).joined(separator: ",") + "]")
            })
        case .refused(let diagnostics):
            .json(409, JSONText.object { object in
                object.member("result", "refused")
                object.member("faults", json: "[" + diagnostics.faults.map(\.json).joined(separator: ",") + "]")
                object.member("warnings", json: "[" + diagnostics.warnings.map(\.json).joined(separator: ",") + "]")
                object.member("text", json: "[" + diagnostics.all.map { JSONText.quoted($0.description) }.joined(separator: ",") + "]")
            })
        }
    }

    /// Tells one secret from another without telling it.
    private static func fingerprint(_ secret: Secret) -> String {
        "sha256:" + secret.withBytes { LoginDigest.sha256($0) }.prefix(8).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    private static func level(_ level: String) -> String { JSONText.object { $0.member("level", level) } }

    private static func member(_ name: String, of body: [UInt8]) -> String? {
        guard let value = try? StrictJSON.read(body.span, limits: StrictJSON.Limits(bytesMax: 1024, depthMax: 2, valuesMax: 8)), let object = value.object,
              object.members.count == 1 else { return nil }
        return object[name]?.string
    }

    private static func fault(_ status: Int, _ code: String, _ message: String) -> LocalAnswer {
        .json(status, JSONText.object { object in
            object.member("message", message)
            object.member("code", code)
        })
    }
}
