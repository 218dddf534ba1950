/// Lists of names as sentences hold them: sorted, and of bounded length.
enum Words {
    private static let shownMax = 20

    /// `group a`, or `one of the groups a, b`.
    static func anyOf(_ noun: String, _ names: some Collection<String>) -> String {
        names.count == 1 ? "\(noun) \(list(names))" : "one of the \(noun)s \(list(names))"
    }

    /// `scope a`, or `the scopes a, b`.
    static func allOf(_ noun: String, _ names: some Collection<String>) -> String {
        names.count == 1 ? "\(noun) \(list(names))" : "the \(noun)s \(list(names))"
    }

    /// Beyond twenty names, their number and a digest of the rest stand in for it, so that the sentence still means exactly these.
    static func list(_ names: some Collection<String>) -> String {
        let sorted = Set(names).sorted()
        guard sorted.count > shownMax else { return sorted.joined(separator: ", ") }
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for name in sorted.dropFirst(shownMax) { for byte in Array(name.utf8) + [0] { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 } }
        return sorted.prefix(shownMax).joined(separator: ", ") + " and \(sorted.count - shownMax) more (\(String(hash, radix: 16)))"
    }
}
