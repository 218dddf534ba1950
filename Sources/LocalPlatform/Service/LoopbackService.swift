internal import HTTPTypes
internal import Hummingbird
internal import HummingbirdCore
internal import Logging
internal import NIOCore

/// One of the platform's services on its own loopback port. This is the only place that knows the HTTP server.
struct LoopbackService: Sendable {
    /// As the `ready` line and errors call it: `identity`, `metadata` or `browser`.
    let name: String
    let host: String
    /// 0 lets the system choose.
    let port: Int
    /// The largest request body, in bytes. Over it: 413.
    let bodyBytesMax: Int
    let answer: @Sendable (Call) async -> Reply
    /// Where it speaks WebSocket, if it does.
    var webSocket: WebSocketEndpoint?

    /// Serves until the task is cancelled; `running` is told the port once connections are accepted.
    func run(running: @escaping @Sendable (Int) async -> Void) async throws(PlatformError) {
        var logger = Logger(label: "metaflow-local-platform.\(name)") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = .critical
        let application = Application(
            responder: CallbackResponder<ServiceContext> { request, context in try await respond(to: request, context) }, server: server,
            configuration: ApplicationConfiguration(address: .hostname(host, port: port), serverName: nil, backlog: 1024),
            onServerRunning: { channel in await running(channel.localAddress?.port ?? port) },
            logger: logger)
        do {
            try await application.run()
        } catch let error as IOError where error.errnoCode == 98 {
            throw .portTaken(service: name, host: host, port: port)
        } catch is CancellationError {
            return
        } catch {
            throw .cannotListen(service: name, host: host, port: port, reason: String(describing: error))
        }
    }

    private var server: HTTPServerBuilder {
        let webSocket = webSocket
        return .http1(configuration: HTTP1Channel.Configuration(additionalChannelHandlers: webSocket.map { [WebSocketUpgrade($0) as any RemovableChannelHandler] } ?? []))
    }

    private func respond(to request: Request, _ context: ServiceContext) async throws -> Response {
        let body: ByteBuffer
        do {
            body = try await request.body.collect(upTo: bodyBytesMax)
        } catch is NIOTooManyBytesError {
            return response(Reply(status: 413, contentType: "text/plain; charset=utf-8", body: "413: the body is over \(bodyBytesMax) bytes", [("Connection", "close")]))
        }
        let target = request.head.path ?? "/"
        let parts = target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        var fields: [String: String] = [:]
        // The server keeps Host apart from the other fields, as HTTP/2 does.
        if let authority = request.head.authority { fields["host"] = authority }
        for field in request.headers {
            let name = field.name.canonicalName
            if let earlier = fields[name] {
                fields[name] = earlier + (name == "cookie" ? "; " : ", ") + field.value
            } else {
                fields[name] = field.value
            }
        }
        let call = Call(
            method: request.method.rawValue,
            path: parts[0].split(separator: "/", omittingEmptySubsequences: false).dropFirst().map { PercentText.decoded($0) },
            query: parts.count > 1 ? FormFields(parsing: parts[1]) : FormFields(),
            fields: fields, body: Array(body.readableBytesView), peerIsLoopback: context.peerIsLoopback)
        return response(await answer(call), isBodiless: request.method == .head)
    }

    private func response(_ reply: Reply, isBodiless: Bool = false) -> Response {
        var headers = HTTPFields()
        for field in reply.fields {
            guard let name = HTTPField.Name(field.name) else { continue }
            headers.append(HTTPField(name: name, value: field.value))
        }
        // A response to HEAD says how long the body would be, and has none (RFC 9110 §9.3.2).
        if isBodiless { headers[.contentLength] = String(reply.body.utf8.count) }
        return Response(
            status: HTTPResponse.Status(code: reply.status), headers: headers,
            body: isBodiless || reply.body.isEmpty ? ResponseBody() : ResponseBody(byteBuffer: ByteBuffer(string: reply.body)))
    }
}

/// What a request brings besides itself: whether its peer is this machine.
private struct ServiceContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    let peerIsLoopback: Bool

    init(source: ApplicationRequestContextSource) {
        coreContext = CoreRequestContextStorage(source: source)
        let address = source.channel.remoteAddress?.ipAddress ?? ""
        peerIsLoopback = address.hasPrefix("127.") || address == "::1" || address.hasPrefix("::ffff:127.")
    }
}
