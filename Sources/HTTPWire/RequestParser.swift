internal import GatewayTerms

/// Reads request heads (RFC 9112 §2–§6, §9), strictly: what two programs could read in two ways is an error, and the bytes
/// that show it raise it, whether or not the rest of the head has come.
///
/// Each byte is looked at once. While a head is incomplete, give `parse` the same bytes again with more behind them, and the
/// same `RequestHead`; how a head was cut into pieces never changes what is read.
package struct RequestParser: Sendable {
    enum Phase {
        case start, method, target, version, fields
    }

    let limits: RequestLimits
    var phase = Phase.start
    /// The next byte to look at, while the request line is read.
    var position = 0
    /// Where the part of the request line that is being read begins.
    var partStart = 0
    var facts = RequestFacts()
    private var scanner: FieldLineScanner
    /// What ended the connection; every later call gets it again.
    private var failure: RequestError?

    package init(limits: RequestLimits) {
        var limits = limits
        limits.headBytesMax = max(1, min(limits.headBytesMax, RequestLimits.headBytesCeiling))
        // No line is longer than a head, so the sums of a place and a limit stay small.
        limits.fieldLineBytesMax = max(0, min(limits.fieldLineBytesMax, limits.headBytesMax))
        limits.cookieBytesMax = max(0, min(limits.cookieBytesMax, limits.headBytesMax))
        limits.authorizationBytesMax = max(0, min(limits.authorizationBytesMax, limits.headBytesMax))
        limits.targetBytesMax = max(0, min(limits.targetBytesMax, limits.headBytesMax))
        self.limits = limits
        scanner = FieldLineScanner(
            limits: .init(field: limits.fieldLineBytesMax, cookie: limits.cookieBytesMax, authorization: limits.authorizationBytesMax),
            names: .strict
        )
    }

    /// Forgets a head that was begun, and a failure.
    package mutating func reset() {
        phase = .start
        position = 0
        partStart = 0
        facts = RequestFacts()
        failure = nil
    }

    /// Reads the head that begins with the first byte.
    /// - Returns: `true` when it is complete: its length is `head.byteCount`, and the next call begins the next head.
    ///   `false`: more bytes are needed.
    package mutating func parse(_ bytes: Span<UInt8>, into head: inout RequestHead) throws(RequestError) -> Bool {
        if let failure { throw failure }
        do {
            return try advance(bytes, into: &head)
        } catch {
            failure = error
            throw error
        }
    }

    @inline(__always)
    private mutating func advance(_ bytes: Span<UInt8>, into head: inout RequestHead) throws(RequestError) -> Bool {
        let visible = min(bytes.count, limits.headBytesMax)
        if phase != .fields {
            guard try readRequestLine(bytes, until: visible, into: &head) else { return try needsMore(visible) }
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
                throw RequestError(error)
            }
            switch outcome {
            case .needsMore:
                return try needsMore(visible)
            case .line(let line):
                guard head.fields.count < limits.fieldsMax else { throw .tooManyFields }
                switch line.field {
                case .other: break
                default: try facts.note(line, of: bytes, hasObsoleteText: scanner.hasObsoleteText, version: head.version)
                }
                head.fields.append(line)
            case .end:
                try facts.conclude(bytes, into: &head)
                head.byteCount = scanner.position
                reset()
                return true
            }
        }
    }

    private func needsMore(_ visible: Int) throws(RequestError) -> Bool {
        guard visible < limits.headBytesMax else { throw .headTooLarge }
        return false
    }
}
