internal import GatewayTerms

/// Writes what is sealed into a cookie: fields in a fixed order, texts behind their length, so that a record has one reading.
struct SealedRecordWriter {
    private(set) var bytes: [UInt8]

    /// - Parameter kind: tells one kind of record, and its version, from every other.
    init(kind: UInt8) { bytes = [kind] }

    /// LEB128, unsigned.
    mutating func number(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(truncatingIfNeeded: rest))
    }

    /// Whole seconds; a moment before 1970 counts as 1970.
    mutating func time(_ time: WallTime) { number(UInt64(max(0, time.seconds))) }

    mutating func data(_ data: some Collection<UInt8>) {
        number(UInt64(data.count))
        bytes.append(contentsOf: data)
    }

    mutating func text(_ text: String) { data(text.utf8) }

    /// A flag before it tells an absent text from an empty one.
    mutating func text(optional text: String?) {
        bytes.append(text == nil ? 0 : 1)
        if let text { self.text(text) }
    }

    mutating func texts(_ texts: [String]) {
        number(UInt64(texts.count))
        for text in texts { self.text(text) }
    }

    mutating func flag(_ flag: Bool) { bytes.append(flag ? 1 : 0) }
}

/// Reads it back. What is sealed was ours, yet an older or newer version of ours may have written it: whatever does not fit makes
/// the whole record unreadable.
struct SealedRecordReader {
    struct Misfit: Error {}

    private let bytes: [UInt8]
    private var index = 1

    init(_ bytes: [UInt8], kind: UInt8) throws(Misfit) {
        guard bytes.first == kind else { throw Misfit() }
        self.bytes = bytes
    }

    mutating func number() throws(Misfit) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while shift <= 56 {
            let byte = try next()
            value |= UInt64(byte & 0x7f) << shift
            if byte & 0x80 == 0 { return value }
            shift += 7
        }
        throw Misfit()
    }

    mutating func time() throws(Misfit) -> WallTime {
        let seconds = try number()
        guard seconds <= 253_402_300_799 else { throw Misfit() }
        return WallTime(seconds: Int64(seconds))
    }

    mutating func data() throws(Misfit) -> [UInt8] {
        let count = try number()
        guard count <= UInt64(bytes.count - index) else { throw Misfit() }
        defer { index += Int(count) }
        return Array(bytes[index..<(index + Int(count))])
    }

    mutating func text() throws(Misfit) -> String {
        let data = try data()
        guard let text = String(validating: data, as: UTF8.self) else { throw Misfit() }
        return text
    }

    mutating func optionalText() throws(Misfit) -> String? { try flag() ? try text() : nil }

    mutating func texts() throws(Misfit) -> [String] {
        let count = try number()
        guard count <= UInt64(bytes.count - index) else { throw Misfit() }
        var texts: [String] = []
        texts.reserveCapacity(Int(count))
        for _ in 0..<count { texts.append(try text()) }
        return texts
    }

    mutating func flag() throws(Misfit) -> Bool {
        switch try next() {
        case 0: false
        case 1: true
        default: throw Misfit()
        }
    }

    func end() throws(Misfit) {
        guard index == bytes.count else { throw Misfit() }
    }

    private mutating func next() throws(Misfit) -> UInt8 {
        guard index < bytes.count else { throw Misfit() }
        defer { index += 1 }
        return bytes[index]
    }
}
