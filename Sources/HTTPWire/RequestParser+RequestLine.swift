internal import GatewayTerms

/// The request line (RFC 9112 §3): exactly one space between its three parts.
extension RequestParser {
    /// - Returns: `true` when the line is complete and `position` is behind it.
    mutating func readRequestLine(_ bytes: Span<UInt8>, until visible: Int, into head: inout RequestHead) throws(RequestError) -> Bool {
        if phase == .start {
            head.removeAll()
            guard try skipEmptyLine(bytes, until: visible) else { return false }
            phase = .method
        }
        if phase == .method {
            guard try readMethod(bytes, until: visible, into: &head) else { return false }
            phase = .target
        }
        if phase == .target {
            guard try readTarget(bytes, until: visible, into: &head) else { return false }
            phase = .version
        }
        guard try readVersion(bytes, until: visible, into: &head) else { return false }
        phase = .fields
        return true
    }

    /// One empty line before a request is the trace of an old client (RFC 9112 §2.2); a second one is not.
    private mutating func skipEmptyLine(_ bytes: Span<UInt8>, until visible: Int) throws(RequestError) -> Bool {
        guard visible > 0 else { return false }
        if bytes[0] == carriageReturn {
            guard visible > 1 else { return false }
            guard bytes[1] == lineFeed else { throw .bareCarriageReturn }
            position = 2
        }
        partStart = position
        return true
    }

    @inline(__always)
    private mutating func readMethod(_ bytes: Span<UInt8>, until visible: Int, into head: inout RequestHead) throws(RequestError) -> Bool {
        let longest = partStart &+ RequestLimits.methodBytesMax
        let end = min(visible, longest &+ 1)
        while position < end, ByteSet.token.contains(bytes[position]) { position &+= 1 }
        guard position < end else {
            if position > longest { throw .methodTooLong }
            return false
        }
        guard bytes[position] == space, position > partStart else {
            throw bytes[position] == lineFeed ? .bareLineFeed : .requestLineMalformed
        }
        guard let method = Method(named: bytes.extracting(partStart..<position)) else { throw .methodUnknown }
        switch method {
        case .trace: throw .methodTrace
        case .connect: throw .methodConnect
        case .get, .head, .post, .put, .patch, .delete, .options: head.method = method
        }
        position &+= 1
        partStart = position
        return true
    }

    @inline(__always)
    private mutating func readTarget(_ bytes: Span<UInt8>, until visible: Int, into head: inout RequestHead) throws(RequestError) -> Bool {
        let longest = partStart &+ limits.targetBytesMax
        let end = min(visible, longest &+ 1)
        position = bytes.endOfTargetText(from: position, to: end)
        guard position < end else {
            if position > longest { throw .targetTooLong }
            return false
        }
        switch bytes[position] {
        case space: break
        case lineFeed: throw .bareLineFeed
        case carriageReturn, tab: throw .requestLineMalformed
        default: throw .targetInvalidByte
        }
        guard position > partStart else { throw .requestLineMalformed }
        try head.setTarget(bytes, partStart..<position, facts: &facts)
        position &+= 1
        partStart = position
        return true
    }

    /// `HTTP/1.1` or `HTTP/1.0` and CRLF; ten bytes, so that reading them again when they come in pieces costs nothing.
    @inline(__always)
    private mutating func readVersion(_ bytes: Span<UInt8>, until visible: Int, into head: inout RequestHead) throws(RequestError) -> Bool {
        let major = partStart &+ 5
        let minor = partStart &+ 7
        let end = min(visible, partStart &+ 10)
        if end &- partStart == 10, bytes.spellsExactly("HTTP/1.1\r\n", in: partStart..<end) {
            head.version = .http11
            position = end
            return true
        }
        let prefix: StaticString = "HTTP/"
        for index in partStart..<max(partStart, end) {
            let byte = bytes[index]
            let isRight = switch index &- partStart {
            case 0...4: prefix.withUTF8Buffer { text in unsafe text[index &- partStart] == byte }
            case 5, 7: isDigit(byte)
            case 6: byte == UInt8(ascii: ".")
            case 8: byte == carriageReturn
            default: byte == lineFeed
            }
            guard isRight else {
                if byte == lineFeed { throw .bareLineFeed }
                throw index &- partStart == 9 ? .bareCarriageReturn : .requestLineMalformed
            }
        }
        guard end &- partStart == 10 else { return false }
        guard bytes[major] == UInt8(ascii: "1"), bytes[minor] == UInt8(ascii: "0") else { throw .versionUnsupported }
        head.version = .http10
        position = end
        return true
    }
}

extension RequestHead {
    /// Takes a target apart into path, query and authority (RFC 9112 §3.2). It holds visible ASCII only.
    fileprivate mutating func setTarget(_ bytes: Span<UInt8>, _ range: Range<Int>, facts: inout RequestFacts) throws(RequestError) {
        let start = range.lowerBound
        let end = range.upperBound
        target = Slice(from: start, to: end)
        guard bytes.firstPosition(of: UInt8(ascii: "#"), from: start, to: end) == end else { throw .targetFragment }
        let questionMark = bytes.firstPosition(of: UInt8(ascii: "?"), from: start, to: end)
        query = questionMark < end ? Slice(from: questionMark &+ 1, to: end) : nil
        if bytes[start] == UInt8(ascii: "/") {
            path = Slice(from: start, to: questionMark)
            return
        }
        if bytes[start] == UInt8(ascii: "*"), end &- start == 1, method == .options {
            path = target
            isAsteriskForm = true
            return
        }
        // Absolute-form: its authority must be what Host says, see `RequestFacts.conclude`.
        let authorityStart: Int
        if end &- start >= 7, bytes.spells("http://", in: start..<start &+ 7) {
            authorityStart = start &+ 7
        } else if end &- start >= 8, bytes.spells("https://", in: start..<start &+ 8) {
            authorityStart = start &+ 8
        } else {
            throw .targetForm
        }
        let slash = bytes.firstPosition(of: UInt8(ascii: "/"), from: authorityStart, to: questionMark)
        guard bytes.firstPosition(of: UInt8(ascii: "@"), from: authorityStart, to: slash) == slash else { throw .targetUserinfo }
        guard slash > authorityStart else { throw .targetForm }
        facts.targetAuthority = Slice(from: authorityStart, to: slash)
        if slash < questionMark {
            path = Slice(from: slash, to: questionMark)
        } else {
            // An empty path means `/` (RFC 9110 §4.2.3), and the byte before the authority is one.
            path = Slice(from: authorityStart &- 1, to: authorityStart)
            isAsteriskForm = method == .options && query == nil
        }
    }
}

extension Method {
    /// As `init(_:)`, but compares with one candidate only.
    @inline(__always)
    fileprivate init?(named bytes: Span<UInt8>) {
        let candidate: Method
        switch (bytes.count, bytes[0]) {
        case (3, UInt8(ascii: "G")): candidate = .get
        case (3, UInt8(ascii: "P")): candidate = .put
        case (4, UInt8(ascii: "P")): candidate = .post
        case (4, UInt8(ascii: "H")): candidate = .head
        case (5, UInt8(ascii: "P")): candidate = .patch
        case (5, UInt8(ascii: "T")): candidate = .trace
        case (6, UInt8(ascii: "D")): candidate = .delete
        case (7, UInt8(ascii: "O")): candidate = .options
        case (7, UInt8(ascii: "C")): candidate = .connect
        default: return nil
        }
        guard candidate.name.spells(bytes) else { return nil }
        self = candidate
    }
}
