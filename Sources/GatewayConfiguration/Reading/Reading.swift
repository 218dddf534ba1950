internal import GatewayTerms

/// One load: what was found wrong so far, and what was read. Lives as long as one call of `Configuration.load`.
final class Reading {
    /// Beyond so many, a file has one cause of many faults, and more lines help nobody.
    static let faultsMax = 1000

    let surroundings: Surroundings
    private(set) var faults: [Diagnostic] = []
    private(set) var warnings: [Diagnostic] = []
    private(set) var files: [String] = []
    private(set) var texts: [ConfigurationText] = []
    private var known: Set<String> = []
    private var hash: UInt64 = 0xcbf2_9ce4_8422_2325

    init(surroundings: Surroundings) { self.surroundings = surroundings }

    func fault(at location: SourceLocation, _ setting: String, value: String? = nil, _ message: String) {
        guard faults.count < Reading.faultsMax else { return }
        faults.append(Diagnostic(.error, at: location, setting: setting, value: value, message))
    }

    func warning(at location: SourceLocation, _ setting: String, value: String? = nil, _ message: String) {
        guard warnings.count < Reading.faultsMax else { return }
        warnings.append(Diagnostic(.warning, at: location, setting: setting, value: value, message))
    }

    /// Remembers that the configuration depends on this file.
    func remember(_ file: String) {
        if known.insert(file).inserted { files.append(file) }
    }

    /// Takes a YAML file into the version, and keeps it.
    func digest(_ file: String, _ bytes: [UInt8]) {
        texts.append(ConfigurationText(path: file, bytes: bytes))
        for byte in Array(file.utf8) + [0] + bytes + [0] {
            hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3
        }
    }

    var version: String {
        let digits = String(hash, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    var diagnostics: Diagnostics {
        Diagnostics(faults: faults.sortedByPlace(files), warnings: warnings.sortedByPlace(files), isUnreadable: false, files: files)
    }
}

extension [Diagnostic] {
    /// In the order in which the files were read, then by line and column; what stands at one place keeps its order.
    func sortedByPlace(_ files: [String]) -> [Diagnostic] {
        let order = Dictionary(zip(files, 0...), uniquingKeysWith: { first, _ in first })
        func rank(_ entry: (offset: Int, element: Diagnostic)) -> (Int, Int, Int, Int) {
            let location = entry.element.location
            return (order[location.file] ?? Int.max, location.line, location.column, entry.offset)
        }
        return enumerated().sorted { rank($0) < rank($1) }.map(\.element)
    }
}

/// One YAML file that is being read.
struct SourceFile {
    let path: String

    /// A path that this file names: absolute ones stay, others begin in this file's folder.
    func resolve(_ named: String) -> String {
        guard !named.hasPrefix("/") else { return named }
        var rest = named[...]
        while rest.hasPrefix("./") { rest = rest.dropFirst(2) }
        return (path.lastIndex(of: "/").map { String(path[...$0]) } ?? "") + rest
    }

    func location(line: Int, column: Int) -> SourceLocation { SourceLocation(file: path, line: line, column: column) }
    var whole: SourceLocation { location(line: 0, column: 0) }
}
