internal import Glibc
internal import NIOCore
internal import Proxy

/// The text of a system's or NIO's error, without the name of our call.
func readableReason(_ error: any Error) -> String {
    guard let error = error as? IOError else { return String(describing: error) }
    return switch error.errnoCode {
    case EADDRINUSE: "the address is in use by another process"
    case EACCES: "only root may use ports below 1024"
    case EADDRNOTAVAIL: "this machine does not have the address"
    default: SystemError.text(error.errnoCode)
    }
}
