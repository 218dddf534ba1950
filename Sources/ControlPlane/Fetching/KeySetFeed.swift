import Authentication
import GatewayTerms
import Synchronization

/// The key set of one issuer: state behind a lock, acts outside it.
final class KeySetFeed: Sendable {
    typealias Waiter = @Sendable (RefetchState) -> Void

    private struct State {
        var schedule: KeySetSchedule
        var keySet: KeySet?
        /// From the discovery document; forgotten when a fetch fails, since the provider may have moved.
        var discoveredURL: String?
        var waiters: [UInt64: Waiter] = [:]
        var nextWaiter: UInt64 = 0
        /// Timers cannot be taken back: one of an older number finds that it is late and does nothing.
        var timer: UInt64 = 0
        var storedAt: ContinuousClock.Instant?
        var lastFailure: String?
        var isStopped = false
    }

    let source: KeySetSource
    private let store: KeySetStore?
    private let ports: KeySetPorts
    private let limits: KeySetFetcher.Limits
    private let observe: @Sendable (KeySetEvent) -> Void
    private let state: Mutex<State>

    init(
        _ source: KeySetSource, store: KeySetStore?, ports: KeySetPorts, times: KeySetSchedule.Times, limits: KeySetFetcher.Limits,
        observe: @escaping @Sendable (KeySetEvent) -> Void
    ) {
        (self.source, self.store, self.ports, self.limits, self.observe) = (source, store, ports, limits, observe)
        state = Mutex(State(schedule: KeySetSchedule(startingAt: ports.now(), times: times)))
    }

    // MARK: Events

    func restore() {
        guard let store else { return }
        do {
            guard let copy = try store.read(issuer: source.issuer, documentBytesMax: KeySet.documentBytesMax) else { return }
            let keySet = try KeySet(document: copy.document, issuer: source.issuer, generation: KeySetGeneration.next())
            let (milliseconds, overflow) = ports.wallNow().milliseconds.subtractingReportingOverflow(copy.fetchedAt.milliseconds)
            let age = Duration.milliseconds(overflow ? -1 : milliseconds)
            let now = ports.now()
            let isUsed = state.withLock { state in
                guard state.schedule.restored(age: age, at: now) == .useKeys else { return false }
                state.keySet = keySet
                state.storedAt = now
                return true
            }
            if isUsed {
                observe(.published(keySet, age: age))
            } else {
                observe(.storeFailed(issuer: source.issuer, reason: "The copy is \(age.readable) old, which is too old or in the future."))
            }
        } catch {
            observe(.storeFailed(issuer: source.issuer, reason: "\(error)"))
        }
    }

    /// Does what the schedule wants now, and sets the timer for what it wants next.
    func advance() {
        while true {
            let now = ports.now()
            let (action, timer) = state.withLock { state in
                guard !state.isStopped else { return (KeySetSchedule.TimePassedAction.wait(until: nil), state.timer) }
                state.timer += 1
                let action = state.schedule.timePassed(at: now)
                if action == .discardKeys { state.keySet = nil }
                return (action, state.timer)
            }
            switch action {
            case .fetch:
                fetch()
            case .discardKeys:
                observe(.withdrawn(issuer: source.issuer))
            case .wait(let instant):
                guard let instant else { return }
                ports.after(max(.zero, now.duration(to: instant))) { [weak self] in self?.timerFired(timer) }
                return
            }
        }
    }

    private func timerFired(_ timer: UInt64) {
        guard state.withLock({ $0.timer == timer && !$0.isStopped }) else { return }
        advance()
    }

    func refetch(_ waiter: @escaping Waiter) {
        enum Answer { case now(RefetchState), later(UInt64, begins: Bool) }
        let now = ports.now()
        let answer: Answer = state.withLock { state in
            guard !state.isStopped else { return .now(.failed) }
            guard state.waiters.count < limits.waitersMax else { return .now(.throttled) }
            let begins: Bool
            switch state.schedule.refetchWanted(at: now) {
            case .fetch: begins = true
            case .joinFetch: begins = false
            case .throttled: return .now(.throttled)
            }
            let number = state.nextWaiter
            state.nextWaiter += 1
            state.waiters[number] = waiter
            return .later(number, begins: begins)
        }
        switch answer {
        case .now(let outcome):
            waiter(outcome)
        case .later(let number, let begins):
            ports.after(limits.refetchWait) { [weak self] in
                self?.state.withLock { $0.waiters.removeValue(forKey: number) }?(.failed)
            }
            if begins { fetch() }
        }
    }

    func stop() {
        let waiters = state.withLock { state in
            state.isStopped = true
            defer { state.waiters = [:] }
            return state.waiters
        }
        for (_, waiter) in waiters.sorted(by: { $0.key < $1.key }) { waiter(.failed) }
    }

    func status() -> KeySetFetcher.Status {
        let now = ports.now()
        return state.withLock { state in
            KeySetFetcher.Status(
                issuer: source.issuer, keyIDs: state.keySet?.keys.map(\.keyID) ?? [], age: state.schedule.keysAge(at: now),
                failures: state.schedule.failures, lastFailure: state.lastFailure
            )
        }
    }

    // MARK: One fetch, in one or two steps

    private func fetch() {
        let discovered = state.withLock { $0.discoveredURL }
        switch source.location {
        case .keySet(let url):
            fetchKeySet(url)
        case .discovery(let url):
            if let discovered { fetchKeySet(discovered) } else { discover(url) }
        }
    }

    private func discover(_ url: String) {
        get(url) { [self] response in
            do throws(DiscoveryDocument.Fault) {
                let document = try DiscoveryDocument(response.body, issuer: source.issuer)
                state.withLock { $0.discoveredURL = document.keySetURL }
                fetchKeySet(document.keySetURL)
            } catch {
                failed("\(error)")
            }
        }
    }

    private func fetchKeySet(_ url: String) {
        get(url) { [self] response in
            do {
                fetched(try KeySet(document: response.body, issuer: source.issuer, generation: KeySetGeneration.next()), maxAge: response.cacheControlMaxAge)
            } catch {
                failed("\(error)")
            }
        }
    }

    private func get(_ url: String, then read: @escaping @Sendable (FetchResponse) -> Void) {
        let request = FetchRequest(
            url: url, fields: [(name: "Accept", value: "application/json")], timeout: limits.fetch, bodyBytesMax: KeySet.documentBytesMax, caFile: source.caFile
        )
        ports.fetch(request) { [weak self] result in
            guard let self else { return }
            switch result {
            case .success(let response) where response.status == 200: read(response)
            case .success(let response): failed("\(FetchAddress.withoutSecrets(url)) answers \(response.status) instead of 200.")
            case .failure(let error): failed(error.description)
            }
        }
    }

    private func fetched(_ keySet: KeySet, maxAge: Int64?) {
        let now = ports.now()
        let (event, waiters, stores): (KeySetEvent?, [UInt64: Waiter], Bool) = state.withLock { state in
            guard !state.isStopped else { return (nil, [:], false) }
            _ = state.schedule.fetched(at: now, maxAge: maxAge, random: ports.random())
            state.lastFailure = nil
            let isNew = !(state.keySet?.hasSameKeys(as: keySet) ?? false)
            if isNew { state.keySet = keySet }
            let stores = isNew || state.storedAt.map { $0.duration(to: now) >= limits.storeEvery } ?? true
            if stores { state.storedAt = now }
            defer { state.waiters = [:] }
            return (isNew ? .published(keySet, age: .zero) : .confirmed(issuer: source.issuer), state.waiters, stores)
        }
        guard let event else { return }
        // Published first: who waits looks the kid up again at once.
        observe(event)
        for (_, waiter) in waiters.sorted(by: { $0.key < $1.key }) { waiter(.done) }
        if stores { save(keySet) }
        advance()
    }

    private func failed(_ reason: String) {
        let now = ports.now()
        let (event, waiters): (KeySetEvent?, [UInt64: Waiter]) = state.withLock { state in
            guard !state.isStopped else { return (nil, [:]) }
            let failure = state.schedule.failed(at: now, random: ports.random())
            state.discoveredURL = nil
            state.lastFailure = reason
            defer { state.waiters = [:] }
            return (.failed(issuer: source.issuer, reason: reason, failures: failure.count, retryIn: now.duration(to: failure.retryAt), warns: failure.warns), state.waiters)
        }
        guard let event else { return }
        observe(event)
        for (_, waiter) in waiters.sorted(by: { $0.key < $1.key }) { waiter(.failed) }
        advance()
    }

    private func save(_ keySet: KeySet) {
        guard let store else { return }
        do throws(StateFile.Fault) {
            try store.write(keySet.document, issuer: source.issuer, fetchedAt: ports.wallNow())
        } catch {
            // Not tried again before the keys change or `storeEvery` has passed: a full disk must not fill the log.
            observe(.storeFailed(issuer: source.issuer, reason: error.description))
        }
    }
}

/// Numbers for key sets, no two alike in a process.
/// Numbers for `KeySet.generation`: never the same twice in a process.
enum KeySetGeneration {
    private static let last = Atomic<UInt64>(0)

    static func next() -> UInt64 { last.wrappingAdd(1, ordering: .relaxed).newValue }
}
