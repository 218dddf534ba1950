/// Tells of a fault at once, and then of its like only once an interval, so that a full disk does not fill another one.
struct LogReports {
    private let interval: Duration
    private let report: @Sendable (LogFault) -> Void
    /// When each kind of fault was told last.
    private var last: [Kind: ContinuousClock.Instant] = [:]

    private enum Kind: Hashable { case start, open, write, dropped }

    init(interval: Duration, report: @escaping @Sendable (LogFault) -> Void) {
        (self.interval, self.report) = (interval, report)
    }

    mutating func tell(_ fault: LogFault, always: Bool = false, at now: ContinuousClock.Instant = .now) {
        let kind: Kind = switch fault {
        case .cannotStart: .start
        case .cannotOpen: .open
        case .cannotWrite: .write
        case .dropped: .dropped
        }
        if let before = last[kind], now - before < interval, !always { return }
        last[kind] = now
        report(fault)
    }
}
