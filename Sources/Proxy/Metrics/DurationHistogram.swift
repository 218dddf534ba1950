/// How long things took, counted by upper bounds from 1 ms to 60 s (E6), and their sum.
package struct DurationHistogram: Sendable, Equatable {
    /// The upper bounds in nanoseconds, and as `le` says them in seconds; what took longer counts as `+Inf`.
    package static let bounds: [(nanoseconds: Int64, label: String)] = [
        (1_000_000, "0.001"), (2_500_000, "0.0025"), (5_000_000, "0.005"), (10_000_000, "0.01"), (25_000_000, "0.025"), (50_000_000, "0.05"),
        (100_000_000, "0.1"), (250_000_000, "0.25"), (500_000_000, "0.5"), (1_000_000_000, "1"), (2_500_000_000, "2.5"), (5_000_000_000, "5"),
        (10_000_000_000, "10"), (30_000_000_000, "30"), (60_000_000_000, "60"),
    ]

    /// One more than there are bounds; each counts what lies above the bound before it.
    private var buckets = InlineArray<16, UInt64>(repeating: 0)
    package private(set) var nanoseconds: UInt64 = 0

    package init() {}

    package mutating func record(_ nanoseconds: Int64) {
        let value = max(0, nanoseconds)
        buckets[Self.index(of: value)] &+= 1
        self.nanoseconds &+= UInt64(value)
    }

    /// Most requests are over within the first few bounds, so a walk is shorter than a search.
    private static func index(of value: Int64) -> Int {
        if value <= 1_000_000 { return 0 }
        if value <= 2_500_000 { return 1 }
        if value <= 5_000_000 { return 2 }
        for index in 3..<bounds.count where value <= bounds[index].nanoseconds { return index }
        return bounds.count
    }

    package var count: UInt64 {
        var sum: UInt64 = 0
        for index in 0..<16 { sum &+= buckets[index] }
        return sum
    }

    /// Up to each bound and, last, all: as the exposition format wants them.
    package var cumulative: [UInt64] {
        var sum: UInt64 = 0
        return (0..<16).map { index in
            sum &+= buckets[index]
            return sum
        }
    }

    /// The duration that a share of what was counted did not exceed, in seconds, interpolated within its bucket as Prometheus does; beyond
    /// the last bound it is that bound. `nil` where nothing was counted.
    /// - Parameter share: 0…1.
    package func quantile(_ share: Double) -> Double? {
        let all = count
        guard all > 0 else { return nil }
        let rank = share * Double(all)
        var below: UInt64 = 0
        var lower = 0.0
        for (index, bound) in Self.bounds.enumerated() {
            let upper = Double(bound.nanoseconds) / 1e9
            let inside = buckets[index]
            if inside > 0, Double(below &+ inside) >= rank { return lower + (upper - lower) * (rank - Double(below)) / Double(inside) }
            below &+= inside
            lower = upper
        }
        return lower
    }

    package static func + (left: DurationHistogram, right: DurationHistogram) -> DurationHistogram { left.combined(with: right, &+) }
    /// What was counted between two readings.
    package static func - (later: DurationHistogram, earlier: DurationHistogram) -> DurationHistogram { later.combined(with: earlier, &-) }

    private func combined(with other: DurationHistogram, _ combine: (UInt64, UInt64) -> UInt64) -> DurationHistogram {
        var result = self
        for index in 0..<16 { result.buckets[index] = combine(buckets[index], other.buckets[index]) }
        result.nanoseconds = combine(nanoseconds, other.nanoseconds)
        return result
    }

    package static func == (left: DurationHistogram, right: DurationHistogram) -> Bool {
        left.nanoseconds == right.nanoseconds && left.cumulative == right.cumulative
    }
}
