internal import Glibc

/// A thread of our own that takes no signals: they are for the main thread, and a SIGPIPE, libcurl's too, must not end the process.
package struct SystemThread: @unchecked Sendable {
    private let identifier: pthread_t

    package init(_ body: @escaping @Sendable () -> Void) throws(SystemError) {
        let box = unsafe Unmanaged.passRetained(ThreadBody(run: body))
        var identifier = pthread_t()
        let failure = unsafe pthread_create(&identifier, nil, { argument in
            guard let argument = unsafe argument else { return nil }
            let body = unsafe Unmanaged<ThreadBody>.fromOpaque(argument).takeRetainedValue()
            var all = sigset_t()
            unsafe sigfillset(&all)
            unsafe pthread_sigmask(SIG_BLOCK, &all, nil)
            body.run()
            return nil
        }, box.toOpaque())
        guard failure == 0 else {
            unsafe box.release()
            throw SystemError(failure)
        }
        self.identifier = identifier
    }

    /// Waits for the thread's end; called from the thread itself, it lets it end alone.
    package func join() {
        if pthread_equal(identifier, pthread_self()) != 0 {
            pthread_detach(identifier)
        } else {
            pthread_join(identifier, nil)
        }
    }
}

private final class ThreadBody: Sendable {
    let run: @Sendable () -> Void

    init(run: @escaping @Sendable () -> Void) { self.run = run }
}
