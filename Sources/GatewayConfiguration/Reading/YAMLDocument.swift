internal import Yams

/// The one document of a YAML file, as nodes with line and column.
///
/// A configuration needs mappings, lists and scalars; whatever makes YAML ambiguous or explosive is refused by name:
/// anchors, aliases and tags, several documents, keys that are not words, a key written twice.
struct YAMLDocument {
    static let bytesMax = 4 << 20

    let root: Node
    /// Keys that were written twice: the reader meets the earlier ones under placeholders.
    let duplicates: DuplicateKeys

    /// Reports what is wrong and returns `nil` when nothing can be read.
    static func parse(_ read: [UInt8], file: SourceFile, reading: Reading) -> YAMLDocument? {
        // libyaml takes a byte order mark for a column when it is told the encoding.
        let bytes = read.starts(with: [0xef, 0xbb, 0xbf]) ? Array(read.dropFirst(3)) : read
        guard var text = String(validating: bytes, as: UTF8.self) else {
            let (line, column) = firstInvalid(bytes)
            reading.fault(at: file.location(line: line, column: column), "", "a byte here is not UTF-8. Save the file as UTF-8.")
            return nil
        }
        guard !reportAliases(bytes, file: file, reading: reading) else { return nil }
        var duplicates = DuplicateKeys()
        while true {
            do {
                // Without rules every plain scalar is text: the setting's row says what it must be, not a guess of YAML's.
                let parser = try Parser(yaml: text, resolver: .basic, encoding: .utf8)
                guard let root = try parser.singleRoot() else {
                    reading.fault(at: file.whole, "", "the file holds no settings. Write at least the required ones.")
                    return nil
                }
                // Anchors live only as long as their parser.
                let isPlain = withExtendedLifetime(parser) { reportProperties(of: root, text: bytes, file: file, reading: reading) }
                return isPlain ? YAMLDocument(root: root, duplicates: duplicates) : nil
            } catch YamlError.duplicatedKeysInMapping(let keys, let context) {
                guard let key = keys.min(), let renamed = duplicates.rename(key, line: context.mark.line, column: context.mark.column, in: text) else {
                    reading.fault(at: file.location(line: context.mark.line, column: context.mark.column), "",
                                  "this mapping has the same key twice. Keep one.")
                    return nil
                }
                text = renamed
            } catch {
                report(error, text: text, file: file, reading: reading)
                return nil
            }
        }
    }

    /// What libyaml found, in an operator's words where the usual slips are known.
    private static func report(_ error: any Error, text: String, file: SourceFile, reading: Reading) {
        func fault(_ line: Int, _ column: Int, _ message: String) {
            reading.fault(at: file.location(line: line, column: column), "", message)
        }
        guard let error = error as? YamlError else {
            fault(0, 0, "this is not YAML.")
            return
        }
        switch error {
        case .scanner(let context, let problem, let mark, _), .parser(let context, let problem, let mark, _):
            if problem == "found character that cannot start any token", isTab(text, line: mark.line, column: mark.column) {
                fault(mark.line, mark.column, "a tab stands here. YAML indents with spaces.")
            } else if problem.contains("nesting level") {
                fault(mark.line, mark.column, "mappings and lists are nested more than 1000 deep here.")
            } else {
                let began = context.map { " (\($0.text) that began on line \($0.mark.line))" } ?? ""
                fault(mark.line, mark.column, "this is not YAML: \(problem)\(began).")
            }
        case .composer(_, let problem, let mark, _):
            if problem.contains("another document") {
                fault(mark.line, mark.column, "a second document begins here. A file holds one; name other files in stages.")
            } else {
                fault(mark.line, mark.column, "this is not YAML: \(problem).")
            }
        case .reader(let problem, let offset, _, _):
            let (line, column) = position(ofCharacter: offset ?? 0, in: text)
            fault(line, column, "a character here may not stand in YAML (\(problem)).")
        case .no, .memory, .writer, .emitter, .representer, .dataCouldNotBeDecoded, .duplicatedKeysInMapping:
            fault(0, 0, "the file could not be read as YAML.")
        }
    }

    /// Finds `*name` where a value may begin, before any alias is followed: nested aliases grow without bound (B-CVE's "bombs").
    ///
    /// It looks at bytes, so a text that looks like an alias inside quotes is refused too, which costs an operator a space.
    private static func reportAliases(_ bytes: [UInt8], file: SourceFile, reading: Reading) -> Bool {
        guard bytes.contains(UInt8(ascii: "*")) else { return false }
        var found = false
        var line = 1, column = 0
        var before = UInt8(ascii: "\n")
        var isComment = false
        for (index, byte) in bytes.enumerated() {
            if byte & 0xc0 != 0x80 { column += 1 }
            switch byte {
            case UInt8(ascii: "\n"), UInt8(ascii: "\r"):
                if byte == UInt8(ascii: "\n") || index + 1 == bytes.count || bytes[index + 1] != UInt8(ascii: "\n") { line += 1 }
                (column, before, isComment) = (0, UInt8(ascii: "\n"), false)
            case UInt8(ascii: " "), UInt8(ascii: "\t"):
                continue
            case UInt8(ascii: "#") where before == UInt8(ascii: "\n"):
                (isComment, before) = (true, byte)
            case UInt8(ascii: "*") where !isComment && index + 1 < bytes.count && isNameByte(bytes[index + 1]) && mayPrecedeValue(before):
                reading.fault(at: file.location(line: line, column: column), "", "an alias stands here. Aliases are not supported; write the value out.")
                found = true
                before = byte
            default:
                before = byte
            }
        }
        return found
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
             UInt8(ascii: "-"), UInt8(ascii: "_"): true
        default: false
        }
    }

    private static func mayPrecedeValue(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "\n"), UInt8(ascii: ":"), UInt8(ascii: "-"), UInt8(ascii: "?"), UInt8(ascii: ","),
             UInt8(ascii: "["), UInt8(ascii: "{"): true
        default: false
        }
    }

    /// Anchors and tags; false when one was found.
    private static func reportProperties(of root: Node, text: [UInt8], file: SourceFile, reading: Reading) -> Bool {
        guard text.contains(where: { $0 == UInt8(ascii: "&") || $0 == UInt8(ascii: "!") || $0 == UInt8(ascii: "*") }) else { return true }
        var isPlain = true
        var waiting = [root]
        var visited = 0
        while let node = waiting.popLast() {
            visited += 1
            guard visited <= bytesMax else { return false }
            let location = file.location(of: node)
            if node.anchor != nil {
                reading.fault(at: location, "", "an anchor stands here. Anchors are not supported; write the value out.")
                return false
            }
            let tag = node.tag.description
            switch node {
            case .scalar where tag == "tag:yaml.org,2002:str", .mapping where tag == "tag:yaml.org,2002:map", .sequence where tag == "tag:yaml.org,2002:seq": break
            case .scalar, .mapping, .sequence, .alias:
                reading.fault(at: location, "", value: tag, "the tag \(Diagnostic.printable(tag)) stands here. Tags are not supported; leave it out.")
                isPlain = false
            }
            switch node {
            case .mapping(let mapping): for (key, value) in mapping { waiting.append(contentsOf: [value, key]) }
            case .sequence(let sequence): waiting.append(contentsOf: sequence)
            case .scalar, .alias: break
            }
        }
        return isPlain
    }

    private static func isTab(_ text: String, line: Int, column: Int) -> Bool {
        ScalarPosition.index(of: line, column, in: Array(text.unicodeScalars)).map { Array(text.unicodeScalars)[$0] == "\t" } ?? false
    }

    private static func position(ofCharacter offset: Int, in text: String) -> (Int, Int) {
        var line = 1, column = 1
        for character in text.prefix(max(0, offset)) {
            if character.isNewline { (line, column) = (line + 1, 1) } else { column += character.unicodeScalars.count }
        }
        return (line, column)
    }

    /// Line and column of the first byte that is not UTF-8.
    private static func firstInvalid(_ bytes: [UInt8]) -> (Int, Int) {
        var line = 1
        for part in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
            if String(validating: part, as: UTF8.self) == nil {
                var column = 1
                var start = part.startIndex
                while start < part.endIndex {
                    guard let length = (1...4).first(where: { start + $0 <= part.endIndex && String(validating: part[start..<(start + $0)], as: UTF8.self) != nil }) else { break }
                    (start, column) = (start + length, column + 1)
                }
                return (line, column)
            }
            line += 1
        }
        return (1, 1)
    }
}

/// Positions as libyaml counts them: lines end at CR, LF, CR LF, NEL, LS and PS; columns are Unicode scalars.
enum ScalarPosition {
    static func index(of line: Int, _ column: Int, in scalars: [Unicode.Scalar]) -> Int? {
        var currentLine = 1, currentColumn = 1
        var index = 0
        while index < scalars.count {
            if currentLine == line, currentColumn == column { return index }
            switch scalars[index] {
            case "\r" where index + 1 < scalars.count && scalars[index + 1] == "\n":
                index += 1
                (currentLine, currentColumn) = (currentLine + 1, 1)
            case "\r", "\n", "\u{85}", "\u{2028}", "\u{2029}": (currentLine, currentColumn) = (currentLine + 1, 1)
            default: currentColumn += 1
            }
            index += 1
        }
        return nil
    }
}

/// Keys that stand twice in a mapping. The parser gives up at the first one, so each earlier occurrence is renamed to a
/// placeholder of the same length and the text parsed again: all of them are reported, and everything else in the file too.
struct DuplicateKeys {
    /// More are not looked for; a file that has them was pasted together.
    static let countMax = 20

    struct Occurrence {
        let key: String
        let line: Int
        let column: Int
    }

    private(set) var occurrences: [String: Occurrence] = [:]

    /// The text with the key at this place renamed; `nil` when it does not stand there as written, or there are too many.
    mutating func rename(_ key: String, line: Int, column: Int, in text: String) -> String? {
        let name = Array(key.unicodeScalars)
        guard occurrences.count < DuplicateKeys.countMax, !name.isEmpty, !DuplicateKeys.isPlaceholder(key) else { return nil }
        var scalars = Array(text.unicodeScalars)
        guard var index = ScalarPosition.index(of: line, column, in: scalars) else { return nil }
        if scalars[index] == "\"" || scalars[index] == "'" { index += 1 }
        guard index + name.count <= scalars.count, scalars[index..<(index + name.count)].elementsEqual(name),
              let mark = Unicode.Scalar(0xE000 + UInt32(occurrences.count)) else { return nil }
        let placeholder = [Unicode.Scalar](repeating: mark, count: name.count)
        scalars.replaceSubrange(index..<(index + name.count), with: placeholder)
        occurrences[String(String.UnicodeScalarView(placeholder))] = Occurrence(key: key, line: line, column: column)
        return String(String.UnicodeScalarView(scalars))
    }

    /// Reports every occurrence but the first of each key of one mapping; `last` are the places of the keys that remain.
    func report(_ keys: [String], last: [String: SourceLocation], section: String, file: SourceFile, reading: Reading) {
        let here = Dictionary(grouping: keys.compactMap { occurrences[$0] }, by: \.key)
        for (key, earlier) in here {
            guard let final = last[key] else { continue }
            let places = earlier.map { file.location(line: $0.line, column: $0.column) }.sorted() + [final]
            for place in places.dropFirst() {
                reading.fault(at: place, section.isEmpty ? key : "\(section).\(key)", "is written twice; the first stands on line \(places[0].line). Keep one.")
            }
        }
    }

    static func isPlaceholder(_ key: String) -> Bool {
        key.unicodeScalars.first.map { (0xE000..<(0xE000 + UInt32(countMax))).contains($0.value) } ?? false
    }
}
