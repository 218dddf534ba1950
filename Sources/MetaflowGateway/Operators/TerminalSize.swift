internal import Glibc

/// The terminal that a screen is shown on.
struct TerminalSize: Equatable {
    let columns: Int
    let rows: Int

    /// `nil` where standard output is no terminal, or one that does not know its size.
    static var current: TerminalSize? {
        var size = winsize()
        guard unsafe ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 1, size.ws_row > 1 else { return nil }
        return TerminalSize(columns: Int(size.ws_col), rows: Int(size.ws_row))
    }

    /// What fits, so that nothing scrolls and the first line, which is the answer, stays in sight: that one is wrapped, the others are cut at
    /// the edge, and what finds no room is counted in the last line.
    func fit(_ text: String) -> String {
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        while lines.last?.isEmpty == true { lines.removeLast() }
        guard let first = lines.first else { return "" }
        var fitted = wrapped(first) + lines.dropFirst().map(cut)
        if fitted.count > rows {
            let left = fitted.count - (rows - 1)
            fitted = fitted.prefix(rows - 1) + [cut("… \(left) more lines: a larger window shows them, or the command without --watch")]
        }
        return fitted.joined(separator: "\n")
    }

    private func cut(_ line: String) -> String { line.count <= columns ? line : line.prefix(columns - 1) + "…" }

    private func wrapped(_ line: String) -> [String] {
        var (parts, rest) = ([String](), line[...])
        while rest.count > columns {
            let room = rest.prefix(columns)
            let end = room.lastIndex(of: " ").map { rest.index(after: $0) } ?? room.endIndex
            parts.append(String(rest[..<end]))
            rest = rest[end...]
        }
        return parts + [String(rest)]
    }
}
