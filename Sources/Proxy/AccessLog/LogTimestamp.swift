import GatewayTerms

/// The log's form of a time, `2026-11-24T11:49:33.123Z` (RFC 3339, UTC). Its civil part is kept for the rest of the second,
/// since taking a date apart costs more than all else in a line.
struct LogTimestamp: Sendable {
    private var second: Int64 = .min
    private var civil: [UInt8] = []

    mutating func append(_ time: WallTime, to bytes: inout [UInt8]) {
        let now = time.seconds
        if now != second {
            second = now
            civil = Array(WallTime(seconds: now).description.utf8.dropLast(4))
        }
        bytes.append(contentsOf: civil)
        bytes.appendThreeDigits(Int(time.milliseconds &- now &* 1000))
        bytes.append(UInt8(ascii: "Z"))
    }
}

extension [UInt8] {
    /// A number of 0…999 with leading zeros.
    mutating func appendThreeDigits(_ number: Int) {
        let number = UInt32(truncatingIfNeeded: number)
        append(UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: number / 100 % 10))
        append(UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: number / 10 % 10))
        append(UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: number % 10))
    }
}
