internal import GatewayConfiguration
internal import Glibc

/// Tells the service manager how the process is (sd_notify(3)); silent where there is none.
package struct ServiceNotification: Sendable {
    package enum State: Sendable, Equatable {
        /// Serving, with one line for `systemctl status`.
        case ready(String)
        /// - Parameter microseconds: of the monotonic clock, so that the manager knows which request to reload this answers.
        case reloading(microseconds: UInt64)
        case stopping(String)
        case status(String)
        /// Another process goes on as the service.
        case mainProcess(Int32)

        package var text: String {
            switch self {
            case .ready(let status): "READY=1\nSTATUS=\(Self.line(status))"
            case .reloading(let microseconds): "RELOADING=1\nMONOTONIC_USEC=\(microseconds)\nSTATUS=reading the configuration"
            case .stopping(let status): "STOPPING=1\nSTATUS=\(Self.line(status))"
            case .status(let status): "STATUS=\(Self.line(status))"
            case .mainProcess(let process): "MAINPID=\(process)"
            }
        }

        private static func line(_ text: String) -> String { String(text.map { $0.isNewline ? " " : $0 }.prefix(500)) }
    }

    /// A path, or `@` and a name without a file.
    private let address: String?

    package init(environment: (String) -> String?) { address = environment("NOTIFY_SOCKET").flatMap { $0.hasPrefix("/") || $0.hasPrefix("@") ? $0 : nil } }

    package static var machine: ServiceNotification { ServiceNotification(environment: Surroundings.machine.environment) }

    package func send(_ state: State) {
        guard let address else { return }
        var name = Array(address.utf8)
        // An abstract name begins with a zero byte in the place of the @ (unix(7)).
        if address.hasPrefix("@") { name[0] = 0 }
        var place = sockaddr_un()
        place.sun_family = sa_family_t(AF_UNIX)
        guard name.count <= MemoryLayout.size(ofValue: place.sun_path) - 1 else { return }
        unsafe withUnsafeMutableBytes(of: &place.sun_path) { unsafe $0.copyBytes(from: name) }
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        let size = socklen_t(MemoryLayout<sa_family_t>.size + name.count)
        let bytes = Array(state.text.utf8)
        _ = unsafe withUnsafePointer(to: &place) { place in
            unsafe place.withMemoryRebound(to: sockaddr.self, capacity: 1) { place in
                unsafe bytes.withUnsafeBytes { unsafe sendto(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL), place, size) }
            }
        }
    }

    package static var monotonicMicroseconds: UInt64 {
        var time = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000 + UInt64(time.tv_nsec) / 1000
    }
}
