package import GatewayTerms

/// The keys that seal and open the browser's cookies (D14): the newest whose `encrypts_after` has passed seals, all open.
/// Immutable; a changed file makes a new ring, which is published to the event loops like a key set. It never prints a key.
package final class KeyRing: Sendable {
    package static let keysMax = 32
    package static let documentBytesMax = 64 * 1024
    /// Between a key's creation and its first use, so that every replica has read the file by then (DESIGN §7).
    package static let settlingSeconds: Int64 = 600

    /// In the file's order.
    package let keys: [LoginKey]

    init(_ keys: [LoginKey]) { self.keys = keys }

    /// The newest key that may seal now. While none may yet, the one that may first: a ring of one fresh key works at once.
    package func sealingKey(at now: WallTime) -> LoginKey? {
        var best: LoginKey?
        for key in keys where key.encryptsAfter <= now {
            if best.map({ Self.isOlder($0, than: key) }) ?? true { best = key }
        }
        if let best { return best }
        var first: LoginKey?
        for key in keys {
            if first.map({ Self.isOlder(key, than: $0) }) ?? true { first = key }
        }
        return first
    }

    package subscript(_ id: String) -> LoginKey? {
        for index in keys.indices where keys[index].id.hasSameBytes(as: id) { return keys[index] }
        return nil
    }

    private static func isOlder(_ left: LoginKey, than right: LoginKey) -> Bool {
        (left.encryptsAfter, left.created, left.id) < (right.encryptsAfter, right.created, right.id)
    }

    /// A ring of one new key that seals at once: the first of an installation.
    package static func fresh(at now: WallTime, random: RandomBytes) -> KeyRing {
        KeyRing([newKey(at: now, encryptsAfter: now, random: random)])
    }

    /// The ring with one more key, and without those that no living login can need.
    /// - Parameters:
    ///   - loginLifetimeSeconds: the longest life of a login (D16): so long after its successor took over, a key may go.
    ///   - settlingSeconds: until the new key seals.
    package func rotated(
        at now: WallTime, loginLifetimeSeconds: Int64, settlingSeconds: Int64 = settlingSeconds, random: RandomBytes
    ) -> KeyRing {
        let ordered = keys.sorted { Self.isOlder($0, than: $1) }
        var kept: [LoginKey] = []
        for (index, key) in ordered.enumerated() {
            if index + 1 < ordered.count, ordered[index + 1].encryptsAfter.advanced(by: loginLifetimeSeconds) <= now { continue }
            kept.append(key)
        }
        let encryptsAfter = keys.isEmpty ? now : now.advanced(by: settlingSeconds)
        kept.append(Self.newKey(at: now, encryptsAfter: encryptsAfter, random: random))
        // More keys than a ring may have: rotated far too often. The oldest go, and logins sealed by them with it.
        return KeyRing(Array(kept.suffix(Self.keysMax)))
    }

    private static func newKey(at now: WallTime, encryptsAfter: WallTime, random: RandomBytes) -> LoginKey {
        let moment = now.civil
        func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        let id = "\(moment.year)\(two(moment.month))\(two(moment.day))-" + String(decoding: Base64URL.encode(random(3).span), as: UTF8.self)
        let whole = WallTime(seconds: now.seconds)
        return LoginKey(id: id, secret: Secret(random(LoginKey.byteCount)), created: whole, encryptsAfter: WallTime(seconds: encryptsAfter.seconds))
    }
}
