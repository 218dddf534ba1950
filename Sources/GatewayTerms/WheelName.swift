/// The file name of the Metaflow extension's wheel, `metaflow_gateway_extension-1.2.0-py3-none-any.whl`: pip refuses a wheel
/// whose address ends in anything else (binary distribution format of the Python Packaging User Guide).
package struct WheelName: Sendable, Hashable, CustomStringConvertible {
    package let version: ExtensionVersion

    package init(version: ExtensionVersion) { self.version = version }

    package init?(_ text: some StringProtocol) {
        guard text.hasPrefix(WheelName.beginning), text.hasSuffix(WheelName.end), text.utf8.count > WheelName.beginning.utf8.count + WheelName.end.utf8.count,
              let version = ExtensionVersion(text.dropFirst(WheelName.beginning.count).dropLast(WheelName.end.count)) else { return nil }
        self.version = version
    }

    package var description: String { WheelName.beginning + version.description + WheelName.end }

    private static let beginning = "metaflow_gateway_extension-"
    private static let end = "-py3-none-any.whl"
}

/// A version of the Metaflow extension: one to six whole numbers with dots between them, `1.2.0`. Missing numbers count as 0,
/// so that 1.2 and 1.2.0 are the same version, as the extension itself compares them.
package struct ExtensionVersion: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// As written.
    package let description: String
    /// Without zeros at the end.
    private let numbers: [Int]

    package init?(_ text: some StringProtocol) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard (1...6).contains(parts.count) else { return nil }
        var numbers: [Int] = []
        for part in parts {
            guard (1...9).contains(part.utf8.count), part.utf8.allSatisfy({ (48...57).contains($0) }), let number = Int(part) else { return nil }
            numbers.append(number)
        }
        while numbers.last == 0 { numbers.removeLast() }
        description = String(text)
        self.numbers = numbers
    }

    package static func == (left: ExtensionVersion, right: ExtensionVersion) -> Bool { left.numbers == right.numbers }
    package static func < (left: ExtensionVersion, right: ExtensionVersion) -> Bool { left.numbers.lexicographicallyPrecedes(right.numbers) }
    package func hash(into hasher: inout Hasher) { hasher.combine(numbers) }
}
