internal import Proxy

/// Writes Prometheus' text exposition, version 0.0.4: families one after the other, each with its help and kind, and samples with escaped
/// labels.
struct ExpositionText {
    typealias Labels = KeyValuePairs<String, String>

    private(set) var text = ""

    mutating func family(_ family: MetricFamily, _ samples: (inout Samples) -> Void) {
        text += "# HELP \(family.name) \(family.help.replacing("\\", with: "\\\\").replacing("\n", with: "\\n"))\n# TYPE \(family.name) \(family.kind.rawValue)\n"
        var writer = Samples(name: family.name)
        samples(&writer)
        text += writer.text
    }

    /// A family of one sample without labels.
    mutating func value(_ family: MetricFamily, _ value: some BinaryInteger) {
        self.family(family) { $0.add([:], value) }
    }

    struct Samples {
        fileprivate let name: String
        fileprivate var text = ""

        mutating func add(_ labels: Labels, _ value: some BinaryInteger) { add(name, labels, String(value)) }
        mutating func add(_ labels: Labels, _ value: Double) { add(name, labels, "\(value)") }

        mutating func add(_ labels: [(String, String)], _ histogram: DurationHistogram) {
            let counts = histogram.cumulative
            let bounds = DurationHistogram.bounds.map(\.label) + ["+Inf"]
            for (bound, count) in zip(bounds, counts) { add(name + "_bucket", labels + [("le", bound)], String(count)) }
            add(name + "_sum", labels, "\(Double(histogram.nanoseconds) / 1e9)")
            add(name + "_count", labels, String(counts.last ?? 0))
        }

        private mutating func add(_ name: String, _ labels: some Sequence<(key: String, value: String)>, _ value: String) {
            add(name, labels.map { ($0.key, $0.value) }, value)
        }

        private mutating func add(_ name: String, _ labels: [(String, String)], _ value: String) {
            text += name
            if !labels.isEmpty {
                text += "{" + labels.map { "\($0.0)=\"\(ExpositionText.escaped($0.1))\"" }.joined(separator: ",") + "}"
            }
            text += " \(value)\n"
        }
    }

    /// Label values escape backslash, quotation mark and line feed.
    static func escaped(_ value: String) -> String {
        value.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
    }
}
