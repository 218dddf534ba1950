/// What has become of a run, by the rules of Metaflow's own UI: nobody records a run's end, so it is read off its last step, its
/// tasks' attempts and its heartbeat.
enum RunState: String, Sendable, Equatable {
    case running, completed, failed

    /// Heartbeats come every 10 s. Without one for this long the run's process is gone; if a task has failed, that was why.
    static let silenceAfterFailureSeconds: Int64 = 60
    /// Without one for this long the run has failed, whatever else is known.
    static let silenceSeconds: Int64 = 360

    /// - Parameters:
    ///   - endSucceeded: whether the last attempt of the `end` step succeeded; nothing while it has not ended.
    ///   - hasFailedTask: whether some task's last attempt failed.
    ///   - lastSign: the last heartbeat, or the start of a run whose client sends none; seconds.
    static func derived(endSucceeded: Bool?, hasFailedTask: Bool, lastSign: Int64, now: Int64) -> RunState {
        if endSucceeded == true { return .completed }
        let silence = now - lastSign
        if silence > silenceSeconds { return .failed }
        if hasFailedTask || endSucceeded == false, silence > silenceAfterFailureSeconds { return .failed }
        return .running
    }
}
