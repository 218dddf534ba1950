import Glibc

/// What keeps lines from their destination. None of them stops the gateway.
package enum LogFault: Error, Equatable, Sendable, CustomStringConvertible {
    /// A thread or a descriptor was not to be had.
    case cannotStart(reason: String)
    case cannotOpen(destination: String, reason: String)
    case cannotWrite(destination: String, reason: String)
    /// Lines that found their ring full since the last report, or that `stop` could not deliver.
    case dropped(lines: Int, destination: String)

    package var description: String {
        switch self {
        case .cannotStart(let reason):
            "The access log's writer cannot start: \(reason)."
        case .cannotOpen(let destination, let reason):
            "The access log \(destination) cannot be opened: \(reason). Make its folder writable for the gateway, or set access_log.path."
        case .cannotWrite(let destination, let reason):
            "The access log \(destination) cannot be written: \(reason). Requests are still served; lines are kept while their ring has room, then dropped and counted."
        case .dropped(let lines, let destination):
            "\(lines) lines of the access log \(destination) were dropped, since it took them too slowly or not at all."
        }
    }
}
