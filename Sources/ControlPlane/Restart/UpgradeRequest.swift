internal import Glibc

/// The new process's side of ``UpgradeOffer``'s conversation.
final class UpgradeRequest: Sendable {
    private let predecessor: MessageSocket

    /// Every loop of every listener, and then some.
    private static let socketsMax = 32_768

    /// Finds the running gateway by the state directory that both have.
    init(stateDirectory: String) throws(Gateway.StartFault) {
        let path = UpgradeOffer.path(in: stateDirectory)
        do throws(MessageSocket.Fault) { predecessor = try Self.connect(to: path) } catch {
            throw .setUp("--upgrade: no gateway answers at \(path) (\(error)). Start without --upgrade, or set the state_directory of the one that runs.")
        }
        guard predecessor.peerMayTakeOver else { throw .setUp("--upgrade: at \(path) answers a process of another user. Run as the user of the gateway.") }
    }

    /// A gateway that has just taken over itself has its socket a moment later.
    private static func connect(to path: String) throws(MessageSocket.Fault) -> MessageSocket {
        for _ in 0..<40 {
            do throws(MessageSocket.Fault) { return try MessageSocket.connect(to: path) } catch {
                guard case .system(_, ECONNREFUSED) = error else { throw error }
            }
            usleep(50_000)
        }
        return try MessageSocket.connect(to: path)
    }

    func sockets() throws(Gateway.StartFault) -> InheritedSockets {
        var sockets: [(purpose: SocketPurpose, socket: InheritedSocket)] = []
        do throws(MessageSocket.Fault) {
            predecessor.limitWaits(toSeconds: 20)
            try predecessor.send(UpgradeOffer.greeting)
            while sockets.count < Self.socketsMax {
                let message = try predecessor.receive()
                if message.text == "end" { return InheritedSockets(sockets) }
                guard message.descriptor >= 0 else { throw .malformed }
                let socket = InheritedSocket(taking: message.descriptor)
                guard message.text.hasPrefix("socket "), let purpose = SocketPurpose(message.text.dropFirst("socket ".count)) else { throw .malformed }
                // What this version does not know goes on in the predecessor until that ends.
                if let socket { sockets.append((purpose, socket)) }
            }
            throw .malformed
        } catch {
            throw .setUp("--upgrade: the running gateway gave no sockets: \(error). It goes on serving; see its log.")
        }
    }

    /// This process can serve every socket; returns when the predecessor accepts no more.
    func ready() throws(Gateway.StartFault) {
        do throws(MessageSocket.Fault) {
            try predecessor.send("ready")
            let answer = try predecessor.receive()
            if answer.descriptor >= 0 { close(answer.descriptor) }
            guard answer.text == "released" else { throw .malformed }
        } catch { throw .setUp("--upgrade: the running gateway did not let go: \(error). See its log.") }
    }

    /// The predecessor goes on, and says why in its log.
    func failed(_ reason: String) { try? predecessor.send("failed \(reason)") }
}
