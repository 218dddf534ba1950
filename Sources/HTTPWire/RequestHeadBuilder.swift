internal import GatewayTerms

/// Makes the `RequestHead` of an HTTP/2 request (RFC 9113 §8.3.1) out of its fields, by the rules that `RequestParser` holds HTTP/1.1 to: what
/// goes on to an HTTP/1.1 upstream must not mean more there than it meant here.
///
/// The fields' bytes stand in one buffer, which the head's places point into. Call `begin`, `field` for each field in order, `finish`.
package struct RequestHeadBuilder: Sendable {
    private let limits: RequestLimits
    private var facts = RequestFacts()
    private var method: Slice?
    private var scheme: Slice?
    private var authority: Slice?
    private var path: Slice?
    private var hasFields = false
    private var hasHost = false

    package init(limits: RequestLimits) { self.limits = limits }

    package mutating func begin(_ head: inout RequestHead) {
        head.removeAll()
        facts = RequestFacts()
        method = nil
        scheme = nil
        authority = nil
        path = nil
        hasFields = false
        hasHost = false
    }

    /// Takes in the next field.
    package mutating func field(name: Range<Int>, value: Range<Int>, of bytes: Span<UInt8>, into head: inout RequestHead) throws(RequestError) {
        // As long as the line would be in HTTP/1.1, so that both protocols have the same limits.
        let name = Slice(from: name.lowerBound, to: name.upperBound)
        let value = Slice(from: value.lowerBound, to: value.upperBound)
        guard !name.isEmpty else { throw .fieldNameEmpty }
        if bytes[Int(name.start)] == colon { return try pseudoField(name, value, of: bytes, into: &head) }
        hasFields = true
        guard head.fields.count < limits.fieldsMax else { throw .tooManyFields }
        try checkName(name, of: bytes)
        let field = FieldName(bytes.extracting(name.range))
        let limit = switch field {
        case .cookie: limits.cookieBytesMax
        case .authorization: limits.authorizationBytesMax
        default: limits.fieldLineBytesMax
        }
        guard name.range.count + value.range.count + 2 <= limit else { throw .fieldTooLarge }
        let hasObsoleteText = try checkValue(value, of: bytes)
        let line = FieldLine(field: field, name: name, value: value, isHopByHop: field.isHopByHop)
        switch field {
        case .other: break
        case .connection, .transferEncoding, .upgrade, .keepAlive, .proxyConnection, .http2Settings:
            throw .connectionSpecificField
        case .te:
            guard bytes.spells("trailers", in: value.range) else { throw .connectionSpecificField }
        case .host:
            hasHost = true
            try facts.note(line, of: bytes, hasObsoleteText: hasObsoleteText, version: .http11)
        default:
            try facts.note(line, of: bytes, hasObsoleteText: hasObsoleteText, version: .http11)
        }
        head.fields.append(line)
    }

    /// Judges the head as a whole.
    /// - Parameters:
    ///   - endsStream: no body follows.
    ///   - isSecure: the connection is one over TLS; the scheme must say the same.
    package mutating func finish(_ bytes: Span<UInt8>, endsStream: Bool, isSecure: Bool, into head: inout RequestHead) throws(RequestError) {
        guard let method else { throw .pseudoFieldInvalid }
        guard let named = Method(bytes.extracting(method.range)) else {
            guard method.range.count <= RequestLimits.methodBytesMax else { throw .methodTooLong }
            throw .methodUnknown
        }
        switch named {
        case .connect: throw .methodConnect
        case .trace: throw .methodTrace
        case .get, .head, .post, .put, .patch, .delete, .options: head.method = named
        }
        guard let scheme, let path else { throw .pseudoFieldInvalid }
        guard isSecure ? bytes.spells("https", in: scheme.range) : bytes.spells("http", in: scheme.range) else { throw .schemeInvalid }
        try setPath(path, of: bytes, into: &head)
        if let authority {
            guard isAuthority(bytes, authority.range) else { throw .hostInvalid }
            if hasHost {
                facts.targetAuthority = authority
            } else {
                let line = FieldLine(field: .host, name: authority, value: authority, isHopByHop: false)
                try facts.note(line, of: bytes, hasObsoleteText: false, version: .http11)
            }
        }
        head.version = .http11
        try facts.conclude(bytes, into: &head, isOpenEnded: !endsStream)
        head.version = .http2
        if endsStream {
            guard head.framing == .none || head.framing == .length(0) else { throw .contentLengthInvalid }
        }
        head.byteCount = bytes.count
    }

    /// The trailer lines of an HTTP/1.1 message with the same trailers, each with its CRLF.
    package static func trailerLines(of lines: [(name: Range<Int>, value: Range<Int>)], in bytes: Span<UInt8>) throws(BodyError) -> [UInt8] {
        guard lines.count <= BodyDecoder.trailersMax.lines else { throw .trailersTooLarge }
        var text: [UInt8] = []
        for (name, value) in lines {
            guard text.count + name.count + value.count + 4 < BodyDecoder.trailersMax.bytes else { throw .trailersTooLarge }
            let builder = RequestHeadBuilder(limits: RequestLimits())
            let nameSlice = Slice(from: name.lowerBound, to: name.upperBound)
            do throws(RequestError) {
                guard !name.isEmpty else { throw .fieldNameEmpty }
                try builder.checkName(nameSlice, of: bytes)
                _ = try builder.checkValue(Slice(from: value.lowerBound, to: value.upperBound), of: bytes)
            } catch { throw .trailerInvalid }
            guard FieldName(bytes.extracting(name)).isTrailer else { throw .trailerForbidden }
            for index in name { text.append(bytes[index]) }
            text.append(colon)
            text.append(space)
            for index in value { text.append(bytes[index]) }
            text.append(carriageReturn)
            text.append(lineFeed)
        }
        return text
    }

    private mutating func pseudoField(_ name: Slice, _ value: Slice, of bytes: Span<UInt8>, into head: inout RequestHead) throws(RequestError) {
        guard !hasFields else { throw .pseudoFieldInvalid }
        if bytes.spellsExactly(":method", in: name.range) {
            guard method == nil else { throw .pseudoFieldInvalid }
            for index in value.range where !ByteSet.token.contains(bytes[index]) { throw .requestLineMalformed }
            guard !value.isEmpty else { throw .requestLineMalformed }
            method = value
            // Known from here on, so that a refusal of what follows is told in the form that the method asks for.
            if bytes.spellsExactly("HEAD", in: value.range) { head.method = .head }
        } else if bytes.spellsExactly(":scheme", in: name.range) {
            guard scheme == nil else { throw .pseudoFieldInvalid }
            scheme = value
        } else if bytes.spellsExactly(":authority", in: name.range) {
            guard authority == nil else { throw .pseudoFieldInvalid }
            authority = value
        } else if bytes.spellsExactly(":path", in: name.range) {
            guard path == nil else { throw .pseudoFieldInvalid }
            path = value
        } else {
            throw .pseudoFieldInvalid
        }
    }

    /// Begins with `/`, or is `*` for OPTIONS; nothing else is a path here (RFC 9113 §8.3.1, CVE-2026-33186).
    private func setPath(_ value: Slice, of bytes: Span<UInt8>, into head: inout RequestHead) throws(RequestError) {
        let range = value.range
        guard range.count <= limits.targetBytesMax else { throw .targetTooLong }
        guard !range.isEmpty else { throw .targetForm }
        guard bytes.endOfTargetText(from: range.lowerBound, to: range.upperBound) == range.upperBound else { throw .targetInvalidByte }
        guard bytes.firstPosition(of: UInt8(ascii: "#"), from: range.lowerBound, to: range.upperBound) == range.upperBound else { throw .targetFragment }
        head.target = value
        if bytes[range.lowerBound] == UInt8(ascii: "*"), range.count == 1, head.method == .options {
            head.path = value
            head.isAsteriskForm = true
            return
        }
        guard bytes[range.lowerBound] == UInt8(ascii: "/") else { throw .targetForm }
        let questionMark = bytes.firstPosition(of: UInt8(ascii: "?"), from: range.lowerBound, to: range.upperBound)
        head.query = questionMark < range.upperBound ? Slice(from: questionMark + 1, to: range.upperBound) : nil
        head.path = Slice(from: range.lowerBound, to: questionMark)
    }

    /// Small letters, digits and hyphens (RFC 9113 §8.2.1, B10).
    private func checkName(_ name: Slice, of bytes: Span<UInt8>) throws(RequestError) {
        let range = name.range
        let end = bytes.endOfFieldName(from: range.lowerBound, to: range.upperBound)
        guard end == range.upperBound else { throw RequestError(FieldFault(inName: bytes[end])) }
        for index in range where bytes[index] &- 65 < 26 { throw .fieldNameInvalid }
    }

    /// - Returns: `true` when the value holds bytes of 0x80 and above.
    private func checkValue(_ value: Slice, of bytes: Span<UInt8>) throws(RequestError) -> Bool {
        let range = value.range
        guard !range.isEmpty else { return false }
        guard !isBlank(bytes[range.lowerBound]), !isBlank(bytes[range.upperBound - 1]) else { throw .fieldValueBlank }
        var hasObsoleteText = false
        var position = bytes.endOfFieldText(from: range.lowerBound, to: range.upperBound)
        while position < range.upperBound {
            let byte = bytes[position]
            guard byte == tab || byte >= 0x80 else { throw .fieldValueControl }
            if byte >= 0x80 { hasObsoleteText = true }
            position = bytes.endOfFieldText(from: position + 1, to: range.upperBound)
        }
        return hasObsoleteText
    }
}
