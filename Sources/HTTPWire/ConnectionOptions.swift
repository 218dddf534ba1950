internal import GatewayTerms

/// What all `Connection` fields of one head say together (RFC 9110 §7.6.1).
struct ConnectionOptions {
    enum Fault: Error {
        /// Not a list of tokens, or too many of them.
        case invalid
        /// Names a field that must arrive.
        case namesProtected
    }

    private(set) var close = false
    private(set) var upgrade = false
    private var count = 0

    /// Reads one `Connection` value and marks the field lines that it names as hop-by-hop.
    /// - Parameter toleratesProtected: leaves a protected field alone instead of refusing the head.
    mutating func read(_ value: Slice, of bytes: Span<UInt8>, marking fields: inout [FieldLine], countMax: Int,
                       toleratesProtected: Bool) throws(Fault) {
        var elements = ListElements(value)
        while let option = elements.next(bytes) {
            if option.isEmpty { continue }
            count += 1
            guard count <= countMax else { throw .invalid }
            for index in option where !ByteSet.token.contains(bytes[index]) { throw .invalid }
            if bytes.spells("close", in: option) {
                close = true
            } else if bytes.spells("keep-alive", in: option) {
                continue
            } else if bytes.spells("upgrade", in: option) {
                upgrade = true
            } else {
                let named = FieldName(bytes.extracting(option))
                guard !named.isProtected else {
                    if toleratesProtected { continue }
                    throw .namesProtected
                }
                Self.mark(named, option, of: bytes, in: &fields)
            }
        }
    }

    private static func mark(_ named: FieldName, _ option: Range<Int>, of bytes: Span<UInt8>, in fields: inout [FieldLine]) {
        for index in fields.indices where fields[index].field == named {
            if named != .other || bytes.equalsIgnoringCase(fields[index].name.range, option) { fields[index].isHopByHop = true }
        }
    }
}

/// The elements of a comma-separated list without the blanks around them, empty ones included (RFC 9110 §5.6.1).
struct ListElements {
    private var position: Int
    private let end: Int

    init(_ value: Slice) {
        position = value.range.lowerBound
        end = value.range.upperBound
    }

    mutating func next(_ bytes: Span<UInt8>) -> Range<Int>? {
        guard position <= end else { return nil }
        let stop = bytes.firstPosition(of: comma, from: position, to: end)
        var first = position
        var last = stop
        while first < last, isBlank(bytes[first]) { first += 1 }
        while last > first, isBlank(bytes[last - 1]) { last -= 1 }
        position = stop + 1
        return first..<last
    }
}

/// What an `Upgrade` value asks for (RFC 9110 §7.8).
enum UpgradeRequest {
    case invalid
    /// HTTP/2 in clear text among others: ignored, since h2c after an upgrade passes every check that comes later.
    case http
    case otherProtocol

    init(_ value: Slice, of bytes: Span<UInt8>) {
        var found = UpgradeRequest.invalid
        var elements = ListElements(value)
        while let element = elements.next(bytes) {
            if element.isEmpty { continue }
            let slash = bytes.firstPosition(of: UInt8(ascii: "/"), from: element.lowerBound, to: element.upperBound)
            for index in element where index != slash && !ByteSet.token.contains(bytes[index]) {
                self = .invalid
                return
            }
            guard slash > element.lowerBound, slash != element.upperBound - 1 else {
                self = .invalid
                return
            }
            let name = element.lowerBound..<slash
            let isHTTP = bytes.spells("h2", in: name) || bytes.spells("h2c", in: name) || bytes.spells("http", in: name)
                || bytes.spells("tls", in: name)
            if case .http = found { continue }
            found = isHTTP ? .http : .otherProtocol
        }
        self = found
    }
}
