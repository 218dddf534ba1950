internal import GRDB
internal import GatewayTerms
internal import Synchronization

/// `/ws` of the run browser, in the manner of Metaflow's UI back end: a client subscribes to resources and is told of what is new and what
/// has changed. `__ping__` is answered with `__pong__`.
final class LiveUpdates: Sendable {
    /// Subscriptions of one client; a further one is not heard.
    static let subscriptionsMax = 32
    /// Clients at a time; a further one is let go at once.
    static let clientsMax = 256

    private enum Event: Sendable {
        case said(String)
        case changed
    }

    private struct State {
        var observation: AnyDatabaseCancellable?
        var listeners: [Int: AsyncStream<Void>.Continuation] = [:]
        var next = 0
    }

    private let browser: RunBrowser
    private let clock: @Sendable () -> WallTime
    private let state = Mutex(State())

    init(browser: RunBrowser, database: DatabasePool, clock: @escaping @Sendable () -> WallTime) {
        (self.browser, self.clock) = (browser, clock)
        let observation = DatabaseRegionObservation(tracking: Table("runs"), Table("tasks"), Table("metadata"))
            .start(in: database, onError: { _ in }, onChange: { [weak self] _ in self?.tell() })
        state.withLock { $0.observation = observation }
    }

    var endpoint: WebSocketEndpoint {
        // Beside the path that the gateway's stripped prefix leaves, the one that the pages ask for where no gateway stands before them.
        WebSocketEndpoint(paths: ["/ws", "/api/ws"]) { [self] line in await converse(line) }
    }

    /// Something was recorded.
    private func tell() {
        let listeners = state.withLock { Array($0.listeners.values) }
        for listener in listeners { listener.yield() }
    }

    private func converse(_ line: WebSocketLine) async {
        // However many changes come while a client is served, they are one.
        let (changes, change) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        let number = state.withLock { state -> Int? in
            guard state.listeners.count < Self.clientsMax else { return nil }
            state.next += 1
            state.listeners[state.next] = change
            return state.next
        }
        guard let number else { return }
        defer { state.withLock { _ = $0.listeners.removeValue(forKey: number) } }
        let (events, event) = AsyncStream.makeStream(of: Event.self, bufferingPolicy: .bufferingOldest(256))
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                for await message in line.messages { event.yield(.said(message)) }
                event.finish()
            }
            group.addTask { for await _ in changes { event.yield(.changed) } }
            // A run that falls silent fails without anything being recorded.
            group.addTask { while (try? await Task.sleep(for: .seconds(5))) != nil { change.yield() } }
            var subscriptions: [LiveSubscription] = []
            for await event in events {
                switch event {
                case .said("__ping__"): line.send("__pong__")
                case .said(let text): await hear(text, &subscriptions, line)
                case .changed:
                    for index in subscriptions.indices {
                        guard let rows = try? await browser.rows(of: subscriptions[index].resource) else { continue }
                        for message in subscriptions[index].follow(rows) { line.send(message.written(.compact)) }
                    }
                }
            }
            group.cancelAll()
        }
    }

    /// A message that is none of ours is not answered, as there.
    private func hear(_ text: String, _ subscriptions: inout [LiveSubscription], _ line: WebSocketLine) async {
        guard let message = try? JSON(parsing: Array(text.utf8)), let identifier = message["uuid"]?.stringValue else { return }
        switch message["type"]?.stringValue {
        case "UNSUBSCRIBE": subscriptions.removeAll { $0.identifier == identifier }
        case "SUBSCRIBE":
            subscriptions.removeAll { $0.identifier == identifier }
            guard subscriptions.count < Self.subscriptionsMax, let path = message["resource"]?.stringValue, let resource = LiveResource(path) else { return }
            var subscription = LiveSubscription(identifier: identifier, path: path, resource: resource)
            guard let rows = try? await browser.rows(of: resource) else { return }
            for message in subscription.begin(rows, since: Self.milliseconds(message["since"])) { line.send(message.written(.compact)) }
            subscriptions.append(subscription)
        default: break
        }
    }

    /// `since` comes in seconds or milliseconds; a second earlier, so that nothing is missed between two clocks.
    static func milliseconds(_ since: JSON?) -> Int64? {
        guard let value = since?.integerValue, value > 0, value < 100_000_000_000_000 else { return nil }
        return (value < 100_000_000_000 ? value * 1000 : value) - 1000
    }
}
