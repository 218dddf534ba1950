import GatewayTerms
import HTTPWire
import Testing

/// What came of reading some bytes; equal for equal readings, however the bytes were cut.
enum Reading<Message: Equatable & Sendable, Fault: Error & Equatable>: Equatable, Sendable {
    case message(Message)
    case incomplete
    case refused(Fault)

    var message: Message? {
        if case .message(let message) = self { message } else { nil }
    }
    var fault: Fault? {
        if case .refused(let fault) = self { fault } else { nil }
    }
}

/// A request head in texts.
struct RequestSummary: Equatable, Sendable {
    var method: Method
    var target, path: String
    var query: String?
    var authority: String
    var version: HTTPVersion
    var fields: [String]
    var hopByHop: [String]
    var framing: MessageFraming
    var keepsAlive, expectsContinue: Bool
    var upgrade: String?
    var byteCount: Int
    var isAsteriskForm: Bool

    init(_ head: RequestHead, _ bytes: [UInt8]) {
        func text(_ slice: Slice) -> String { String(decoding: bytes[slice.range], as: UTF8.self) }
        method = head.method
        target = text(head.target)
        path = text(head.path)
        query = head.query.map(text)
        authority = text(head.authority)
        version = head.version
        fields = head.fields.map { "\(text($0.name)): \(text($0.value))" }
        hopByHop = head.fields.filter(\.isHopByHop).map { text($0.name) }
        framing = head.framing
        keepsAlive = head.keepsAlive
        expectsContinue = head.expectsContinue
        upgrade = head.upgrade.map(text)
        byteCount = head.byteCount
        isAsteriskForm = head.isAsteriskForm
    }
}

struct ResponseSummary: Equatable, Sendable {
    var status: Int
    var version: HTTPVersion
    var reason: String
    var fields: [String]
    var hopByHop: [String]
    var framing: MessageFraming
    var keepsAlive: Bool
    var upgrade: String?
    var byteCount: Int

    init(_ head: ResponseHead, _ bytes: [UInt8]) {
        func text(_ slice: Slice) -> String { String(decoding: bytes[slice.range], as: UTF8.self) }
        status = head.status
        version = head.version
        reason = text(head.reason)
        fields = head.fields.map { "\(text($0.name)): \(text($0.value))" }
        hopByHop = head.fields.filter(\.isHopByHop).map { text($0.name) }
        framing = head.framing
        keepsAlive = head.keepsAlive
        upgrade = head.upgrade.map(text)
        byteCount = head.byteCount
    }
}

/// The ways to cut n bytes: not at all, at every single place, and into single bytes. Each way is the list of the lengths that
/// the parser sees one after the other.
func waysToCut(_ count: Int) -> [[Int]] {
    [[count]] + (0..<count).map { [$0, count] } + [Array(0...count)]
}

/// Reads a request head, requires that every way to cut it gives the same, and returns that.
func readRequest(_ bytes: [UInt8], limits: RequestLimits = RequestLimits(), sourceLocation: SourceLocation = #_sourceLocation) -> Reading<RequestSummary, RequestError> {
    var readings: [Reading<RequestSummary, RequestError>] = []
    for way in waysToCut(bytes.count) {
        var parser = RequestParser(limits: limits)
        var head = RequestHead()
        var reading = Reading<RequestSummary, RequestError>.incomplete
        for count in way {
            do {
                if try parser.parse(bytes.span.extracting(0..<count), into: &head) {
                    reading = .message(RequestSummary(head, bytes))
                    break
                }
            } catch {
                reading = .refused(error)
                break
            }
        }
        readings.append(reading)
    }
    #expect(readings.allSatisfy { $0 == readings[0] }, "cutting the head changes what is read", sourceLocation: sourceLocation)
    return readings[0]
}

func readRequest(_ text: String, limits: RequestLimits = RequestLimits(), sourceLocation: SourceLocation = #_sourceLocation) -> Reading<RequestSummary, RequestError> {
    readRequest(Array(text.utf8), limits: limits, sourceLocation: sourceLocation)
}

func readResponse(_ text: String, to method: Method = .get, limits: ResponseLimits = ResponseLimits(), sourceLocation: SourceLocation = #_sourceLocation) -> Reading<ResponseSummary, ResponseError> {
    let bytes = Array(text.utf8)
    var readings: [Reading<ResponseSummary, ResponseError>] = []
    for way in waysToCut(bytes.count) {
        var parser = ResponseParser(limits: limits)
        var head = ResponseHead()
        var reading = Reading<ResponseSummary, ResponseError>.incomplete
        for count in way {
            do {
                if try parser.parse(bytes.span.extracting(0..<count), requestMethod: method, into: &head) {
                    reading = .message(ResponseSummary(head, bytes))
                    break
                }
            } catch {
                reading = .refused(error)
                break
            }
        }
        readings.append(reading)
    }
    #expect(readings.allSatisfy { $0 == readings[0] }, "cutting the head changes what is read", sourceLocation: sourceLocation)
    return readings[0]
}

/// A body as its receiver sees it.
struct BodySummary: Equatable, Sendable {
    var data: String
    var trailers: String
    /// Bytes up to the end of the body.
    var consumed: Int
}

func readBody(_ text: String, _ framing: MessageFraming, limit: UInt64 = .max, names: FieldNameRule = .strict, sourceLocation: SourceLocation = #_sourceLocation) -> Reading<BodySummary, BodyError> {
    let bytes = Array(text.utf8)
    var readings: [Reading<BodySummary, BodyError>] = []
    for way in waysToCut(bytes.count) {
        var decoder = BodyDecoder(framing, limit: limit, names: names)
        var data: [UInt8] = []
        var consumed = 0
        var reading = Reading<BodySummary, BodyError>.incomplete
        pieces: for count in way {
            while true {
                do {
                    switch try decoder.next(bytes.span.extracting(min(consumed, count)..<count)) {
                    case .needsMore(let step):
                        consumed += step
                        continue pieces
                    case .data(let range, let step):
                        data += bytes[(consumed + range.lowerBound)..<(consumed + range.upperBound)]
                        consumed += step
                    case .end(let step):
                        consumed += step
                        reading = .message(BodySummary(
                            data: String(decoding: data, as: UTF8.self),
                            trailers: String(decoding: decoder.trailers, as: UTF8.self),
                            consumed: consumed
                        ))
                        break pieces
                    }
                } catch {
                    reading = .refused(error)
                    break pieces
                }
            }
        }
        readings.append(reading)
    }
    #expect(readings.allSatisfy { $0 == readings[0] }, "cutting the body changes what is read", sourceLocation: sourceLocation)
    return readings[0]
}
