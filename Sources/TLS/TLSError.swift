internal import COpenSSL

/// What went wrong in TLS, and on whose account.
package enum TLSError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The operator's certificate or key cannot be used.
    case certificate(file: String, reason: String)
    /// The peer broke the protocol, offered nothing that we accept, or does not trust us; `reason` is OpenSSL's text.
    case peer(reason: String)
    /// libssl could not be set up: our bug, or memory is gone.
    case library(reason: String)

    package var description: String {
        switch self {
        case .certificate(let file, let reason): "\(file): \(reason)"
        case .peer(let reason): reason
        case .library(let reason): "libssl: \(reason)"
        }
    }

    /// Empties OpenSSL's error queue of this thread and gives its first text. Every failed call must come here, since
    /// `SSL_get_error` misreads a queue that an earlier failure filled (SSL_get_error(3)).
    static func drainQueue() -> String? {
        var first: String?
        while true {
            let code = ERR_get_error()
            guard code != 0 else { return first }
            if first == nil, let text = unsafe ERR_reason_error_string(code) { first = unsafe String(cString: text) }
        }
    }
}
