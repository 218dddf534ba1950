/// How far two words are apart: insertions, deletions, replacements and swaps of neighbours (optimal string alignment).
enum EditDistance {
    static func between(_ left: String, _ right: String) -> Int {
        let first = Array(left.utf8.prefix(64)), second = Array(right.utf8.prefix(64))
        if first.isEmpty || second.isEmpty { return max(first.count, second.count) }
        var beforeLast = [Int](repeating: 0, count: second.count + 1)
        var last = Array(0...second.count)
        for row in 1...first.count {
            var current = [row] + [Int](repeating: 0, count: second.count)
            for column in 1...second.count {
                let cost = first[row - 1] == second[column - 1] ? 0 : 1
                current[column] = min(last[column] + 1, current[column - 1] + 1, last[column - 1] + cost)
                if row > 1, column > 1, first[row - 1] == second[column - 2], first[row - 2] == second[column - 1] {
                    current[column] = min(current[column], beforeLast[column - 2] + 1)
                }
            }
            (beforeLast, last) = (last, current)
        }
        return last[second.count]
    }

    /// The word of the list that was probably meant: the nearest, if it is near enough. `-` and case count as slips of spelling.
    static func suggestion(for word: String, among words: some Sequence<String>) -> String? {
        let plain = word.lowercased().replacing("-", with: "_")
        // `1.1` is no slip of the pen for `1.2`.
        guard plain.utf8.contains(where: { (97...122).contains($0) }) else { return nil }
        if plain.utf8.count >= 3, let longer = words.filter({ $0.hasPrefix(plain) }).min() { return longer }
        let allowance = max(1, min(word.utf8.count, 24) / 3)
        return words
            .map { (word: $0, distance: between(plain, $0.lowercased().replacing("-", with: "_"))) }
            .filter { $0.distance <= allowance }
            .min { ($0.distance, $0.word) < ($1.distance, $1.word) }?
            .word
    }
}

extension String {
    /// Replaces each occurrence of one ASCII character.
    fileprivate func replacing(_ character: Character, with other: Character) -> String {
        String(map { $0 == character ? other : $0 })
    }
}
