internal import Authentication
internal import GatewayTerms
internal import Synchronization

/// The one owner of ``EndedLogins``: changed from any thread, published to all loops.
final class SharedEndedLogins: Sendable {
    private let state = Mutex(EndedLogins())
    private let counts = Mutex<UInt64>(0)
    private let publish: @Sendable (Revocation) -> Void

    init(publish: @escaping @Sendable (Revocation) -> Void) { self.publish = publish }

    /// How many entries were made here.
    var endedCount: UInt64 { counts.withLock { $0 } }
    var entryCount: Int { state.withLock { $0.revocation.entries.count } }
    func own(at now: WallTime) -> [Revocation.Entry] { state.withLock { $0.own(at: now) } }

    /// What an earlier process kept; it is not counted again.
    func restore(_ entries: [Revocation.Entry], now: WallTime) { add(entries, now) }

    /// The revocation file was read anew.
    func follow(_ file: Revocation, now: WallTime) {
        publish(state.withLock { state in
            state.follow(file, now: now)
            return state.revocation
        })
    }

    func end(_ entries: [Revocation.Entry], now: WallTime) {
        counts.withLock { $0 &+= UInt64(entries.count) }
        add(entries, now)
    }

    private func add(_ entries: [Revocation.Entry], _ now: WallTime) {
        publish(state.withLock { state in
            state.end(entries, now: now)
            return state.revocation
        })
    }
}
