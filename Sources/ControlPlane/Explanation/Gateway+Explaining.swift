internal import Authentication
internal import GatewayTerms
internal import NIOCore
internal import Proxy

extension Gateway {
    static let recentRequestsMax = 1024

    /// Explains a request on one of the loops, with the keys, logins and revocations that are current there. A key that is missing is asked of
    /// the provider, as for a request that is served.
    func explain(_ sketch: RequestSketch, on loop: any EventLoop) -> EventLoopFuture<Explanation> {
        guard let worker = workers.all.first else { return loop.makeFailedFuture(ChannelError.ioOnClosedChannel) }
        let custody = custody
        let promise = loop.makePromise(of: Explanation.self)
        @Sendable func ask(_ refetch: RefetchState) {
            worker.eventLoop.execute {
                switch worker.value.explain(sketch, refetch: refetch) {
                case .explained(let explanation): promise.succeed(explanation)
                case .needsKeys(let issuer, let keyID):
                    guard refetch == .notTried else { return promise.fail(ChannelError.inappropriateOperationForState) }
                    custody.refetchKeys(issuer: issuer, keyID: keyID) { ask($0) }
                }
            }
        }
        ask(.notTried)
        return promise.futureResult
    }

    /// Explains one of the last requests by its line of the access log; `nil`: no loop remembers it.
    func explain(requestID: String, on loop: any EventLoop) -> EventLoopFuture<Explanation?> {
        let isPlausible = !requestID.isEmpty && requestID.utf8.count <= 64 && requestID.utf8.allSatisfy { ($0 >= 48 && $0 <= 57) || ($0 >= 97 && $0 <= 102) || $0 == 45 }
        guard isPlausible else { return loop.makeSucceededFuture(nil) }
        let found = workers.all.map { worker in
            worker.eventLoop.submit { worker.value.recentLine(requestID: requestID).flatMap { RecordedRequest($0) }.map { $0.explanation(worker.value) } }
        }
        return EventLoopFuture.reduce(Explanation?.none, found, on: loop) { $0 ?? $1 }
    }
}

/// A line of the access log as an explanation tells it.
private struct RecordedRequest {
    private let logged: LoggedRequest
    private let sketch: RequestSketch
    private let line: JSONObject?

    init?(_ line: [UInt8]) {
        guard case .request(let logged) = LoggedRequest.read(line.span),
              let sketch = try? RequestSketch(method: logged.method, authority: logged.host, target: logged.path) else { return nil }
        (self.logged, self.sketch) = (logged, sketch)
        self.line = (try? StrictJSON.read(line.span, limits: .init(bytesMax: line.count, depthMax: 4, valuesMax: 256)))?.object
    }

    func explanation(_ worker: Worker) -> Explanation {
        var steps: [Explanation.Step] = []
        if let version = line?["config_version"]?.string, version != worker.snapshot.version {
            steps.append(.init("then", .note, "it was decided under configuration \(version); path and routes are shown under the one that serves"))
        }
        note("when", line?["ts"]?.string, line?["duration_ms"]?.milliseconds.map { "took \($0)" }, line?["client_ip"]?.string.map { "from \($0)" }, to: &steps)
        note("matched", logged.route ?? "none", to: &steps)
        if let credential = logged.credential {
            let caller = line?["auth"]?.object
            note("issuer", caller?["issuer"]?.string, to: &steps)
            note("key", caller?["kid"]?.string, to: &steps)
            note("claims", caller?["sub"]?.string.map { "sub \($0)" }, to: &steps)
            note("client", logged.client, to: &steps)
            let why = [caller?["policy"]?.string.map { "policy of \($0)" }, caller?["rule"]?.string.map { "rule \($0)" }, logged.reason].compactMap { $0 }
            steps.append(.init("credentials", logged.isAllowed ? .passed : .failed, ([credential] + why).joined(separator: ", ")))
        }
        if logged.upstream != nil {
            note("tried", line?["upstream_addr"]?.string, line?["upstream_status"]?.integer.map { "status \($0)" }, line?["attempts"]?.integer.map { "\($0) tr\($0 == 1 ? "y" : "ies")" }, to: &steps)
        }
        note("flags", line?["flags"]?.strings.flatMap { $0.isEmpty ? nil : $0.joined(separator: ", ") }, to: &steps)
        let answer = Explanation.Answer(
            status: logged.status, code: logged.details ?? (logged.upstream == nil ? "" : "forwarded"), message: logged.upstream.map { "Upstream \($0) answered." } ?? "The gateway answered.")
        return worker.explain(sketch, recorded: Explainer.Recorded(steps: steps, answer: answer, isForwarded: logged.upstream != nil))
    }

    /// What the log has of it; nothing where it has nothing.
    private func note(_ step: String, _ parts: String?..., to steps: inout [Explanation.Step]) {
        let told = parts.compactMap { $0 }
        if !told.isEmpty { steps.append(.init(step, .note, told.joined(separator: ", "))) }
    }
}

extension JSONValue {
    /// As the log writes times: milliseconds with three digits behind the point.
    fileprivate var milliseconds: String? {
        guard case .number(let number) = self else { return nil }
        return "\(StatusReport.decimal(number, 1)) ms"
    }
}
