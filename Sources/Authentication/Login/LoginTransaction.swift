internal import GatewayTerms

/// One login under way (D3): what the callback needs, sealed into a cookie of its own so that tabs do not disturb one another.
struct LoginTransaction: Sendable, Equatable {
    /// 16 random bytes: the `state` of the authorization request.
    let id: [UInt8]
    let nonce: [UInt8]
    /// PKCE's code verifier as sent (RFC 7636 §4.1): 43 letters.
    let verifier: [UInt8]
    let target: ReturnTarget
    let startedAt: WallTime

    static let lifetimeSeconds: Int64 = 600
    /// Under way in one browser at a time; a further one ends the oldest.
    static let countMax = 5
    /// Of all their cookies, names included, so that they pass beside a login session in one Cookie field.
    static let bytesMax = 11 * 1024
    private static let kind: UInt8 = 0x74

    init(id: [UInt8], nonce: [UInt8], verifier: [UInt8], target: ReturnTarget, startedAt: WallTime) {
        self.id = id
        self.nonce = nonce
        self.verifier = verifier
        self.target = target
        self.startedAt = startedAt
    }

    static func begin(target: ReturnTarget, at now: WallTime, random: RandomBytes) -> LoginTransaction {
        LoginTransaction(
            id: random(16), nonce: Base64URL.encode(random(16).span), verifier: Base64URL.encode(random(32).span), target: target,
            startedAt: WallTime(seconds: now.seconds))
    }

    var state: String { String(decoding: Base64URL.encode(id.span), as: UTF8.self) }

    var cookieName: String { Self.cookieName(id) }

    static func cookieName(_ id: [UInt8]) -> String {
        let digits = Array("0123456789abcdef".utf8)
        var name = Array(LoginCookieName.transactionPrefix.utf8)
        for byte in id.prefix(4) { name += [digits[Int(byte >> 4)], digits[Int(byte & 15)]] }
        return String(decoding: name, as: UTF8.self)
    }

    /// The 16 bytes of a `state`; nil where it is none of ours.
    static func id(state: [UInt8]) -> [UInt8]? {
        guard state.count == 22, let id = Base64URL.decode(state.span), id.count == 16 else { return nil }
        return id
    }

    func isExpired(at now: WallTime) -> Bool { now >= startedAt.advanced(by: Self.lifetimeSeconds) }

    var record: [UInt8] {
        var writer = SealedRecordWriter(kind: Self.kind)
        writer.data(id)
        writer.data(nonce)
        writer.data(verifier)
        writer.text(target.text)
        writer.time(startedAt)
        return writer.bytes
    }

    init?(record: [UInt8]) {
        do throws(SealedRecordReader.Misfit) {
            var reader = try SealedRecordReader(record, kind: Self.kind)
            id = try reader.data()
            nonce = try reader.data()
            verifier = try reader.data()
            target = ReturnTarget(try reader.text())
            startedAt = try reader.time()
            try reader.end()
        } catch {
            return nil
        }
        guard id.count == 16 else { return nil }
    }
}

/// Logins that this browser completed within the last minute, and what became of their cookies: what the loop guard counts (D15). It
/// outlives the transactions, which a callback deletes; many tabs that start at once are no loop, since no login is completed between.
struct RecentLogins: Sendable, Equatable {
    /// Starts since the first of these logins was completed, each of them although a login had just been completed.
    var starts: UInt64
    let since: WallTime
    /// Of the last one.
    var completedAt: WallTime
    /// Its cookies: parts and bytes.
    var parts: UInt64
    var bytes: UInt64
    /// When the provider says that its tokens were issued and end.
    var issuedAt: WallTime
    var expiresAt: WallTime

    static let windowSeconds: Int64 = 60
    static let startsMax: UInt64 = 4
    private static let kind: UInt8 = 0x72

    init(starts: UInt64, since: WallTime, completedAt: WallTime, parts: UInt64, bytes: UInt64, issuedAt: WallTime, expiresAt: WallTime) {
        (self.starts, self.since, self.completedAt, self.parts, self.bytes) = (starts, since, completedAt, parts, bytes)
        (self.issuedAt, self.expiresAt) = (issuedAt, expiresAt)
    }

    var record: [UInt8] {
        var writer = SealedRecordWriter(kind: Self.kind)
        writer.number(starts)
        writer.time(since)
        writer.time(completedAt)
        writer.number(parts)
        writer.number(bytes)
        writer.time(issuedAt)
        writer.time(expiresAt)
        return writer.bytes
    }

    init?(record: [UInt8]) {
        do throws(SealedRecordReader.Misfit) {
            var reader = try SealedRecordReader(record, kind: Self.kind)
            starts = try reader.number()
            since = try reader.time()
            completedAt = try reader.time()
            parts = try reader.number()
            bytes = try reader.number()
            issuedAt = try reader.time()
            expiresAt = try reader.time()
            try reader.end()
        } catch {
            return nil
        }
    }
}
