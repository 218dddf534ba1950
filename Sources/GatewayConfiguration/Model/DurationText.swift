/// Durations as the configuration writes them: a whole number and one unit, `500ms`, `30s`, `5m`, `24h`, `7d`.
package enum DurationText {
    private static let units: [(suffix: String, milliseconds: Int64)] = [
        ("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000),
    ]

    /// `nil` for a sign, a fraction, a missing unit, and for what is longer than ten years.
    static func parse(_ text: String) -> Duration? {
        for (suffix, factor) in units where text.hasSuffix(suffix) {
            let digits = text.dropLast(suffix.count)
            guard (1...12).contains(digits.utf8.count), digits.utf8.allSatisfy({ (48...57).contains($0) }), let number = Int64(digits) else { continue }
            let (product, overflow) = number.multipliedReportingOverflow(by: factor)
            guard !overflow, product <= 3650 * 86_400_000 else { return nil }
            return .milliseconds(product)
        }
        return nil
    }

    /// In the largest unit that needs no fraction.
    package static func print(_ duration: Duration) -> String {
        let milliseconds = duration.components.seconds * 1000 + duration.components.attoseconds / 1_000_000_000_000_000
        if milliseconds == 0 { return "0s" }
        for (suffix, factor) in units.reversed() where milliseconds % factor == 0 { return "\(milliseconds / factor)\(suffix)" }
        return "\(milliseconds)ms"
    }
}
