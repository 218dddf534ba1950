/// How many login cookies each key of the ring has opened, so that an operator knows when an old one can go (D14).
struct LoginKeyUses {
    /// One key's count, held by the sessions that it opened: a session found opened already counts without its key being looked for.
    final class Use {
        fileprivate(set) var count: UInt64 = 0

        fileprivate init() {}

        func add() { count &+= 1 }
    }

    private var uses: [String: Use] = [:]

    /// - Parameter ring: keys that are no longer in it are forgotten when there are too many to remember.
    mutating func use(of id: String, in ring: KeyRing) -> Use {
        if let use = uses[id] { return use }
        if uses.count >= 2 * KeyRing.keysMax { uses = uses.filter { ring[$0.key] != nil } }
        let use = Use()
        uses[id] = use
        return use
    }

    var counts: [String: UInt64] { uses.mapValues(\.count) }
}
