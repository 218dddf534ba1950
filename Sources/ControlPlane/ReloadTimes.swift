internal import Logging

/// Where the time of one reload went: reading and checking the files, compiling them, judging
/// what they change, telling the loops.
struct ReloadTimes {
    var read = Duration.zero
    var compile = Duration.zero
    var judge = Duration.zero
    var publish = Duration.zero
    private var last = ContinuousClock.now

    /// Time since the last call, or since the beginning.
    mutating func sinceLast() -> Duration {
        let now = ContinuousClock.now
        defer { last = now }
        return now - last
    }

    var metadata: Logger.Metadata {
        [
            "read_ms": "\(Self.milliseconds(read))", "compile_ms": "\(Self.milliseconds(compile))", "judge_ms": "\(Self.milliseconds(judge))",
            "publish_ms": "\(Self.milliseconds(publish))",
        ]
    }

    /// With one digit behind the point.
    private static func milliseconds(_ duration: Duration) -> Double { (duration / .milliseconds(1) * 10).rounded() / 10 }
}
