internal import Glibc

/// Login sessions that this loop has opened, by the very value of their cookies: two generations, as in `VerifiedTokenCache`. A hit
/// spares base64url, AES-GCM and the reading of the record. It is good for one ring and one stage's rules only, and times, revocation and
/// policy are asked on every hit.
struct OpenedSessions {
    final class Entry {
        let value: [UInt8]
        let session: LoginSession
        let identity: Identity
        let ring: KeyRing
        let rules: LoginRules
        let keyUse: LoginKeyUses.Use

        init(value: [UInt8], session: LoginSession, identity: Identity, ring: KeyRing, rules: LoginRules, keyUse: LoginKeyUses.Use) {
            self.value = value
            self.session = session
            self.identity = identity
            self.ring = ring
            self.rules = rules
            self.keyUse = keyUse
        }
    }

    private let bytesMax: Int
    private var young: [UInt64: Entry] = [:]
    private var old: [UInt64: Entry] = [:]
    private var youngBytes = 0

    /// - Parameter bytesMax: of the values held; what they hold opened takes about as much again.
    init(bytesMax: Int) { self.bytesMax = bytesMax }

    var count: Int { young.count + old.count }

    mutating func entry(_ value: [UInt8], ring: KeyRing, rules: LoginRules) -> Entry? {
        let key = Self.key(value)
        var found = young[key]
        if found == nil, let older = old.removeValue(forKey: key) {
            store(older, key)
            found = older
        }
        guard let found, found.ring === ring, found.rules === rules, Self.areSame(found.value, value) else { return nil }
        return found
    }

    mutating func insert(_ entry: Entry) { store(entry, Self.key(entry.value)) }

    private mutating func store(_ entry: Entry, _ key: UInt64) {
        if youngBytes + entry.value.count > bytesMax / 2 {
            old = young
            young = [:]
            youngBytes = 0
        }
        if let replaced = young.updateValue(entry, forKey: key) { youngBytes -= replaced.value.count }
        youngBytes += entry.value.count
    }

    /// `==` on arrays compares element by element, 1 ns each, which three full cookies would notice.
    private static func areSame(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        guard left.count == right.count else { return false }
        return unsafe memcmp(left, right, left.count) == 0
    }

    /// Of the authentication tag's text, as good as random; an equal key with another value is no hit.
    private static func key(_ value: [UInt8]) -> UInt64 {
        var key: UInt64 = 0
        for byte in value.suffix(10) { key = key << 6 ^ UInt64(byte) }
        return key
    }
}
