internal import Authentication
internal import CommandLineAPI
internal import GatewayTerms
internal import HTTPWire
internal import NIOCore
internal import Routing

/// The gateway's own answers: faults, redirects and the command-line API.
extension ExchangeDriver {
    func answer(_ fault: Fault) {
        let profile = destination?.route.failures ?? .browser
        record.flags.formUnion(fault.flags)
        record.details = fault.code
        if case .bearer(let refusal) = fault { record.refusal = refusal }
        if case .credentialMissing = fault { record.isCredentialMissing = true }
        if fault == .overloaded || fault == .noEndpoint { countFailure(fault) }
        send(LocalAnswer(fault, profile: profile, reader: reader, stage: stage, requestID: record.requestID))
    }

    func answerCommandLine(_ destination: Admission.Destination) {
        guard let service = worker.commandLine(destination.stage) else { return answer(.responds(404)) }
        let bytes = bytes
        if let seconds = worker.commandLineDelay(destination.stage, connection?.client.address(head, bytes.readableBytesUInt8Span)) {
            record.flags.insert(.rateLimited)
            worker.counters.rateRefused &+= 1
            return send(LocalAnswer(CommandLineService.tooManyRequests(retryAfterSeconds: seconds)))
        }
        var request = CommandLineRequest(method: head.method, path: Admission.commandLinePath(destination))
        if let query = head.query { request.query = Array(copying: bytes.readableBytesUInt8Span.extracting(query.range)) }
        request.accept = text(of: .accept)
        request.ifNoneMatch = text(of: .ifNoneMatch)
        let caller = identity.map { CommandLineIdentity(subject: $0.subject, userName: $0.username, groups: $0.groups, expiresAt: $0.expiresAt) }
        send(compressed(LocalAnswer(service.answer(request, identity: caller, now: worker.wallTime))))
    }

    /// The value of a field as text.
    func text(of field: FieldName) -> String? {
        guard !record.isUnreadable, let value = head.value(of: field) else { return nil }
        let bytes = bytes
        return String(copying: bytes.readableBytesUInt8Span.extracting(value.range))
    }

    func redirect(toPath path: CanonicalPath) {
        guard let stage else { return }
        record.details = "redirect_to_canonical"
        send(.redirect(to: stage.rules.publicURL + path.description + queryText))
    }

    /// The plain listener has one answer (B3): the same address over TLS, of a host that is ours.
    func redirectToHTTPS() {
        let matching = Admission.match(head, bytes.readableBytesUInt8Span, snapshot: snapshot, serverName: .none, lookup: &lookup)
        switch matching {
        case .destination(let destination):
            stage = destination.stage
            path = destination.path
        case .login(let stage, _, let path, _):
            self.stage = stage
            self.path = path
        case .redirect(let stage, let path):
            self.stage = stage
            self.path = path
        case .fault(let fault, let stage, let path):
            guard let stage, let path else { return answer(fault) }
            self.stage = stage
            self.path = path
        }
        guard let stage, let path else { return }
        record.details = "redirect_to_https"
        send(.redirect(to: stage.rules.publicURL + path.description + queryText))
    }

    var queryText: String {
        guard let query = head.query else { return "" }
        let bytes = bytes
        return "?" + String(copying: bytes.readableBytesUInt8Span.extracting(query.range))
    }

    /// A person in front of a browser, as far as the request tells (D1).
    private var reader: ErrorPage.Reader? {
        guard text(of: .accept)?.contains("text/html") == true else { return nil }
        var again: String?
        if head.method == .get, let path { again = path.description + queryText }
        return ErrorPage.Reader(again: again, login: stage?.login == nil ? nil : AuthorizationCodeFlow.startAddress(backTo: again ?? "/"), now: worker.wallTime)
    }

    func send(_ answer: LocalAnswer) {
        guard let connection else { return }
        guard exchange.answerMayLeave() else { return hold(.answer(answer)) }
        guard exchange.answered() else { return abort(.gateway("a second answer to one request")) }
        if answer.closesConnection || connection.isLeaving { keepsAlive = false }
        // A client that waits for 100 may or may not send its body after a refusal: only a new connection is sure (RFC 9110 §10.1.1).
        if exchange.request == .receiving, head.expectsContinue, !isContinued { keepsAlive = false }
        if exchange.request == .receiving, case .length(let count) = head.framing, count > UInt64(snapshot.limits.discardedBodyBytesMax) { keepsAlive = false }
        record.status = answer.status
        record.responded = .now()
        // Also where the rest of the head could not be read: an answer to HEAD has no content (RFC 9110 §9.3.2).
        let isHead = head.method == .head
        let now = worker.wallTime
        worker.headWriter.removeAll()
        worker.headWriter.statusLine(answer.status, reason: nil)
        worker.headWriter.field("date", worker.date(now))
        if let contentType = answer.contentType {
            worker.headWriter.field("content-type", contentType)
            worker.headWriter.field("content-length", number: UInt64(answer.body.count))
        }
        for field in answer.fields { worker.headWriter.field(field.name, field.value) }
        for cookie in setCookies { worker.headWriter.field("set-cookie", cookie) }
        if !answer.isCacheable { worker.headWriter.field("cache-control", "no-store") }
        worker.headWriter.field("x-content-type-options", "nosniff")
        if let stage, stage.sendsTransportSecurity, connection.client.isSecure { worker.headWriter.field("strict-transport-security", "max-age=31536000") }
        let requestText = record.requestText
        worker.headWriter.field("x-request-id", requestText.span)
        if !keepsAlive { worker.headWriter.field("connection", "close") }
        worker.headWriter.end()
        connection.writeHead(worker.headWriter.bytes)
        if !isHead {
            connection.write(answer.body)
            record.bytesOut += answer.body.count
        }
        exchange.answerWritten()
        finish()
    }
}
