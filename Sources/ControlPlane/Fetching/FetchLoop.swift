import CCurl
import Synchronization

/// The fetch thread's own state and work. Other threads only put orders into `inbox` and wake it.
@safe
final class FetchLoop: @unchecked Sendable {
    enum Order: Sendable {
        case start(FetchID, FetchRequest, deadline: ContinuousClock.Instant, FetchCompletion)
        case cancel(FetchID)
        case timer(ContinuousClock.Instant, @Sendable () -> Void)
    }

    private struct Inbox: Sendable {
        var orders: [Order] = []
        var isOpen = true
        var nextNumber: UInt64 = 1
        /// Fetches that are not completed yet.
        var outstanding = 0
    }

    private struct Waiting {
        let fetch: FetchID
        let request: FetchRequest
        let deadline: ContinuousClock.Instant
        let completion: FetchCompletion
    }

    private let inbox = Mutex(Inbox())
    private let multi: UnsafeMutableRawPointer
    private let userAgent: String
    private var running: [FetchID: Transfer] = [:]
    private var waiting: [Waiting] = []
    private var timers: [(deadline: ContinuousClock.Instant, body: @Sendable () -> Void)] = []

    private static let outstandingMax = IdentityProviderClient.runningMax + IdentityProviderClient.waitingMax
    /// Once a process, thread-safe (curl_global_init(3)).
    private static let globalOutcome = curl_global_init(Int(CURL_GLOBAL_DEFAULT))

    init(userAgent: String) throws(FetchError) {
        guard Self.globalOutcome == CURLE_OK, let multi = unsafe curl_multi_init() else { throw .other("libcurl cannot start") }
        unsafe self.multi = multi
        self.userAgent = userAgent
        unsafe curl_multi_set_connections(multi, IdentityProviderClient.runningMax)
    }

    deinit {
        running.removeAll()
        unsafe curl_multi_cleanup(multi)
    }

    // MARK: Called by any thread

    func send(_ request: FetchRequest, completion: @escaping FetchCompletion) -> FetchID {
        let deadline = ContinuousClock.now + request.timeout
        let (fetch, refusal): (FetchID, FetchError?) = inbox.withLock { inbox in
            let fetch = FetchID(number: inbox.nextNumber)
            inbox.nextNumber += 1
            guard inbox.isOpen else { return (fetch, .cancelled) }
            guard inbox.outstanding < Self.outstandingMax else { return (fetch, .overloaded(limit: Self.outstandingMax)) }
            inbox.outstanding += 1
            inbox.orders.append(.start(fetch, request, deadline: deadline, completion))
            unsafe curl_multi_wakeup(multi)
            return (fetch, nil)
        }
        if let refusal { completion(.failure(refusal)) }
        return fetch
    }

    func tell(_ order: Order) {
        inbox.withLock { inbox in
            guard inbox.isOpen else { return }
            inbox.orders.append(order)
            unsafe curl_multi_wakeup(multi)
        }
    }

    func close() {
        inbox.withLock { inbox in
            inbox.isOpen = false
            unsafe curl_multi_wakeup(multi)
        }
    }

    // MARK: The thread

    func run() {
        while takeOrders() {
            expireWaiting()
            startWaiting()
            var count: Int32 = 0
            unsafe curl_multi_perform(multi, &count)
            takeFinished()
            runTimers()
            let canStart = !waiting.isEmpty && running.count < IdentityProviderClient.runningMax
            unsafe curl_multi_poll(multi, nil, 0, canStart ? 0 : nextDeadlineMilliseconds, nil)
        }
        for (_, transfer) in running {
            unsafe curl_multi_remove_handle(multi, transfer.easy)
            complete(transfer.completion, .failure(.cancelled))
        }
        running.removeAll()
        for entry in waiting { complete(entry.completion, .failure(.cancelled)) }
        waiting.removeAll()
        timers.removeAll()
    }

    /// False once the loop is closed; then all that was ordered stands in `waiting` and `running`.
    private func takeOrders() -> Bool {
        let (orders, isOpen) = inbox.withLock { inbox in
            defer { inbox.orders.removeAll() }
            return (inbox.orders, inbox.isOpen)
        }
        for order in orders {
            switch order {
            case .start(let fetch, let request, let deadline, let completion):
                waiting.append(Waiting(fetch: fetch, request: request, deadline: deadline, completion: completion))
            case .cancel(let fetch):
                cancel(fetch)
            case .timer(let deadline, let body):
                timers.append((deadline, body))
            }
        }
        return isOpen
    }

    private func cancel(_ fetch: FetchID) {
        if let transfer = running.removeValue(forKey: fetch) {
            unsafe curl_multi_remove_handle(multi, transfer.easy)
            complete(transfer.completion, .failure(.cancelled))
        } else if let index = waiting.firstIndex(where: { $0.fetch == fetch }) {
            complete(waiting.remove(at: index).completion, .failure(.cancelled))
        }
    }

    private func expireWaiting() {
        let now = ContinuousClock.now
        guard waiting.contains(where: { $0.deadline <= now }) else { return }
        let expired = waiting.filter { $0.deadline <= now }
        waiting.removeAll { $0.deadline <= now }
        for entry in expired { complete(entry.completion, .failure(.timedOut(host: "the queue of fetches", after: entry.request.timeout))) }
    }

    private func startWaiting() {
        while running.count < IdentityProviderClient.runningMax, !waiting.isEmpty {
            let entry = waiting.removeFirst()
            do {
                let transfer = try Transfer(
                    entry.request, remaining: entry.deadline - ContinuousClock.now, userAgent: userAgent, completion: entry.completion
                )
                guard unsafe curl_multi_add_handle(multi, transfer.easy) == CURLM_OK else { throw FetchError.other("libcurl takes no more transfers") }
                running[entry.fetch] = transfer
            } catch {
                complete(entry.completion, .failure(error as? FetchError ?? .other("\(error)")))
            }
        }
    }

    private func takeFinished() {
        var left: Int32 = 0
        while let message = unsafe curl_multi_info_read(multi, &left) {
            guard unsafe message.pointee.msg == CURLMSG_DONE, let easy = unsafe message.pointee.easy_handle else { continue }
            let code = unsafe message.pointee.data.result
            guard let (fetch, transfer) = running.first(where: { unsafe $0.value.easy == easy }) else { continue }
            let result = transfer.result(code)
            running.removeValue(forKey: fetch)
            unsafe curl_multi_remove_handle(multi, easy)
            complete(transfer.completion, result)
        }
    }

    private func runTimers() {
        let now = ContinuousClock.now
        let due = timers.filter { $0.deadline <= now }.sorted { $0.deadline < $1.deadline }
        guard !due.isEmpty else { return }
        timers.removeAll { $0.deadline <= now }
        for timer in due { timer.body() }
    }

    private func complete(_ completion: FetchCompletion, _ result: Result<FetchResponse, FetchError>) {
        inbox.withLock { $0.outstanding -= 1 }
        completion(result)
    }

    /// Until a timer or a waiting fetch is due; libcurl shortens it by its own timers. The first is met by rounding up.
    private var nextDeadlineMilliseconds: Int32 {
        let deadlines = timers.map(\.deadline) + waiting.map(\.deadline)
        guard let next = deadlines.min() else { return 60_000 }
        return Int32(min(max(0, (next - ContinuousClock.now).wholeMilliseconds), 60_000))
    }
}

private func curl_multi_set_connections(_ multi: UnsafeMutableRawPointer, _ count: Int) {
    unsafe gateway_curl_multi_set_long(multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, count)
    unsafe gateway_curl_multi_set_long(multi, CURLMOPT_MAXCONNECTS, count)
}

extension Duration {
    /// Rounded up; at least 1, at most about 24 days. libcurl takes 0 for "no limit".
    var wholeMilliseconds: Int {
        let (seconds, attoseconds) = components
        guard seconds < 2_000_000 else { return 2_000_000_000 }
        return Int(max(1, seconds * 1000 + (attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000))
    }
}
