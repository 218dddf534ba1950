internal import GatewayConfiguration
internal import Logging
internal import Synchronization

extension Gateway {
    /// Opens the socket that `serve --upgrade` asks at, before a port accepts: who finds this process ready can replace it. A gateway without
    /// it serves all the same.
    func openUpgradeOffer() {
        let path = UpgradeOffer.path(in: state.withLock { $0.loaded.configuration.stateDirectory.value })
        let hands = UpgradeOffer.Hands(
            sockets: { [ports] in ports.duplicates() }, release: { [weak self] in self?.release(to: $0) }, leave: { [weak self] in
                guard let self else { return }
                ears.succeeded(self)
            })
        do {
            if (try? MessageSocket.connect(to: path)) != nil {
                logger.warning("another gateway runs with this state directory: serve --upgrade takes over from that one", metadata: ["path": "\(path)"])
                return
            }
            let offer = try UpgradeOffer(at: path, hands: hands, logger: logger)
            state.withLock { $0.offer = offer }
        } catch {
            logger.warning("serve --upgrade will not find this process: \(error)")
        }
    }

    /// Answers there, from when the ports accept: a successor that asked earlier has waited.
    func takeUpUpgrades() {
        do { try state.withLock { $0.offer }?.start() } catch { logger.warning("serve --upgrade will hear nothing of this process: \(error)") }
    }

    private func release(to successor: Int32) {
        notification.send(.mainProcess(successor))
        let watcher = state.withLock { state in
            // The file is the successor's from now on.
            (state.isSucceeded, state.adminSocket) = (true, nil)
            defer { state.watcher = nil }
            return state.watcher
        }
        watcher?.stop()
        ports.closeAllAndWait()
    }
}
