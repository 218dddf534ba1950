internal import Proxy
internal import Synchronization

/// The traffic of the last minute, from readings that are taken every other second.
final class TrafficHistory: Sendable {
    struct Window: Sendable, Equatable {
        /// What the readings span; at most a minute.
        var seconds: Double
        var requests: UInt64
        var errors: UInt64
        var logLinesDropped: UInt64 = 0
        var duration: DurationHistogram

        var requestsPerSecond: Double { seconds > 0 ? Double(requests) / seconds : 0 }
        /// 0…1.
        var errorShare: Double { requests > 0 ? Double(errors) / Double(requests) : 0 }
    }

    static let interval = Duration.seconds(2)
    static let readingsMax = 31

    private let readings = Mutex<[(at: ContinuousClock.Instant, reading: TrafficReading)]>([])

    func add(_ reading: TrafficReading, at now: ContinuousClock.Instant) {
        readings.withLock { readings in
            readings.append((now, reading))
            if readings.count > Self.readingsMax { readings.removeFirst() }
        }
    }

    /// From the oldest reading to this one; `nil` before there is one.
    func window(to reading: TrafficReading, at now: ContinuousClock.Instant) -> Window? {
        guard let oldest = readings.withLock({ $0.first }) else { return nil }
        let span = oldest.at.duration(to: now)
        return Window(
            seconds: Double(span.milliseconds) / 1000, requests: reading.requests &- oldest.reading.requests,
            errors: reading.errors &- oldest.reading.errors, logLinesDropped: reading.logLinesDropped &- oldest.reading.logLinesDropped, duration: reading.duration - oldest.reading.duration)
    }
}
