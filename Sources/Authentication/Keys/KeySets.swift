/// The current key set of each issuer, published whole to the event loops. An issuer without one is not decidable yet.
package struct KeySets: Sendable {
    /// A handful: one per identity provider, so a scan beats a hash of a 60-byte name.
    private let sets: [KeySet]

    package init(_ sets: [KeySet] = []) { self.sets = sets }

    package subscript(_ issuer: String) -> KeySet? {
        for index in sets.indices where sets[index].issuer.hasSameBytes(as: issuer) { return sets[index] }
        return nil
    }

    package var issuers: [String] { sets.map(\.issuer) }

    /// With this set in the place of its issuer's former one.
    package func replacing(with set: KeySet) -> KeySets {
        KeySets(sets.filter { !$0.issuer.hasSameBytes(as: set.issuer) } + [set])
    }

    /// Without this issuer's set: it grew too old to be trusted.
    package func removing(issuer: String) -> KeySets {
        KeySets(sets.filter { !$0.issuer.hasSameBytes(as: issuer) })
    }
}
