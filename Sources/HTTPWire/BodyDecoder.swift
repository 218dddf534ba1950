internal import GatewayTerms

/// Finds the data and the end of one body, request's or response's (RFC 9112 §6, §7.1). It copies nothing but trailers and
/// looks at each byte once: consumed bytes need not be given again.
package struct BodyDecoder: Sendable {
    package enum Step: Equatable, Sendable {
        /// All that could be read is read: drop `consumed` bytes and come again with more.
        case needsMore(consumed: Int)
        /// Body data at `range` of the span; drop `consumed` bytes and come again. `range` is not empty.
        case data(range: Range<Int>, consumed: Int)
        /// The body has ended, and behind `consumed` bytes the next message begins. Stays so.
        case end(consumed: Int)
    }

    /// Extension bytes in one chunk and in one body.
    package static let extensionBytesMax = (chunk: 1024, body: 16 * 1024)
    /// Trailer section without the empty line that ends it.
    package static let trailersMax = (bytes: 8 * 1024, lines: 32)

    private enum State: Equatable {
        case counted, untilClose, finished
        case chunkSize, chunkExtension, chunkLineFeed, chunkData, chunkDataReturn, chunkDataLineFeed
        case trailerStart, trailerLine, trailerLineFeed, lastLineFeed
    }

    /// The validated trailer lines of a chunked body as they came, each with its CRLF; empty otherwise, and until the end.
    package private(set) var trailers: [UInt8] = []
    /// Body bytes that were returned so far.
    package private(set) var dataCount: UInt64 = 0

    private let limit: UInt64
    private let names: FieldNameRule
    private var state: State
    /// What is left of a counted body or of the current chunk.
    private var remaining: UInt64 = 0
    private var digits = 0
    private var chunkExtension = ChunkExtension()
    private var extensionBytesInChunk = 0
    private var extensionBytesInBody = 0
    private var trailerLineStart = 0
    private var trailerLines = 0
    private var failure: BodyError?

    /// - Parameters:
    ///   - limit: largest body in bytes of data; over it `BodyError.tooLarge`, as early as a length or chunk size says so.
    ///   - names: which names trailers may have.
    package init(_ framing: MessageFraming, limit: UInt64 = .max, names: FieldNameRule = .strict) {
        self.limit = limit
        self.names = names
        switch framing {
        case .none:
            state = .finished
        case .length(let length):
            state = length == 0 ? .finished : .counted
            remaining = length
            if length > limit { failure = .tooLarge }
        case .chunked:
            state = .chunkSize
        case .untilClose:
            state = .untilClose
        }
    }

    /// The body has ended.
    package var isFinished: Bool { state == .finished && failure == nil }

    /// When the connection closes now, the body is whole; otherwise it was cut off (RFC 9112 §8).
    package var isWholeAtClose: Bool { (state == .finished || state == .untilClose) && failure == nil }

    /// Reads on. Call it again with what is left behind `consumed` until it needs more or the body ends.
    package mutating func next(_ bytes: Span<UInt8>) throws(BodyError) -> Step {
        if let failure { throw failure }
        do {
            return try advance(bytes)
        } catch {
            failure = error
            throw error
        }
    }

    private mutating func advance(_ bytes: Span<UInt8>) throws(BodyError) -> Step {
        let count = bytes.count
        switch state {
        case .finished:
            return .end(consumed: 0)
        case .counted:
            guard count > 0 else { return .needsMore(consumed: 0) }
            return take(from: 0, of: count, then: .finished)
        case .untilClose:
            guard count > 0 else { return .needsMore(consumed: 0) }
            guard UInt64(count) <= limit - dataCount else { throw .tooLarge }
            dataCount += UInt64(count)
            return .data(range: 0..<count, consumed: count)
        case .chunkSize, .chunkExtension, .chunkLineFeed, .chunkData, .chunkDataReturn, .chunkDataLineFeed,
             .trailerStart, .trailerLine, .trailerLineFeed, .lastLineFeed:
            break
        }
        var position = 0
        while position < count {
            if state == .chunkData { return take(from: position, of: count, then: .chunkDataReturn) }
            try read(bytes[position])
            position += 1
            if state == .finished { return .end(consumed: position) }
        }
        return .needsMore(consumed: position)
    }

    /// Gives out what the span holds of `remaining`.
    private mutating func take(from start: Int, of count: Int, then next: State) -> Step {
        let size = remaining > UInt64(count - start) ? count - start : Int(truncatingIfNeeded: remaining)
        remaining -= UInt64(size)
        dataCount &+= UInt64(size)
        if remaining == 0 { state = next }
        return .data(range: start..<start + size, consumed: start + size)
    }

    /// One byte between the data.
    private mutating func read(_ byte: UInt8) throws(BodyError) {
        switch state {
        case .chunkSize:
            try readSize(byte)
        case .chunkExtension:
            try readExtension(byte)
        case .chunkLineFeed:
            guard byte == lineFeed else { throw .chunkLineEndInvalid }
            try beginChunk()
        case .chunkDataReturn:
            guard byte == carriageReturn else { throw .chunkDataEndInvalid }
            state = .chunkDataLineFeed
        case .chunkDataLineFeed:
            guard byte == lineFeed else { throw .chunkDataEndInvalid }
            state = .chunkSize
        case .trailerStart:
            trailerLineStart = trailers.count
            if byte == carriageReturn {
                state = .lastLineFeed
            } else {
                state = .trailerLine
                try readTrailer(byte)
            }
        case .trailerLine:
            try readTrailer(byte)
        case .trailerLineFeed:
            guard byte == lineFeed else { throw .trailerInvalid }
            trailers.append(byte)
            try endTrailerLine()
            state = .trailerStart
        case .lastLineFeed:
            guard byte == lineFeed else { throw .trailerInvalid }
            state = .finished
        case .counted, .untilClose, .finished, .chunkData:
            break
        }
    }

    private mutating func readSize(_ byte: UInt8) throws(BodyError) {
        if let digit = hexValue(byte) {
            digits += 1
            guard digits <= 16 else { throw .chunkSizeInvalid }
            remaining = remaining &<< 4 | UInt64(digit)
            return
        }
        guard digits > 0 else { throw .chunkSizeInvalid }
        switch byte {
        case carriageReturn:
            state = .chunkLineFeed
        case lineFeed:
            throw .chunkLineEndInvalid
        case UInt8(ascii: ";"):
            chunkExtension = ChunkExtension()
            state = .chunkExtension
            try countExtension()
        default:
            throw .chunkSizeInvalid
        }
    }

    private mutating func readExtension(_ byte: UInt8) throws(BodyError) {
        switch byte {
        case carriageReturn:
            guard chunkExtension.mayEnd else { throw .chunkExtensionInvalid }
            state = .chunkLineFeed
        case lineFeed:
            throw .chunkLineEndInvalid
        default:
            guard chunkExtension.accepts(byte) else { throw .chunkExtensionInvalid }
            try countExtension()
        }
    }

    private mutating func countExtension() throws(BodyError) {
        extensionBytesInChunk += 1
        extensionBytesInBody += 1
        guard extensionBytesInChunk <= Self.extensionBytesMax.chunk, extensionBytesInBody <= Self.extensionBytesMax.body else {
            throw .chunkExtensionTooLarge
        }
    }

    private mutating func beginChunk() throws(BodyError) {
        digits = 0
        extensionBytesInChunk = 0
        // `dataCount` never exceeds the limit, so the difference is no overflow.
        guard remaining <= limit - dataCount else { throw .tooLarge }
        state = remaining == 0 ? .trailerStart : .chunkData
    }

    private mutating func readTrailer(_ byte: UInt8) throws(BodyError) {
        guard trailers.count < Self.trailersMax.bytes - 1 else { throw .trailersTooLarge }
        trailers.append(byte)
        if byte == carriageReturn { state = .trailerLineFeed }
        if byte == lineFeed { throw .trailerInvalid }
    }

    /// Judges the line that has just been completed by the rules of a field section.
    private mutating func endTrailerLine() throws(BodyError) {
        trailerLines += 1
        guard trailerLines <= Self.trailersMax.lines else { throw .trailersTooLarge }
        let limit = Self.trailersMax.bytes
        var scanner = FieldLineScanner(limits: .init(field: limit, cookie: limit, authorization: limit), names: names)
        scanner.begin(at: trailerLineStart)
        let outcome: FieldLineScanner.Outcome
        do {
            outcome = try scanner.next(trailers.span, until: trailers.count)
        } catch {
            throw .trailerInvalid
        }
        guard case .line(let line) = outcome else { throw .trailerInvalid }
        guard line.field.isTrailer else { throw .trailerForbidden }
    }
}

extension FieldName {
    /// May stand behind a body (RFC 9110 §6.5.1): nothing that frames, routes, authenticates, or tells how to read the content.
    var isTrailer: Bool {
        switch self {
        case .other, .etag, .server, .date: true
        case .host, .connection, .contentLength, .transferEncoding, .expect, .upgrade, .te, .trailer, .keepAlive, .proxyConnection,
             .proxyAuthenticate, .proxyAuthorization, .http2Settings, .contentType, .contentEncoding, .cacheControl, .location,
             .retryAfter, .vary, .accept, .acceptEncoding, .authorization, .cookie, .setCookie, .wwwAuthenticate, .apiKey, .origin,
             .userAgent, .secFetchMode, .secFetchDest, .secFetchSite, .secWebSocketKey, .xRequestedWith, .xRequestID, .traceparent,
             .tracestate, .accessControlAllowOrigin, .strictTransportSecurity, .ifNoneMatch, .forwardedFamily: false
        }
    }
}
