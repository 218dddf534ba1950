import GatewayConfiguration

/// A configuration file whose settings carry comments from the setting table: lines that begin with `##`.
struct CommentedFile {
    /// What the file should be: its own text, with the table's comments above the first mention of each setting.
    private(set) var text = ""
    /// The rows that the file mentions, live or commented out.
    private(set) var mentioned: Set<String> = []
    /// What stands behind the key of a setting that is commented out, by the row's path.
    private(set) var shown: [String: String] = [:]

    private static let width = 120

    /// - Parameter root: the path of the table's rows that stand at the top of the file: empty, or `stage`.
    init(_ original: String, root: String) {
        let rows = Dictionary(SettingTable.all.map { ($0.path, $0) }, uniquingKeysWith: { first, _ in first })
        var open: [(indent: Int, path: String)] = []
        var lines: [String] = []
        for line in original.split(separator: "\n", omittingEmptySubsequences: false) {
            if line.drop(while: { $0 == " " }).hasPrefix("##") { continue }
            guard let key = Key(line) else {
                lines.append(String(line))
                continue
            }
            while let last = open.last, last.indent >= key.indent { open.removeLast() }
            let parent = open.last?.path ?? root
            let path = switch rows[parent]?.kind {
            case .sections?: "\(parent)[].\(key.name)"
            case .named?: "\(parent).*"
            case .one?, .list?, .section?, .texts?, .secret?, .either?, nil: parent.isEmpty ? key.name : "\(parent).\(key.name)"
            }
            open.append((key.indent, path))
            if let row = rows[path], mentioned.insert(path).inserted {
                if key.isCommentedOut, !key.value.isEmpty { shown[path] = key.value }
                for sentence in row.comment { lines += CommentedFile.wrapped(sentence, margin: key.margin, inner: key.isCommentedOut ? key.indent - key.margin : 0) }
            }
            lines.append(String(line))
        }
        text = lines.joined(separator: "\n")
    }

    private static func wrapped(_ text: String, margin: Int, inner: Int) -> [String] {
        let margin = String(repeating: " ", count: margin) + "##" + String(repeating: " ", count: inner)
        var lines: [String] = []
        var line = margin
        for word in text.split(separator: " ") {
            if line.count + 1 + word.count > width, line != margin {
                lines.append(line)
                line = margin
            }
            line += " " + word
        }
        return lines + [line]
    }

    /// `  key: value`, `  - key: value`, `  #key: value` or `  #  key: value`.
    private struct Key {
        let name: String
        let value: String
        /// The column of the key, with `- ` and `#` taken away.
        let indent: Int
        /// The spaces before everything.
        let margin: Int
        let isCommentedOut: Bool

        init?(_ line: Substring) {
            var rest = line.drop { $0 == " " }
            margin = line.count - rest.count
            var column = margin
            isCommentedOut = rest.first == "#"
            if isCommentedOut {
                let inner = rest.dropFirst().drop { $0 == " " }
                let spaces = rest.count - 1 - inner.count
                // One space is prose, `# like this`.
                guard spaces != 1 else { return nil }
                column += spaces
                rest = inner
            }
            if rest.hasPrefix("- ") {
                column += 2
                rest = rest.dropFirst(2)
            }
            guard let colon = rest.firstIndex(of: ":") else { return nil }
            let name = rest[..<colon], value = rest[rest.index(after: colon)...]
            guard !name.isEmpty, name.allSatisfy({ $0.isLowercase || $0.isWholeNumber || $0 == "_" || $0 == "-" }), value.isEmpty || value.first == " " else { return nil }
            (self.name, indent) = (String(name), column)
            self.value = String(value.drop { $0 == " " })
        }
    }
}
