internal import GatewayTerms

/// Reads a field section line by line (RFC 9112 §5), each byte once: it keeps its place when the bytes run out in the
/// middle of a line. Request heads, response heads and trailers share it.
struct FieldLineScanner: Sendable {
    enum Outcome {
        case needsMore
        case line(FieldLine)
        /// The empty line that ends the section; `position` is behind it.
        case end
    }

    /// Longest line, in bytes without its CRLF.
    struct LineLimits: Sendable {
        var field: Int
        var cookie: Int
        var authorization: Int
    }

    /// The next byte to look at.
    private(set) var position = 0
    /// The line that was returned last holds bytes of 0x80 and above.
    private(set) var hasObsoleteText = false

    private let limits: LineLimits
    private let nameBytes: ByteSet
    private var lineStart = 0
    /// Where the colon stands; -1 while the name is being read.
    private var nameEnd = -1
    private var field = FieldName.other

    init(limits: LineLimits, names: FieldNameRule) {
        self.limits = limits
        nameBytes = switch names {
        case .strict: .fieldName
        case .token: .token
        }
    }

    /// Begins a section whose first line starts at `position`.
    mutating func begin(at position: Int) {
        self.position = position
        lineStart = position
        nameEnd = -1
        hasObsoleteText = false
    }

    /// - Parameter visible: bytes from here on are not looked at.
    @inline(__always)
    mutating func next(_ bytes: Span<UInt8>, until visible: Int) throws(FieldFault) -> Outcome {
        if nameEnd < 0 {
            guard position < visible else { return .needsMore }
            if position == lineStart {
                let byte = bytes[position]
                if byte == carriageReturn {
                    guard position &+ 1 < visible else { return .needsMore }
                    guard bytes[position &+ 1] == lineFeed else { throw .bareCarriageReturn }
                    position &+= 2
                    return .end
                }
                if isBlank(byte) { throw .obsoleteFold }
            }
            guard try readName(bytes, until: visible) else { return .needsMore }
        }
        return try readValue(bytes, until: visible)
    }

    @inline(__always)
    private mutating func readName(_ bytes: Span<UInt8>, until visible: Int) throws(FieldFault) -> Bool {
        let longest = lineStart &+ limits.field
        let end = min(visible, longest &+ 1)
        var place = bytes.endOfFieldName(from: position, to: end)
        while place < end, nameBytes.contains(bytes[place]) { place = bytes.endOfFieldName(from: place &+ 1, to: end) }
        position = place
        guard place < end else {
            if place > longest { throw .lineTooLong }
            return false
        }
        guard bytes[place] == colon else { throw FieldFault(inName: bytes[place]) }
        guard place > lineStart else { throw .nameEmpty }
        nameEnd = place
        field = FieldName(bytes.extracting(lineStart..<place))
        hasObsoleteText = false
        position = place &+ 1
        return true
    }

    @inline(__always)
    private mutating func readValue(_ bytes: Span<UInt8>, until visible: Int) throws(FieldFault) -> Outcome {
        let limit = switch field {
        case .cookie: limits.cookie
        case .authorization: limits.authorization
        default: limits.field
        }
        let longest = lineStart &+ limit
        let end = min(visible, longest &+ 1)
        while true {
            position = bytes.endOfFieldText(from: position, to: end)
            guard position < end else {
                if position > longest { throw .lineTooLong }
                return .needsMore
            }
            let byte = bytes[position]
            if byte == carriageReturn {
                guard position &+ 1 < visible else { return .needsMore }
                guard bytes[position &+ 1] == lineFeed else { throw .bareCarriageReturn }
                break
            }
            guard byte == tab || byte >= 0x80 else { throw byte == lineFeed ? .bareLineFeed : .valueControl }
            if byte >= 0x80 { hasObsoleteText = true }
            position &+= 1
        }
        var start = nameEnd &+ 1
        var stop = position
        while start < stop, isBlank(bytes[start]) { start &+= 1 }
        while stop > start, isBlank(bytes[stop &- 1]) { stop &-= 1 }
        let isHopByHop = switch field {
        case .other: false
        default: field.isHopByHop
        }
        let line = FieldLine(
            field: field,
            name: Slice(from: lineStart, to: nameEnd),
            value: Slice(from: start, to: stop),
            isHopByHop: isHopByHop
        )
        position &+= 2
        lineStart = position
        nameEnd = -1
        return .line(line)
    }
}

/// What is wrong with a field line; the parsers say whose fault it is.
enum FieldFault: Error {
    case obsoleteFold, nameEmpty, nameBlank, nameUnderscore, nameInvalid, withoutColon
    case valueControl, bareLineFeed, bareCarriageReturn, lineTooLong

    /// The fault that a byte shows which cannot stand in a name.
    init(inName byte: UInt8) {
        self = switch byte {
        case space, tab: .nameBlank
        case UInt8(ascii: "_"): .nameUnderscore
        case lineFeed: .bareLineFeed
        case carriageReturn: .withoutColon
        default: .nameInvalid
        }
    }
}
