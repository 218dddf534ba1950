package import GatewayTerms

/// Reads response heads (RFC 9112 §4–§6): as strict as `RequestParser` about where a message ends, tolerant about names and
/// values, which other programs chose. Used in the same way.
package struct ResponseParser: Sendable {
    private enum Phase {
        case start, statusLine, reason, fields
    }

    private let limits: ResponseLimits
    private var phase = Phase.start
    private var position = 0
    private var scanner: FieldLineScanner
    private var facts = ResponseFacts()
    private var failure: ResponseError?

    package init(limits: ResponseLimits) {
        var limits = limits
        limits.headBytesMax = max(1, min(limits.headBytesMax, RequestLimits.headBytesCeiling))
        limits.fieldLineBytesMax = max(0, min(limits.fieldLineBytesMax, limits.headBytesMax))
        self.limits = limits
        let line = limits.fieldLineBytesMax
        scanner = FieldLineScanner(limits: .init(field: line, cookie: line, authorization: line), names: .token)
    }

    /// Forgets a head that was begun, and a failure.
    package mutating func reset() {
        phase = .start
        position = 0
        facts = ResponseFacts()
        failure = nil
    }

    /// Reads the head that begins with the first byte.
    /// - Parameter requestMethod: what was asked: the answer to HEAD has no body.
    /// - Returns: `true` when it is complete: its length is `head.byteCount`, and the next call begins the next head, which
    ///   after a 1xx other than 101 belongs to the same exchange. `false`: more bytes are needed.
    package mutating func parse(_ bytes: Span<UInt8>, requestMethod: Method, into head: inout ResponseHead) throws(ResponseError) -> Bool {
        if let failure { throw failure }
        do {
            return try advance(bytes, requestMethod, into: &head)
        } catch {
            failure = error
            throw error
        }
    }

    @inline(__always)
    private mutating func advance(_ bytes: Span<UInt8>, _ requestMethod: Method, into head: inout ResponseHead) throws(ResponseError) -> Bool {
        let visible = min(bytes.count, limits.headBytesMax)
        if phase != .fields {
            guard try readStatusLine(bytes, until: visible, into: &head) else { return try needsMore(visible) }
            scanner.begin(at: position)
        }
        // A copy, so that its parts stay in registers from line to line.
        var scanner = scanner
        defer { self.scanner = scanner }
        while true {
            let outcome: FieldLineScanner.Outcome
            do {
                outcome = try scanner.next(bytes, until: visible)
            } catch {
                throw ResponseError(error)
            }
            switch outcome {
            case .needsMore:
                return try needsMore(visible)
            case .line(let line):
                guard head.fields.count < limits.fieldsMax else { throw .tooManyFields }
                if try facts.note(line, of: bytes, version: head.version) { head.fields.append(line) }
            case .end:
                try facts.conclude(bytes, requestMethod, into: &head)
                head.byteCount = scanner.position
                reset()
                return true
            }
        }
    }

    private func needsMore(_ visible: Int) throws(ResponseError) -> Bool {
        guard visible < limits.headBytesMax else { throw .headTooLarge }
        return false
    }

    private mutating func readStatusLine(_ bytes: Span<UInt8>, until visible: Int, into head: inout ResponseHead) throws(ResponseError) -> Bool {
        if phase == .start {
            head.removeAll()
            phase = .statusLine
        }
        if phase == .statusLine {
            guard try readVersionAndStatus(bytes, until: visible, into: &head) else { return false }
            position = 12
            phase = .reason
        }
        guard try readReason(bytes, until: visible, into: &head) else { return false }
        phase = .fields
        return true
    }

    /// `HTTP/1.1 200`; twelve bytes, so that reading them again when they come in pieces costs nothing.
    private func readVersionAndStatus(_ bytes: Span<UInt8>, until visible: Int, into head: inout ResponseHead) throws(ResponseError) -> Bool {
        let pattern: StaticString = "HTTP/1.1 200"
        for index in 0..<min(visible, 12) {
            let byte = bytes[index]
            let isRight = switch index {
            case 5, 7, 9...11: isDigit(byte)
            default: pattern.withUTF8Buffer { text in unsafe text[index] == byte }
            }
            guard isRight else { throw .statusLineMalformed }
        }
        guard visible >= 12 else { return false }
        guard bytes[5] == UInt8(ascii: "1"), bytes[7] <= UInt8(ascii: "1") else { throw .versionUnsupported }
        head.version = bytes[7] == UInt8(ascii: "1") ? .http11 : .http10
        head.status = Int(bytes[9] &- 48) &* 100 &+ Int(bytes[10] &- 48) &* 10 &+ Int(bytes[11] &- 48)
        guard head.status >= 100 else { throw .statusInvalid }
        return true
    }

    /// The rest of the status line: nothing, or a space and any text, which may be empty.
    private mutating func readReason(_ bytes: Span<UInt8>, until visible: Int, into head: inout ResponseHead) throws(ResponseError) -> Bool {
        let longest = max(12, limits.fieldLineBytesMax)
        let end = min(visible, longest &+ 1)
        while true {
            position = bytes.endOfFieldText(from: position, to: end)
            guard position < end else {
                if position > longest { throw .fieldTooLarge }
                return false
            }
            // The scan stops at blanks other than spaces only; the first byte behind the status must be the space.
            guard position == 12 || bytes[12] == space else { throw .statusLineMalformed }
            let byte = bytes[position]
            if byte == carriageReturn {
                guard position &+ 1 < visible else { return false }
                guard bytes[position &+ 1] == lineFeed else { throw .statusLineMalformed }
                head.reason = position > 12 ? Slice(from: 13, to: position) : .empty
                position &+= 2
                return true
            }
            guard position > 12, byte == tab || byte >= 0x80 else { throw .statusLineMalformed }
            position &+= 1
        }
    }
}
