internal import Authentication
internal import Synchronization

/// Writes what has ended here to the state directory, so that neither a sign-out nor an operator's word is undone by a restart.
final class EndedLoginKeeper: Sendable {
    let store: EndedLoginStore
    private let entries: @Sendable () -> [Revocation.Entry]
    private let complain: @Sendable (String) -> Void
    /// Held while the file is written.
    private let turn = Mutex(())
    private let isDue = Atomic(false)

    /// - Parameters:
    ///   - entries: those that count now.
    ///   - complain: told why a write that nobody waits for has failed.
    init(_ store: EndedLoginStore, entries: @escaping @Sendable () -> [Revocation.Entry], complain: @escaping @Sendable (String) -> Void) {
        (self.store, self.entries, self.complain) = (store, entries, complain)
    }

    /// `nil` when it is kept, otherwise why not.
    func keepNow() -> String? { turn.withLock { _ in store.write(entries()) } }

    /// Off the caller's thread, which may be a loop's. Many at once are one write.
    func keepSoon() {
        guard !isDue.exchange(true, ordering: .acquiringAndReleasing) else { return }
        Task.detached { [self] in
            // What ends from now on is due again.
            isDue.store(false, ordering: .releasing)
            if let reason = keepNow() { complain(reason) }
        }
    }
}
