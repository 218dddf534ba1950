/// A measured time in whole microseconds; a log line shows it in milliseconds with three decimals. Never negative.
package struct LogDuration: Sendable, Hashable, Comparable {
    package let microseconds: UInt64

    package init(microseconds: Int64) { self.microseconds = UInt64(max(0, microseconds)) }
    package init(nanoseconds: Int64) { self.init(microseconds: nanoseconds / 1000) }
    /// A longer time than 292,000 years is shown as that.
    package init(_ duration: Duration) {
        let (seconds, attoseconds) = duration.components
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000)
        let (sum, carried) = product.addingReportingOverflow(attoseconds / 1_000_000_000_000)
        self.init(microseconds: overflow || carried ? (seconds < 0 ? 0 : Int64.max) : sum)
    }

    package static func < (left: LogDuration, right: LogDuration) -> Bool { left.microseconds < right.microseconds }
}
