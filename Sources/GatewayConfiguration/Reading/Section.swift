internal import GatewayTerms
internal import Yams

/// A mapping of a file, read against the rows of its section: unknown keys, missing keys and values out of range are
/// reported, and what is wrong is replaced by the row's default so that the reading goes on.
struct Section {
    let reading: Reading
    let file: SourceFile
    /// As diagnostics show it: `limits`, `routes[3]`; empty for the top of a file.
    let name: String
    /// The section's path in the table: `limits`, `stage.routes[]`.
    let path: String
    let location: SourceLocation
    private let rows: [String: Setting]
    private let nodes: [String: Entry]
    private let document: YAMLDocument

    /// A key's place and its value.
    private struct Entry {
        let location: SourceLocation
        let value: Node
    }

    /// Reports and returns `nil` when the node is no mapping.
    init?(_ node: Node, of document: YAMLDocument, name: String, path: String, file: SourceFile, reading: Reading) {
        (self.reading, self.file, self.name, self.path, self.document) = (reading, file, name, path, document)
        location = file.location(of: node)
        rows = SettingTable.rows(below: path)
        guard let entries = Section.keyed(node, of: document, name: name, location: location, file: file, reading: reading) else { return nil }
        nodes = entries
        if entries.keys.contains(where: { rows[$0] == nil }) {
            for (key, entry) in entries.filter({ rows[$0.key] == nil }).sorted(by: { $0.value.location < $1.value.location }) {
                reading.fault(at: entry.location, title(Diagnostic.printable(key)), remedy(forUnknown: key))
            }
        }
        for row in SettingTable.required(below: path) where entries[row.key] == nil {
            reading.fault(at: location, title(row.key), "is missing. It takes \(row.allowed).")
        }
    }

    func title(_ key: String) -> String { name.isEmpty ? key : "\(name).\(key)" }

    func has(_ key: String) -> Bool { nodes[key] != nil }

    /// Something is written that is not an empty list.
    func hasContent(_ key: String) -> Bool {
        switch nodes[key]?.value {
        case .sequence(let items)?: !items.isEmpty
        case .scalar(let scalar)?: !scalar.isEmptyPlain
        case .mapping?, .alias?: true
        case nil: false
        }
    }

    /// Where a setting's value stands; the section's own place when it is not written.
    func location(of key: String) -> SourceLocation { nodes[key].map { file.location(of: $0.value) } ?? location }

    func fault(_ key: String, value: String? = nil, _ message: String) {
        reading.fault(at: location(of: key), title(key), value: value, message)
    }

    func warning(_ key: String, value: String? = nil, _ message: String) {
        reading.warning(at: location(of: key), title(key), value: value, message)
    }

    // MARK: Single values

    /// The value of an optional or required setting; `nil` when it is not written or is wrong, which has been reported.
    func value<Value: Equatable & Sendable>(_ key: String, _ read: (String) -> Value?) -> Located<Value>? {
        guard let node = nodes[key]?.value, let form = form(key), let scalar = scalar(node, title(key), form) else { return nil }
        guard let value = read(scalar.text) else {
            refuse(scalar, title(key), form)
            return nil
        }
        return Located(value, at: scalar.location)
    }

    /// The value of a setting that has a default, which also stands in for a value that was refused.
    func setting<Value: Equatable & Sendable>(_ key: String, _ read: (String) -> Value?) -> Value? {
        if nodes[key] != nil, let value = value(key, read) { return value.value }
        guard let text = rows[key]?.defaultText else {
            assertionFailure("\(path).\(key) has no default in the setting table")
            return nil
        }
        return read(text)
    }

    func bytes(_ key: String) -> ByteCount {
        guard case .bytes(let range)? = form(key) else { return unknown(key, ByteCount(0)) }
        return setting(key) { ByteCount($0).flatMap { range.contains($0) ? $0 : nil } } ?? range.lowerBound
    }

    func optionalBytes(_ key: String) -> ByteCount? {
        guard case .bytes(let range)? = form(key) else { return unknown(key, nil) }
        return value(key) { ByteCount($0).flatMap { range.contains($0) ? $0 : nil } }?.value
    }

    func duration(_ key: String) -> Duration {
        guard case .duration(let range, _)? = form(key) else { return unknown(key, .zero) }
        return setting(key) { DurationText.parse($0).flatMap { range.contains($0) ? $0 : nil } } ?? range.lowerBound
    }

    /// `nil` when the row's word stands in place of a duration.
    func durationOrWord(_ key: String) -> Duration? {
        guard case .duration(let range, let word)? = form(key) else { return unknown(key, nil) }
        return setting(key) { text -> Duration?? in
            if text == word { return .some(nil) }
            return DurationText.parse(text).flatMap { range.contains($0) ? .some($0) : nil }
        } ?? nil
    }

    /// `nil` when it is not written; `.some(nil)` when the row's word stands in place of a number.
    func optionalCountOrWord(_ key: String) -> Int?? {
        guard case .count(let range, let word)? = form(key) else { return unknown(key, nil) }
        return value(key) { text -> Int?? in
            if text == word { return .some(nil) }
            return Section.number(text, in: range).map { .some($0) }
        }?.value
    }

    func optionalDuration(_ key: String) -> Duration? {
        guard case .duration(let range, _)? = form(key) else { return unknown(key, nil) }
        return value(key) { DurationText.parse($0).flatMap { range.contains($0) ? $0 : nil } }?.value
    }

    func count(_ key: String) -> Int {
        guard case .count(let range, _)? = form(key) else { return unknown(key, 0) }
        return setting(key) { Section.number($0, in: range) } ?? range.lowerBound
    }

    /// `nil` when the row's word stands in place of a number.
    func countOrWord(_ key: String) -> Int? {
        guard case .count(let range, let word)? = form(key) else { return unknown(key, nil) }
        return setting(key) { text -> Int?? in
            if text == word { return .some(nil) }
            return Section.number(text, in: range).map { .some($0) }
        } ?? nil
    }

    func flag(_ key: String) -> Bool {
        setting(key, Section.boolean) ?? false
    }

    /// The enumeration case that the word spells; for rows that have a default.
    func word<Word: RawRepresentable<String> & Equatable & Sendable>(_ key: String, as type: Word.Type) -> Word? {
        setting(key) { Word(rawValue: $0) }
    }

    /// A file that must be there: its path is resolved and its presence checked.
    /// - Parameter isFollowedApart: its user looks for changes itself, so that they are no reason to read the configuration anew.
    func fileReference(_ key: String, isFollowedApart: Bool = false) -> Configuration.FileReference? {
        guard let named = value(key, Section.text(max: 4096)) else { return nil }
        let path = file.resolve(named.value)
        if !isFollowedApart { reading.remember(path) }
        if reading.surroundings.examinesReferences, let fault = reading.surroundings.fault(path) {
            reading.fault(at: named.location, title(key), value: named.value, "\(Section.shown(path)) \(fault). Name a file that this process may read.")
            return nil
        }
        return Configuration.FileReference(path: path, location: named.location)
    }

    /// Where a file or socket is to be made: resolved, not looked for. For rows that have a default.
    func pathToMake(_ key: String) -> Located<String> {
        if let named = value(key, Section.text(max: 4096)) { return Located(file.resolve(named.value), at: named.location) }
        return Located(rows[key]?.defaultText ?? "", at: location(of: key))
    }

    // MARK: Lists

    /// The items of a list of single values; items that are wrong are reported and left out.
    func list<Value: Hashable & Sendable>(_ key: String, _ read: (String) -> Value?) -> [Located<Value>] {
        guard case .list(let form, let range)? = rows[key]?.kind else { return unknown(key, []) }
        guard let node = nodes[key]?.value else { return [] }
        guard let items = items(node, key, range) else { return [] }
        var result: [Located<Value>] = []
        var seen: Set<Value> = []
        for (index, item) in items.enumerated() {
            let title = "\(title(key))[\(index)]"
            guard let scalar = scalar(item, title, form) else { continue }
            guard let value = read(scalar.text) else {
                refuse(scalar, title, form)
                continue
            }
            if seen.insert(value).inserted {
                result.append(Located(value, at: scalar.location))
            } else {
                reading.fault(at: scalar.location, title, value: scalar.text, "\(Section.shown(scalar.text)) is listed twice. Keep one.")
            }
        }
        return result
    }

    /// The mappings of a list, each against the rows of `KEY[]`.
    func sections(_ key: String) -> [Section] {
        guard case .sections(let range)? = rows[key]?.kind else { return unknown(key, []) }
        guard let node = nodes[key]?.value, let items = items(node, key, range) else { return [] }
        let below = (path.isEmpty ? key : "\(path).\(key)") + "[]"
        return items.enumerated().compactMap { index, item in
            Section(item, of: document, name: "\(title(key))[\(index)]", path: below, file: file, reading: reading)
        }
    }

    /// The mappings of a list, or the one mapping, each against the rows of this very section: for what holds its like.
    func nested(_ key: String) -> [Section] {
        guard let node = nodes[key]?.value else { return [] }
        guard case .sections(let range)? = rows[key]?.kind else {
            return Section(node, of: document, name: title(key), path: path, file: file, reading: reading).map { [$0] } ?? []
        }
        return (items(node, key, range).map(Array.init) ?? []).enumerated().compactMap { index, item in
            Section(item, of: document, name: "\(title(key))[\(index)]", path: path, file: file, reading: reading)
        }
    }

    /// The mapping of a setting; one that is left out, written without content, or no mapping, which is reported, is empty.
    func section(_ key: String) -> Section {
        let path = path.isEmpty ? key : "\(path).\(key)"
        guard let node = nodes[key]?.value,
              let section = Section(node, of: document, name: title(key), path: path, file: file, reading: reading) else {
            return Section(emptyAt: location(of: key), of: document, name: title(key), path: path, file: file, reading: reading)
        }
        return section
    }

    func optionalSection(_ key: String) -> Section? { has(key) ? section(key) : nil }

    /// The mappings of a mapping from names, each against the rows of `KEY.*`, in the order of the file; a name whose value
    /// is no mapping, which is reported, has no section.
    func named(_ key: String) -> [(name: Located<String>, section: Section?)] {
        guard case .named(let range)? = rows[key]?.kind else { return unknown(key, []) }
        guard let node = nodes[key]?.value,
              let entries = Section.keyed(node, of: document, name: title(key), location: location(of: key), file: file, reading: reading) else { return [] }
        if !range.contains(entries.count) {
            fault(key, "has \(entries.count) entries. It takes \(rows[key]?.allowed ?? "").")
            return []
        }
        return entries.sorted { $0.value.location < $1.value.location }.compactMap { name, entry in
            guard Section.name(name) != nil else {
                reading.fault(at: entry.location, "\(title(key)).\(Diagnostic.printable(name))", value: name, "\(Section.shown(name)) is not \(Setting.Form.name.allowed).")
                return nil
            }
            return (
                Located(name, at: entry.location),
                Section(entry.value, of: document, name: "\(title(key)).\(name)", path: "\(path).\(key).*", file: file, reading: reading)
            )
        }
    }

    /// The pairs of a mapping from names of Metaflow settings to texts, in the order of the file; pairs that are wrong are reported
    /// and left out.
    func texts(_ key: String) -> [(name: Located<String>, value: Located<String>)] {
        guard case .texts(let range)? = rows[key]?.kind else { return unknown(key, []) }
        guard let node = nodes[key]?.value,
              let entries = Section.keyed(node, of: document, name: title(key), location: location(of: key), file: file, reading: reading) else { return [] }
        guard range.contains(entries.count) else {
            fault(key, "has \(entries.count) entries. It takes \(rows[key]?.allowed ?? "").")
            return []
        }
        return entries.sorted { $0.value.location < $1.value.location }.compactMap { name, entry in
            let title = "\(title(key)).\(Diagnostic.printable(name))"
            guard Section.metaflowSetting(name) != nil else {
                reading.fault(at: entry.location, title, value: name, "\(Section.shown(name)) is not the name of a Metaflow setting, METAFLOW_ and capital letters, digits and '_'.")
                return nil
            }
            let form = Setting.Form.text(8192)
            guard let scalar = scalar(entry.value, title, form) else { return nil }
            guard let value = Section.text(max: 8192)(scalar.text) else {
                refuse(scalar, title, form)
                return nil
            }
            return (Located(name, at: entry.location), Located(value, at: scalar.location))
        }
    }

    /// The resolved path, the path as written, and the bytes of a file that the configuration takes in.
    func contents(_ key: String, max limit: ByteCount, remedy: String) -> (path: String, written: Located<String>, bytes: [UInt8])? {
        guard let named = value(key, Section.text(max: 4096)) else { return nil }
        let path = file.resolve(named.value)
        reading.remember(path)
        guard reading.surroundings.examinesReferences else { return nil }
        switch reading.surroundings.read(path, limit.bytes) {
        case .success(let bytes): return (path, named, bytes)
        case .failure(let fault):
            reading.fault(at: named.location, title(key), value: named.value, "\(Section.shown(path)) \(fault). \(remedy)")
            return nil
        }
    }

    /// The single value of a setting that may also be a mapping; `nil` when it is one or is not written.
    func scalarForm(_ key: String) -> Located<String>? {
        guard let node = nodes[key]?.value, case .scalar(let scalar) = node else { return nil }
        return Located(scalar.string, at: file.location(of: node))
    }

    /// The only key of a mapping that has exactly one, and its section; reports everything else.
    func choice(_ key: String) -> (key: String, section: Section)? {
        guard case .mapping? = nodes[key]?.value else {
            fault(key, "takes \(rows[key]?.allowed ?? "a mapping").")
            return nil
        }
        let section = section(key)
        let known = section.nodes.keys.filter { section.rows[$0] != nil }
        guard known.count == 1, let only = known.first else {
            if section.nodes.count == known.count { fault(key, "must hold exactly one of \(section.rows.keys.sorted().joined(separator: ", ")).") }
            return nil
        }
        return (only, section)
    }

    // MARK: Secrets

    /// Reads the secret that `{ file: PATH }` or `{ env: NAME }` names. A secret written into the file is refused, and its
    /// value appears nowhere.
    func secret(_ key: String) -> Configuration.SecretReference? {
        guard let node = nodes[key]?.value else { return nil }
        let place = file.location(of: node)
        let remedy = "Name where it is: { file: PATH } or { env: NAME }."
        guard case .mapping(let mapping) = node else {
            reading.fault(at: place, title(key), "a secret may not be written into the configuration. \(remedy)")
            return nil
        }
        guard mapping.count == 1, let (sourceKey, sourceValue) = mapping.first.map({ ($0.key, $0.value) }), case .scalar(let source) = sourceKey,
              source.string == "file" || source.string == "env", case .scalar(let target) = sourceValue, !target.string.isEmpty else {
            reading.fault(at: place, title(key), "must name exactly one source. \(remedy)")
            return nil
        }
        let location = file.location(of: sourceValue)
        guard reading.surroundings.examinesReferences else {
            let named: Configuration.SecretReference.Source = source.string == "env" ? .environment(target.string) : .file(file.resolve(target.string))
            return Configuration.SecretReference(source: named, value: Secret([]), location: location)
        }
        if source.string == "env" {
            guard let value = reading.surroundings.environment(target.string), !value.isEmpty else {
                reading.fault(at: location, title(key), value: target.string, "the environment variable \(Section.shown(target.string)) is not set. Set it, or name a file.")
                return nil
            }
            return Configuration.SecretReference(source: .environment(target.string), value: Secret(value), location: location)
        }
        let path = file.resolve(target.string)
        reading.remember(path)
        switch reading.surroundings.read(path, 64 << 10) {
        case .failure(let fault):
            reading.fault(at: location, title(key), value: target.string, "\(Section.shown(path)) \(fault). Name a file that this process may read.")
            return nil
        case .success(var bytes):
            while let last = bytes.last, last == UInt8(ascii: "\n") || last == UInt8(ascii: "\r") { bytes.removeLast() }
            guard !bytes.isEmpty else {
                reading.fault(at: location, title(key), value: target.string, "\(Section.shown(path)) is empty. Write the secret into it.")
                return nil
            }
            return Configuration.SecretReference(source: .file(path), value: Secret(bytes), location: location)
        }
    }

    // MARK: Details

    private init(emptyAt place: SourceLocation, of document: YAMLDocument, name: String, path: String, file: SourceFile, reading: Reading) {
        (self.reading, self.file, self.name, self.path, self.document) = (reading, file, name, path, document)
        (location, rows, nodes) = (place, SettingTable.rows(below: path), [:])
    }

    private struct Scalar {
        let text: String
        let location: SourceLocation
    }

    private func form(_ key: String) -> Setting.Form? {
        if case .one(let form)? = rows[key]?.kind { form } else { nil }
    }

    private func scalar(_ node: Node, _ title: String, _ form: Setting.Form) -> Scalar? {
        let location = file.location(of: node)
        guard case .scalar(let scalar) = node else {
            reading.fault(at: location, title, "takes a single value: \(form.allowed).")
            return nil
        }
        if scalar.isEmptyPlain {
            reading.fault(at: location, title, "has no value. It takes \(form.allowed).")
            return nil
        }
        return Scalar(text: scalar.string, location: location)
    }

    private func items(_ node: Node, _ key: String, _ range: ClosedRange<Int>) -> Node.Sequence? {
        let allowed = rows[key]?.allowed ?? "a list"
        guard case .sequence(let items) = node else {
            fault(key, "takes \(allowed).")
            return nil
        }
        guard range.contains(items.count) else {
            fault(key, value: "\(items.count) items", items.isEmpty ? "is empty. It takes \(allowed)." : "has \(items.count) items. It takes \(allowed).")
            return nil
        }
        return items
    }

    /// Says what is wrong with a value of this form, and what to write.
    private func refuse(_ scalar: Scalar, _ title: String, _ form: Setting.Form) {
        let value = Section.shown(scalar.text)
        let message: String
        switch form {
        case .bytes:
            message = ByteCount(scalar.text) == nil
                ? "\(value) is not a size. Write a whole number with B, KiB, MiB or GiB, 64KiB."
                : "\(value) is outside \(form.allowed). Set a value in that range."
        case .duration(_, let word):
            message = DurationText.parse(scalar.text) == nil
                ? "\(value) is not a duration. Write a whole number with ms, s, m, h or d, 30s\(word.map { ", or \($0)" } ?? "")."
                : "\(value) is outside \(form.allowed). Set a value in that range."
        case .count(_, let word):
            message = Section.number(scalar.text, in: Int.min...Int.max) == nil
                ? "\(value) is not a whole number\(word.map { " or \($0)" } ?? ""). It takes \(form.allowed)."
                : "\(value) is outside \(form.allowed). Set a value in that range."
        case .word(let words):
            let meant = EditDistance.suggestion(for: scalar.text, among: words).map { " Did you mean \($0)?" } ?? ""
            message = "\(value) is not one of \(form.allowed).\(meant)"
        case .boolean:
            message = "\(value) is neither true nor false."
        case .method:
            let meant = Section.method(scalar.text.uppercased()).map { " Did you mean \($0)?" } ?? ""
            message = "\(value) is not one of \(form.allowed).\(meant)"
        case .addressRange:
            message = "\(value) is not \(form.allowed); no bits may stand behind the prefix."
        case .routePath, .healthPath:
            message = "\(value) is not \(form.allowed)\(Section.pathRemedy(scalar.text))"
        case .endpoint:
            let remedy = WebURL(scalar.text).map { $0.path.isEmpty ? "." : ". Leave the path out; the route decides what the server sees." } ?? "."
            message = "\(value) is not \(form.allowed)\(remedy)"
        case .url, .issuer:
            message = "\(value) is not \(form.allowed)\(Section.plainTextRemedy(scalar.text))"
        case .text, .name, .token, .socketAddress, .hostname, .publicURL, .file, .logDestination, .fieldName, .region, .userPool, .identityPool, .version, .status, .redirectTarget:
            message = "\(value) is not \(form.allowed)."
        }
        reading.fault(at: scalar.location, title, value: scalar.text, message)
    }

    private func remedy(forUnknown key: String) -> String {
        if let meant = EditDistance.suggestion(for: key, among: rows.keys) { return "is not a setting. Did you mean \(meant)?" }
        let inStage = path == "stage" || path.hasPrefix("stage.")
        let homes = SettingTable.sectionsKnowing(key, inStage: inStage).filter { $0 != path }
            .map { $0 == "stage" || $0.isEmpty ? "the top of the file" : $0.hasPrefix("stage.") ? String($0.dropFirst("stage.".count)) : $0 }
        if let home = homes.first, homes.count <= 3 { return "is not a setting here. It belongs in \(homes.count == 1 ? home : homes.joined(separator: " or "))." }
        if path.isEmpty, SettingTable.rows(below: "stage")[key] != nil { return "is not a setting of the process. It belongs in a stage's file, which stages names." }
        if path == "stage", SettingTable.rows(below: "")[key] != nil { return "is not a setting of a stage. It belongs in gateway.yaml." }
        if rows.isEmpty { return "is not a setting." }
        return "is not a setting. Known here: \(rows.keys.sorted().joined(separator: ", "))."
    }

    /// The key and value nodes of a mapping, by key. Duplicates and keys that are not words are reported.
    private static func keyed(
        _ node: Node, of document: YAMLDocument, name: String, location: SourceLocation, file: SourceFile, reading: Reading
    ) -> [String: Entry]? {
        if case .scalar(let scalar) = node, scalar.isEmptyPlain { return [:] }
        guard case .mapping(let mapping) = node else {
            reading.fault(at: location, name, "must be a mapping, KEY: VALUE.")
            return nil
        }
        var entries: [String: Entry] = [:]
        entries.reserveCapacity(mapping.count)
        var placeholders: [String] = []
        for (key, value) in mapping {
            guard case .scalar(let word) = key else {
                reading.fault(at: file.location(of: key), name, "a key must be a word, not a list or a mapping.")
                continue
            }
            if DuplicateKeys.isPlaceholder(word.string), document.duplicates.occurrences[word.string] != nil {
                placeholders.append(word.string)
            } else {
                entries[word.string] = Entry(location: file.location(of: key), value: value)
            }
        }
        if !placeholders.isEmpty {
            document.duplicates.report(placeholders, last: entries.mapValues(\.location), section: name, file: file, reading: reading)
        }
        return entries
    }

    /// A row that the code asks for and the table lacks, or has in another form: our slip, found by the first test that
    /// reads the section.
    private func unknown<Value>(_ key: String, _ fallback: Value) -> Value {
        assertionFailure("the setting table has no such row for \(path).\(key)")
        return fallback
    }
}

extension SourceFile {
    func location(of node: Node) -> SourceLocation {
        node.mark.map { location(line: $0.line, column: $0.column) } ?? whole
    }
}

extension Node.Scalar {
    /// Nothing is written, or YAML's word for nothing.
    var isEmptyPlain: Bool { style == .plain && (string.isEmpty || string == "~" || string == "null") }
}
