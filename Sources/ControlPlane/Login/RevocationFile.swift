package import Authentication
package import GatewayConfiguration
internal import Synchronization

/// Follows the revocation file (C11): looks at it four times a second, and gives what it says on when it has changed. A look is one `stat`,
/// which follows links, so that a ConfigMap's `..data` swap, a rename and a write in place all show, on network mounts too, where the kernel
/// tells nobody of changes. A file that cannot be read, or is gone, leaves the last good entries in force: forgetting them would let
/// everybody back in.
package final class RevocationFile: Sendable {
    /// From a change to its effect it takes this long and the reading.
    package static let lookEvery = Duration.milliseconds(250)

    package enum Event: Sendable, Equatable {
        case accepted(path: String, entries: Int)
        case refused(path: String, reason: String)
    }

    /// What operators want to know of it.
    package struct Report: Sendable, Equatable {
        package var path: String?
        package var entries = 0
        package var accepted: UInt64 = 0
        package var refused: UInt64 = 0
        /// Why the newest version is not in force; `nil`: it is.
        package var fault: String?
    }

    private struct State {
        var stamp: FileStamp?
        var report = Report()
    }

    private let state = Mutex(State())
    /// One look at a time, so that an older version never follows a newer one.
    private let looking = Mutex(())
    private let task = Mutex<Task<Void, Never>?>(nil)
    private let read: @Sendable (_ path: String) -> Result<Revocation, Fault>
    private let publish: @Sendable (Revocation) -> Void
    private let observe: @Sendable (Event) -> Void

    package struct Fault: Error, Equatable { package let reason: String }

    /// - Parameters:
    ///   - publish: is given what the file says, whole; nothing when there is no file any more.
    ///   - observe: is told of each version, for the log.
    package init(
        surroundings: Surroundings, publish: @escaping @Sendable (Revocation) -> Void, observe: @escaping @Sendable (Event) -> Void
    ) {
        read = { Self.read($0, surroundings) }
        self.publish = publish
        self.observe = observe
    }

    package var report: Report { state.withLock(\.report) }

    // MARK: Configurations

    /// What a configuration's file says, before anything is changed.
    /// - Throws: where a file that is named anew cannot be used: a gateway that starts without it would let in who was turned out.
    package func prepare(_ reference: Configuration.FileReference?) throws(Diagnostics) -> Revocation? {
        guard let reference, reference.path != report.path else { return nil }
        return try Self.check(reference, read(reference.path))
    }

    /// Follows the file of an accepted configuration.
    /// - Parameter prepared: of `prepare`.
    package func follow(_ reference: Configuration.FileReference?, _ prepared: Revocation?) {
        guard let reference else {
            let hadOne = state.withLock { state in
                defer { state = State() }
                return state.report.path != nil
            }
            if hadOne { publish(.none) }
            return
        }
        guard let prepared else { return }
        state.withLock { state in
            // The next look compares with nothing and reads once more: a change since `prepare` is not missed.
            state.stamp = nil
            state.report = Report(path: reference.path)
        }
        publish(prepared)
        look()
    }

    /// For `check`: what is wrong with the file that a configuration names.
    package static func check(_ configuration: Configuration, surroundings: Surroundings = .machine) throws(Diagnostics) {
        guard let reference = configuration.revocationFile else { return }
        _ = try check(reference, read(reference.path, surroundings))
    }

    private static func check(_ reference: Configuration.FileReference, _ result: Result<Revocation, Fault>) throws(Diagnostics) -> Revocation {
        switch result {
        case .success(let revocation): return revocation
        case .failure(let fault):
            throw Diagnostics(faults: [Diagnostic(.error, at: reference.location, setting: "revocation.file", value: reference.path, fault.reason)], warnings: [])
        }
    }

    // MARK: Looking

    package func start() {
        task.withLock { task in
            guard task == nil else { return }
            task = Task.detached { [weak self] in
                while !Task.isCancelled {
                    try? await Task.sleep(for: Self.lookEvery)
                    self?.look()
                }
            }
        }
    }

    package func stop() {
        task.withLock { task in
            task?.cancel()
            task = nil
        }
    }

    /// Reads the file where it has changed since the last look.
    package func look() { looking.withLock { _ in lookAlone() } }

    private func lookAlone() {
        guard let path = report.path else { return }
        let stamp = FileStamp(path)
        let isChanged = state.withLock { state in
            guard state.report.path == path, state.stamp != stamp || (stamp == nil && state.report.fault == nil) else { return false }
            state.stamp = stamp
            return true
        }
        guard isChanged else { return }
        switch read(path) {
        case .success(let revocation):
            let isCurrent = state.withLock { state in
                guard state.report.path == path else { return false }
                state.report.entries = revocation.entries.count
                state.report.accepted &+= 1
                state.report.fault = nil
                return true
            }
            guard isCurrent else { return }
            publish(revocation)
            observe(.accepted(path: path, entries: revocation.entries.count))
        case .failure(let fault):
            state.withLock { state in
                guard state.report.path == path else { return }
                state.report.refused &+= 1
                state.report.fault = fault.reason
            }
            observe(.refused(path: path, reason: fault.reason))
        }
    }

    private static func read(_ path: String, _ surroundings: Surroundings) -> Result<Revocation, Fault> {
        switch surroundings.read(path, Revocation.documentBytesMax) {
        case .failure(let fault): return .failure(Fault(reason: "\(path) \(fault). Write it beside its place and rename it there."))
        case .success(let bytes):
            do throws(AuthenticationError) { return .success(try Revocation(document: bytes.span)) } catch {
                return .failure(Fault(reason: "\(path) \(error)"))
            }
        }
    }
}
