/// One frame as it stands on the wire (RFC 9113 §4.1), written and read by hand so that tests can say what no library would send.
struct Frame: Equatable, CustomStringConvertible {
    enum Kind: UInt8 {
        case data = 0, headers, priority, resetStream, settings, pushPromise, ping, goAway, windowUpdate, continuation
    }
    struct Flags: OptionSet {
        let rawValue: UInt8
        static let endStream = Flags(rawValue: 1)
        static let acknowledgement = Flags(rawValue: 1)
        static let endHeaders = Flags(rawValue: 4)
        static let padded = Flags(rawValue: 8)
        static let priority = Flags(rawValue: 32)
    }

    var type: UInt8
    var flags: Flags
    var stream: UInt32
    var payload: [UInt8]
    /// Another length than the payload's, for frames that lie.
    var statedCount: Int?

    init(_ kind: Kind, _ flags: Flags = [], stream: UInt32 = 0, _ payload: [UInt8] = []) {
        self.init(type: kind.rawValue, flags, stream: stream, payload)
    }

    init(_ kind: Kind, stream: UInt32 = 0, _ payload: [UInt8]) { self.init(kind, [], stream: stream, payload) }

    init(type: UInt8, _ flags: Flags = [], stream: UInt32 = 0, _ payload: [UInt8] = []) {
        self.type = type
        self.flags = flags
        self.stream = stream
        self.payload = payload
    }

    var kind: Kind? { Kind(rawValue: type) }

    var bytes: [UInt8] {
        let count = statedCount ?? payload.count
        return [UInt8(count >> 16 & 255), UInt8(count >> 8 & 255), UInt8(count & 255), type, flags.rawValue] + Self.number(stream) + payload
    }

    static func number(_ value: UInt32) -> [UInt8] { [24, 16, 8, 0].map { UInt8(value >> $0 & 255) } }

    /// The four bytes at `offset` of the payload.
    func number(at offset: Int = 0) -> UInt32 {
        guard payload.count >= offset + 4 else { return .max }
        return payload[offset..<offset + 4].reduce(0) { $0 << 8 | UInt32($1) }
    }

    var description: String { "\(kind.map { "\($0)" } ?? "type \(type)") flags \(flags.rawValue) stream \(stream) \(payload.prefix(24))" }

    // MARK: What clients send

    static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)

    static func settings(_ entries: [(UInt16, UInt32)] = []) -> Frame {
        Frame(.settings, [], entries.flatMap { [UInt8($0.0 >> 8), UInt8($0.0 & 255)] + number($0.1) })
    }
    static let settingsAcknowledgement = Frame(.settings, .acknowledgement)

    static func headers(_ stream: UInt32, _ fields: [(String, String)], endStream: Bool = true) -> Frame {
        Frame(.headers, endStream ? [.endHeaders, .endStream] : .endHeaders, stream: stream, HeaderBlock.literal(fields))
    }
    static func get(_ stream: UInt32, path: String = "/", _ fields: [(String, String)] = []) -> Frame {
        headers(stream, HeaderBlock.request(path: path) + fields)
    }
    static func post(_ stream: UInt32, _ fields: [(String, String)] = []) -> Frame {
        headers(stream, HeaderBlock.request(method: "POST") + fields, endStream: false)
    }
    static func data(_ stream: UInt32, _ payload: [UInt8], endStream: Bool = false) -> Frame { Frame(.data, endStream ? .endStream : [], stream: stream, payload) }
    static func reset(_ stream: UInt32, code: UInt32 = 8) -> Frame { Frame(.resetStream, stream: stream, number(code)) }
    static func windowUpdate(_ stream: UInt32, _ increment: UInt32) -> Frame { Frame(.windowUpdate, stream: stream, number(increment)) }
    static func ping(_ payload: [UInt8] = Array(repeating: 7, count: 8)) -> Frame { Frame(.ping, payload) }

    /// The whole frames at the beginning of `bytes`.
    static func read(_ bytes: [UInt8]) -> [Frame] {
        var frames: [Frame] = []
        var position = 0
        while position + 9 <= bytes.count {
            let count = Int(bytes[position]) << 16 | Int(bytes[position + 1]) << 8 | Int(bytes[position + 2])
            guard position + 9 + count <= bytes.count else { break }
            let stream = bytes[position + 5..<position + 9].reduce(0) { $0 << 8 | UInt32($1) } & 0x7FFF_FFFF
            frames.append(Frame(
                type: bytes[position + 3], Flags(rawValue: bytes[position + 4]), stream: stream, Array(bytes[position + 9..<position + 9 + count])))
            position += 9 + count
        }
        return frames
    }
}

/// Header blocks (RFC 7541), written without a table so that their bytes say exactly what a test means.
enum HeaderBlock {
    static func request(method: String = "GET", path: String = "/", scheme: String = "https", authority: String = "h") -> [(String, String)] {
        [(":method", method), (":scheme", scheme), (":authority", authority), (":path", path)]
    }

    /// Each field as a literal that is never indexed, with a new name (§6.2.3).
    static func literal(_ fields: [(String, String)]) -> [UInt8] { fields.flatMap { literal(Array($0.0.utf8), Array($0.1.utf8)) } }

    static func literal(_ name: [UInt8], _ value: [UInt8]) -> [UInt8] { [0x10] + text(name) + text(value) }

    /// A literal that enters the dynamic table (§6.2.1).
    static func indexed(_ name: String, _ value: String) -> [UInt8] { [0x40] + text(Array(name.utf8)) + text(Array(value.utf8)) }

    static func text(_ bytes: [UInt8]) -> [UInt8] { integer(bytes.count, prefix: 7, 0) + bytes }

    /// §5.1.
    static func integer(_ value: Int, prefix: Int, _ pattern: UInt8) -> [UInt8] {
        let most = 1 << prefix - 1
        guard value >= most else { return [pattern | UInt8(value)] }
        var bytes = [pattern | UInt8(most)]
        var rest = value - most
        while rest >= 128 {
            bytes.append(UInt8(rest & 127 | 128))
            rest >>= 7
        }
        return bytes + [UInt8(rest)]
    }
}
