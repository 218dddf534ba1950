internal import GatewayTerms
internal import HTTPWire
internal import NIOCore

/// The client's side of one exchange: the whole connection in HTTP/1.1, one stream of it in HTTP/2. A closed list, so that the request path
/// holds no existential.
enum DownstreamStream {
    case http1(DownstreamConnection)
    case http2(HTTP2Stream)

    var client: DownstreamClient {
        switch self {
        case .http1(let connection): connection.client
        case .http2(let stream): stream.client
        }
    }

    /// Names the connection in the timer wheel.
    var id: ConnectionID? {
        switch self {
        case .http1(let connection): connection.id
        case .http2(let stream): stream.connectionID
        }
    }

    /// The next answer may leave the connection open.
    var acceptsAnotherRequest: Bool {
        switch self {
        case .http1(let connection): connection.acceptsAnotherRequest
        case .http2: true
        }
    }

    /// The connection ends with this answer because the instance goes away; HTTP/2 says so by GOAWAY.
    var isLeaving: Bool {
        switch self {
        case .http1(let connection): connection.isLeaving
        case .http2: false
        }
    }

    /// Nothing of the request's body has come yet, so that 100 (Continue) still means something.
    var hasReceivedNoBody: Bool {
        switch self {
        case .http1(let connection): connection.hasReceivedNoBody
        case .http2(let stream): stream.hasReceivedNoBody
        }
    }

    /// The client keeps up with what is written.
    var isWritable: Bool {
        switch self {
        case .http1(let connection): connection.isWritable
        case .http2(let stream): stream.isWritable
        }
    }

    // MARK: The response

    /// A final head, or one that switches protocols, as `HeadWriter` wrote it.
    func writeHead(_ bytes: [UInt8]) {
        switch self {
        case .http1(let connection): connection.write(bytes)
        case .http2(let stream): stream.writeHead(bytes)
        }
    }

    /// A 1xx head.
    func writeInformational(_ bytes: [UInt8]) {
        switch self {
        case .http1(let connection): connection.write(bytes)
        case .http2(let stream): stream.writeInformational(bytes)
        }
    }

    func write(_ body: [UInt8]) {
        switch self {
        case .http1(let connection): connection.write(body)
        case .http2(let stream): stream.write(body.span)
        }
    }

    func write(_ body: ByteBuffer) {
        switch self {
        case .http1(let connection): connection.write(body)
        case .http2(let stream): stream.write(body.readableBytesUInt8Span)
        }
    }

    /// A piece of a body whose length the head does not say.
    func writeChunk(_ body: ByteBuffer) {
        switch self {
        case .http1(let connection): connection.writeChunk(body)
        case .http2(let stream): stream.write(body.readableBytesUInt8Span)
        }
    }

    /// The end of such a body.
    /// - Parameter trailers: field lines, each ended by CR LF.
    func endChunks(_ trailers: [UInt8]) {
        switch self {
        case .http1(let connection):
            if trailers.isEmpty { connection.write(ChunkPrefix.last) } else { connection.write(Array("0\r\n".utf8) + trailers + Array("\r\n".utf8)) }
        case .http2(let stream): stream.setTrailers(trailers)
        }
    }

    func flush() {
        switch self {
        case .http1(let connection): connection.flush()
        case .http2(let stream): stream.flush()
        }
    }

    /// The answer is written whole.
    func exchangeFinished(keepsAlive: Bool, requestIsComplete: Bool) {
        switch self {
        case .http1(let connection): connection.exchangeFinished(keepsAlive: keepsAlive, requestIsComplete: requestIsComplete)
        case .http2(let stream): stream.exchangeFinished()
        }
    }

    /// Cuts the response, so that nobody takes it for whole.
    func abort() {
        switch self {
        case .http1(let connection): connection.abort()
        case .http2(let stream): stream.abort()
        }
    }

    // MARK: The request

    /// Whatever held the reading up may have gone.
    func resume() {
        switch self {
        case .http1(let connection): connection.resume()
        case .http2(let stream): stream.resume()
        }
    }

    func expect(_ wait: DownstreamConnection.Wait, within length: TimeAmount, from now: NIODeadline? = nil) {
        switch self {
        case .http1(let connection): connection.expect(wait, within: length, from: now)
        case .http2(let stream): stream.expect(wait, within: length, from: now)
        }
    }

    /// HTTP/2 has no switch of protocols (RFC 9113 §8.6), so no exchange of its gets here.
    func beginTunnel() {
        switch self {
        case .http1(let connection): connection.beginTunnel()
        case .http2(let stream): stream.abort()
        }
    }
}
