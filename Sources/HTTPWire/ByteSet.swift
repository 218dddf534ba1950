/// A set of ASCII bytes in two machine words: a test is a shift and a mask, without a table in memory.
struct ByteSet: Sendable {
    private var low: UInt64 = 0
    private var high: UInt64 = 0

    init(_ members: StaticString) {
        members.withUTF8Buffer { text in
            for index in 0..<text.count {
                let byte = unsafe text[index]
                if byte < 64 { low |= 1 << UInt64(byte) } else if byte < 128 { high |= 1 << UInt64(byte - 64) }
            }
        }
    }

    @inline(__always)
    func contains(_ byte: UInt8) -> Bool {
        let word = byte < 64 ? low : high
        return byte < 128 && word &>> UInt64(byte) & 1 == 1
    }

    /// Names that every program reads alike (B10).
    static let fieldName = ByteSet("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-")
    /// RFC 9110 §5.6.2.
    static let token = ByteSet("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-.^_`|~")
}

let carriageReturn = UInt8(ascii: "\r")
let lineFeed = UInt8(ascii: "\n")
let space = UInt8(ascii: " ")
let tab = UInt8(ascii: "\t")
let colon = UInt8(ascii: ":")
let comma = UInt8(ascii: ",")

/// The blanks that may surround a field value (OWS, RFC 9110 §5.6.3).
@inline(__always)
func isBlank(_ byte: UInt8) -> Bool { byte == space || byte == tab }

@inline(__always)
func isDigit(_ byte: UInt8) -> Bool { byte &- 48 < 10 }
