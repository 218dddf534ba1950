internal import Glibc
internal import Logging
internal import Proxy
internal import Synchronization

/// Where `serve --upgrade` asks a running gateway for its sockets: a UNIX socket in the state directory, mode 0600, for the same user or root.
///
/// The conversation, a line a message. The new process: ``greeting``. The old one: `socket PURPOSE` with a descriptor for each listening
/// socket, then `end`. The new one, when all it needs is there: `ready`; or `failed REASON`. The old one, when it accepts no more: `released`,
/// upon which the new one accepts. Up to `ready` the old one serves as if nothing were; a new process that ends earlier changes nothing.
final class UpgradeOffer: Sendable {
    static let greeting = "metaflow-gateway upgrade 1"
    static func path(in stateDirectory: String) -> String { stateDirectory + "/upgrade.sock" }

    /// What the old process does in the conversation; called on the offer's own thread.
    struct Hands: Sendable {
        /// Duplicates of all listening sockets, which the caller closes.
        let sockets: @Sendable () -> [(purpose: SocketPurpose, descriptor: Int32)]
        /// The process is ready to serve them all: stops accepting, and returns when it has.
        let release: @Sendable (_ successor: Int32) -> Void
        /// Drains and ends.
        let leave: @Sendable () -> Void
    }

    /// A new process may wait for its key sets before it is ready.
    private static let readySeconds = 120
    private let path: String
    private let listening: MessageSocket
    private let hands: Hands
    private let logger: Logger
    private let isOver = Mutex(false)

    init(at path: String, hands: Hands, logger: Logger) throws {
        (self.path, self.hands, self.logger) = (path, hands, logger)
        listening = try MessageSocket.listen(at: path)
    }

    func start() throws {
        _ = try SystemThread { [self] in
            while let successor = listening.accept() {
                if serve(successor) { break }
            }
        }
    }

    /// Takes the offer back, unless it has been taken up: then the path is the successor's.
    func withdraw() {
        let wasOpen = isOver.withLock { isOver in
            defer { isOver = true }
            return !isOver
        }
        if wasOpen { unsafe unlink(path) }
        listening.stopListening()
    }

    /// True when the sockets have gone to the successor.
    private func serve(_ successor: MessageSocket) -> Bool {
        guard successor.peerMayTakeOver, let process = successor.peer?.process else {
            logger.warning("upgrade refused: it is neither the user of this process nor root that asks", metadata: ["user": "\(successor.peer?.user ?? .max)"])
            return false
        }
        do throws(MessageSocket.Fault) {
            successor.limitWaits(toSeconds: 10)
            guard let greeting = try? successor.receive() else { return false }
            if greeting.descriptor >= 0 { close(greeting.descriptor) }
            guard greeting.text == Self.greeting else { throw .malformed }
            logger.notice("upgrade begins", metadata: ["successor": "\(process)"])
            try passSockets(to: successor)
            successor.limitWaits(toSeconds: Self.readySeconds)
            let answer = try successor.receive()
            if answer.descriptor >= 0 { close(answer.descriptor) }
            guard answer.text == "ready" else {
                logger.error("upgrade failed: this process goes on serving", metadata: ["successor": "\(process)", "reason": "\(answer.text.prefix(2000))"])
                return false
            }
        } catch {
            logger.error("upgrade failed: this process goes on serving", metadata: ["successor": "\(process)", "reason": "\(error)"])
            return false
        }
        isOver.withLock { $0 = true }
        // Who asks from now on is to ask the successor.
        listening.stopListening()
        hands.release(process)
        // Should it have gone meanwhile, there is no way back: its sockets are all that is left.
        try? successor.send("released")
        logger.notice("upgrade done: the successor serves, this process finishes what is under way", metadata: ["successor": "\(process)"])
        hands.leave()
        return true
    }

    private func passSockets(to successor: MessageSocket) throws(MessageSocket.Fault) {
        let sockets = hands.sockets()
        defer { for socket in sockets { close(socket.descriptor) } }
        for socket in sockets { try successor.send("socket \(socket.purpose)", passing: socket.descriptor) }
        try successor.send("end")
    }
}
