internal import GatewayTerms

/// Our cookies in a request's Cookie field (RFC 6265 §5.4), as they came, nothing of them verified.
package struct LoginCookies: Sendable, CustomReflectable {
    /// Cookies of a request, ours and others; with more, none is believed.
    package static let countMax = 64

    package struct Transaction: Sendable {
        package let name: String
        let value: [UInt8]
    }

    /// Parts of the login session by their place; nil where one is not there. A part that came twice is not there.
    private(set) var sessionParts: [[UInt8]?] = [nil, nil, nil]
    package private(set) var transactions: [Transaction] = []
    /// Their names, the first `countMax` of them also where there are too many cookies: what an answer can clear.
    private(set) var transactionNames: [String] = []
    private(set) var recent: [UInt8]?
    private(set) var signedOut: [UInt8]?
    /// More than `countMax`: an answer with 431 names it, since a login would not be found again either.
    package private(set) var hasTooMany = false
    /// Some cookie of the field is ours, so that the field must not go to an upstream as it is.
    package private(set) var hasOwn = false
    /// The names of the session's parts that came, for what has to be cleared.
    private(set) var sessionPartsSent: [Int] = []

    package static let none = LoginCookies(nil)

    /// - Parameter field: the value of the Cookie field; of several fields, their values joined by `; ` (RFC 9113 §8.2.3).
    package init(_ field: Span<UInt8>?) {
        guard let field else { return }
        var count = 0
        var doubled: Set<Int> = []
        var start = 0
        while start < field.count {
            let pair = CookiePair(field, from: start)
            start = pair.end + 1
            guard !pair.all.isEmpty else { continue }
            count += 1
            guard Self.isOwn(field.extracting(pair.name)) else { continue }
            hasOwn = true
            let name = String(copying: field.extracting(pair.name))
            if name.hasPrefix(LoginCookieName.transactionPrefix), transactionNames.count < Self.countMax, !transactionNames.contains(name) {
                transactionNames.append(name)
            }
            guard count <= Self.countMax else { continue }
            let value = Array(copying: field.extracting(pair.value))
            if name.hasPrefix(LoginCookieName.transactionPrefix) {
                transactions.append(Transaction(name: name, value: value))
            } else if name.hasSameBytes(as: LoginCookieName.recent) {
                recent = value
            } else if name.hasSameBytes(as: LoginCookieName.signedOut) {
                signedOut = value
            } else if let index = (0..<LoginCookieName.sessionPartsMax).first(where: { LoginCookieName.sessionPart($0).hasSameBytes(as: name) }) {
                if sessionPartsSent.contains(index) { doubled.insert(index) } else { sessionPartsSent.append(index) }
                sessionParts[index] = value
            }
        }
        for index in doubled { sessionParts[index] = nil }
        if count > Self.countMax {
            hasTooMany = true
            sessionParts = [nil, nil, nil]
            transactions = []
            recent = nil
        }
    }

    /// The parts of the login session, put together; nil where the first is missing or says another number of parts than there are.
    var sessionValue: [UInt8]? {
        guard let first = sessionParts[0] else { return nil }
        guard let count = CookieSealer.declaredCount(first.span), count > 1 else { return first }
        guard count <= LoginCookieName.sessionPartsMax else { return nil }
        var value = first
        for index in 1..<count {
            guard let part = sessionParts[index] else { return nil }
            value += part
        }
        return value
    }

    package var hasSession: Bool { sessionParts[0] != nil }

    package enum Forwarded: Sendable, Equatable {
        /// Nothing in it is ours: forward the field as it came.
        case unchanged
        /// Forward this value instead.
        case replaced([UInt8])
        /// All of it was ours: forward no Cookie field.
        case nothing
    }

    /// What an upstream may see of the field (D17).
    package static func forwarded(_ field: Span<UInt8>) -> Forwarded {
        var kept: [UInt8] = []
        var hasOwn = false
        var start = 0
        while start < field.count {
            let pair = CookiePair(field, from: start)
            start = pair.end + 1
            if isOwn(field.extracting(pair.name)) {
                hasOwn = true
                continue
            }
            guard !pair.all.isEmpty else { continue }
            if !kept.isEmpty { kept += [UInt8(ascii: ";"), UInt8(ascii: " ")] }
            unsafe field.extracting(pair.all).withUnsafeBufferPointer { unsafe kept.append(contentsOf: $0) }
        }
        if !hasOwn { return .unchanged }
        return kept.isEmpty ? .nothing : .replaced(kept)
    }

    private static func isOwn(_ name: Span<UInt8>) -> Bool {
        let family = LoginCookieName.family.utf8Span.span
        guard name.count >= family.count else { return false }
        for index in family.indices where lowered(name[index]) != lowered(family[index]) { return false }
        return true
    }

    private static func lowered(_ byte: UInt8) -> UInt8 { byte >= 65 && byte <= 90 ? byte | 0x20 : byte }

    package var customMirror: Mirror { Mirror(self, children: [:]) }
}

/// One pair of a Cookie field: everything between two semicolons, without the white space around.
private struct CookiePair {
    let all: Range<Int>
    let name: Range<Int>
    let value: Range<Int>
    /// Where its semicolon stands, or the field ends.
    let end: Int

    init(_ field: Span<UInt8>, from start: Int) {
        var end = start
        var equals = -1
        while end < field.count, field[end] != UInt8(ascii: ";") {
            if equals < 0, field[end] == UInt8(ascii: "=") { equals = end }
            end += 1
        }
        self.end = end
        all = Self.trimmed(field, start..<end)
        // A pair without `=` is all value to a browser and all name to some servers; ours always have one, yet must not slip by.
        name = Self.trimmed(field, start..<(equals < 0 ? end : equals))
        value = equals < 0 ? end..<end : Self.trimmed(field, (equals + 1)..<end)
    }

    private static func trimmed(_ field: Span<UInt8>, _ range: Range<Int>) -> Range<Int> {
        var (start, end) = (range.lowerBound, range.upperBound)
        while start < end, field[start] == 0x20 || field[start] == 0x09 { start += 1 }
        while end > start, field[end - 1] == 0x20 || field[end - 1] == 0x09 { end -= 1 }
        return start..<end
    }
}

extension [UInt8] {
    init(copying bytes: Span<UInt8>) {
        self = unsafe bytes.withUnsafeBufferPointer { unsafe Array($0) }
    }
}
