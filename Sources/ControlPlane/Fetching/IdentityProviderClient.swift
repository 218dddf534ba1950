import CCurl
internal import Proxy
import Synchronization

package typealias FetchCompletion = @Sendable (Result<FetchResponse, FetchError>) -> Void

/// All that the gateway fetches — key sets, discovery, tokens, revocation — through libcurl, on one thread of its own, so
/// that no event loop ever waits (DESIGN §4.5, §5).
///
/// - TLS 1.2 or later, peer and host verified, always; plain http to loopback hosts only.
/// - Only http and https; no redirects, no cookies, no netrc. `http_proxy` and its like are not honoured: where a proxy is the
///   only way out, the machine's routing must know it.
/// - Connections are kept and used again for GET; a POST has its own, since it must never be sent twice.
/// - At most `runningMax` fetches run; `waitingMax` more wait, within their own timeouts; a further one is refused.
package final class IdentityProviderClient: Sendable {
    package static let runningMax = 64
    package static let waitingMax = 256

    private let loop: FetchLoop
    private let thread: Mutex<SystemThread?>

    /// Starts the thread.
    /// - Throws: `FetchError.other` when the system gives no thread or libcurl no memory.
    package init(userAgent: String) throws(FetchError) {
        let loop = try FetchLoop(userAgent: userAgent)
        self.loop = loop
        do throws(SystemError) { thread = Mutex(try SystemThread { loop.run() }) } catch { throw .other("no thread for fetching: \(error)") }
    }

    deinit { shutdown() }

    /// Begins a fetch. `completion` is called exactly once, on the fetch thread, and must not wait; only when the fetch is
    /// refused at once (`.overloaded`, or `.cancelled` after `shutdown`) it is called by the caller's thread, before this returns.
    @discardableResult
    package func send(_ request: FetchRequest, completion: @escaping FetchCompletion) -> FetchID {
        loop.send(request, completion: completion)
    }

    /// Ends the fetch with `.cancelled` unless it is over already.
    package func cancel(_ fetch: FetchID) { loop.tell(.cancel(fetch)) }

    /// Calls `body` on the fetch thread, `delay` from now. It is dropped when the client is shut down before.
    package func after(_ delay: Duration, _ body: @escaping @Sendable () -> Void) {
        loop.tell(.timer(ContinuousClock.now + delay, body))
    }

    /// Ends the thread; what ran or waited is completed with `.cancelled`. A second call returns at once. Called by a
    /// completion, it ends the thread after that completion.
    package func shutdown() {
        let running = thread.withLock { thread in
            defer { thread = nil }
            return thread
        }
        guard let running else { return }
        loop.close()
        running.join()
    }
}
