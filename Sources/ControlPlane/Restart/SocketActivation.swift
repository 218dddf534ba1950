internal import Glibc

/// Sockets that the service manager opened (sd_listen_fds(3)): they outlive the process, so that a restart keeps who is connecting waiting
/// and loses nobody.
package enum SocketActivation {
    /// The first descriptor that is passed.
    private static let first: Int32 = 3
    /// No unit of ours has more.
    package static let countMax = 1024

    /// Descriptors and their names, in order; empty unless the variables are meant for the process `pid`.
    package static func passed(pid: Int32, environment: (String) -> String?) -> [(descriptor: Int32, name: String)] {
        guard environment("LISTEN_PID").flatMap({ Int32($0) }) == pid, let count = environment("LISTEN_FDS").flatMap({ Int($0) }), count > 0 else { return [] }
        let names = environment("LISTEN_FDNAMES")?.split(separator: ":", omittingEmptySubsequences: false).map(String.init) ?? []
        return (0..<min(count, countMax)).map { (first + Int32($0), $0 < names.count ? names[$0] : "") }
    }

    /// What a socket is for: what `FileDescriptorName=` says, listener-0 or health or metrics, or else the setting whose address it is bound to.
    /// - Parameter wanted: the purposes of the configuration, the listeners in their order.
    package static func purpose(name: String, bound: String, wanted: [SocketPurpose]) -> SocketPurpose? {
        if let setting = SocketPurpose.Setting(rawValue: name), setting != .listener { return wanted.first { $0.setting == setting } }
        if name.hasPrefix("listener-") {
            let listeners = wanted.filter { $0.setting == .listener }
            guard let index = Int(name.dropFirst("listener-".count)), listeners.indices.contains(index) else { return nil }
            return listeners[index]
        }
        return wanted.first { $0.address == bound }
    }

    /// Takes every socket that is passed.
    static func take(wanted: [SocketPurpose], environment: (String) -> String?) throws(Gateway.StartFault) -> InheritedSockets {
        var sockets: [(purpose: SocketPurpose, socket: InheritedSocket)] = []
        for (descriptor, name) in passed(pid: getpid(), environment: environment) {
            // One that is something else may be somebody else's, and is left open.
            guard InheritedSocket.isListening(descriptor), let socket = InheritedSocket(taking: descriptor) else {
                throw .setUp("The service manager passes descriptor \(descriptor)\(name.isEmpty ? "" : ", \(name)"), which is no listening stream socket. Correct the socket unit: ListenStream= and Accept=no.")
            }
            guard let purpose = purpose(name: name, bound: socket.bound, wanted: wanted) else {
                throw .setUp("The service manager passes a socket on \(socket.bound)\(name.isEmpty ? "" : ", named \(name)"), which no setting asks for; there are \(wanted.map(\.description).joined(separator: ", ")). Make the addresses the same in the socket unit and the configuration, or name it with FileDescriptorName=listener-0, health or metrics.")
            }
            sockets.append((purpose, socket))
        }
        return InheritedSockets(sockets)
    }
}
