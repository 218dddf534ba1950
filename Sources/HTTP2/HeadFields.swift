/// The fields of one head or trailer section in order, pseudo-fields among them: one buffer and places in it.
package struct HeadFields: Sendable, Equatable {
    /// Where one field stands in ``bytes``.
    package struct Line: Sendable, Equatable {
        package var nameStart: Int32
        package var nameCount: Int32
        package var valueStart: Int32
        package var valueCount: Int32

        package var name: Range<Int> { Int(nameStart)..<Int(nameStart) + Int(nameCount) }
        package var value: Range<Int> { Int(valueStart)..<Int(valueStart) + Int(valueCount) }
    }

    /// Why a head that came in is not to be served.
    package enum Refusal: Sendable, Equatable {
        /// Over `fieldsMax`.
        case tooManyFields
        /// Over `headBytesMax`.
        case tooLarge
        /// A name with bytes that cannot stand there, capitals among them (RFC 9113 §8.2.1).
        case nameInvalid
        /// A value with CR, LF, NUL or other bytes that cannot stand there, or with blanks around it (RFC 9113 §8.2.1).
        case valueInvalid
    }

    package private(set) var bytes: [UInt8] = []
    package private(set) var lines: [Line] = []
    package internal(set) var refusal: Refusal?

    package init() {}

    package mutating func removeAll() {
        bytes.removeAll(keepingCapacity: true)
        lines.removeAll(keepingCapacity: true)
        refusal = nil
    }

    /// Begins a response's head.
    /// - Parameter status: 100…999; another one, which would be a fault of ours, is written as 500.
    package mutating func begin(status: Int) {
        removeAll()
        let status = (100...999).contains(status) ? status : 500
        let start = place
        append(text: ":status")
        bytes.append(UInt8(ascii: "0") + UInt8(status / 100))
        bytes.append(UInt8(ascii: "0") + UInt8(status / 10 % 10))
        bytes.append(UInt8(ascii: "0") + UInt8(status % 10))
        lines.append(Line(nameStart: start, nameCount: 7, valueStart: start + 7, valueCount: 3))
    }

    /// Adds a field; letters of the name become small ones (RFC 9113 §8.2.1).
    package mutating func append(name: Span<UInt8>, value: Span<UInt8>) {
        guard hasRoom(for: name.count, value.count) else { return }
        let start = place
        for index in name.indices {
            let byte = name[index]
            bytes.append(byte &- 65 < 26 ? byte | 0x20 : byte)
        }
        unsafe value.withUnsafeBufferPointer { unsafe bytes.append(contentsOf: $0) }
        lines.append(Line(nameStart: start, nameCount: Int32(name.count), valueStart: start + Int32(name.count), valueCount: Int32(value.count)))
    }

    /// As it came from the wire.
    mutating func append(_ name: UnsafeBufferPointer<UInt8>, _ value: UnsafeBufferPointer<UInt8>) {
        guard hasRoom(for: name.count, value.count) else { return }
        let start = place
        unsafe bytes.append(contentsOf: name)
        unsafe bytes.append(contentsOf: value)
        lines.append(Line(nameStart: start, nameCount: Int32(name.count), valueStart: start + Int32(name.count), valueCount: Int32(value.count)))
    }

    mutating func append(cookie: [UInt8]) {
        guard hasRoom(for: 6, cookie.count) else { return }
        let start = place
        append(text: "cookie")
        bytes.append(contentsOf: cookie)
        lines.append(Line(nameStart: start, nameCount: 6, valueStart: start + 6, valueCount: Int32(cookie.count)))
    }

    /// For tests and messages: the value of the first such field.
    package func value(of name: String) -> String? {
        for line in lines where String(decoding: bytes[line.name], as: UTF8.self) == name { return String(decoding: bytes[line.value], as: UTF8.self) }
        return nil
    }

    private var place: Int32 { Int32(truncatingIfNeeded: bytes.count) }

    /// Places are kept in 32 bits; limits keep every head far below that.
    private func hasRoom(for name: Int, _ value: Int) -> Bool {
        name <= Self.bytesCeiling && value <= Self.bytesCeiling && bytes.count + name + value <= Self.bytesCeiling
    }
    private static let bytesCeiling = 16 * 1024 * 1024

    private mutating func append(text: StaticString) {
        text.withUTF8Buffer { unsafe bytes.append(contentsOf: $0) }
    }
}
