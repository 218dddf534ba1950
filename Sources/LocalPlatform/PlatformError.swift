/// Why the platform does not start, or a command of it fails: what, where, and what to do.
enum PlatformError: Error, Equatable, CustomStringConvertible {
    case notLoopback(host: String)
    case portTaken(service: String, host: String, port: Int)
    case cannotListen(service: String, host: String, port: Int, reason: String)
    case badStage(String)
    case stateInUse(directory: String)
    case cannotUseState(directory: String, reason: String)
    case badSigningKey(file: String)
    case cryptography(String)
    case nothingRunning(port: Int)
    case nothingRunningHere(directory: String)
    case refused(reason: String)

    var description: String {
        switch self {
        case .notLoopback(let host):
            "--host is \(host), but the local platform answers to anybody who asks: it listens on loopback only (127.0.0.1 or ::1)."
        case .portTaken(let service, let host, let port):
            "The \(service) port \(host):\(port) is taken. Stop what listens there, or choose another with --\(service)-port (0 lets the system choose)."
        case .cannotListen(let service, let host, let port, let reason):
            "The \(service) service cannot listen on \(host):\(port): \(reason)."
        case .badStage(let text):
            "--stages has \"\(text)\". Name each stage once, with 1 to 32 letters, digits or hyphens, starting with a letter: --stages local,second."
        case .stateInUse(let directory):
            "Another local platform is using the state in \(directory). Stop it, or give this one its own with --state DIR."
        case .cannotUseState(let directory, let reason):
            "The state directory \(directory) cannot be used: \(reason)."
        case .badSigningKey(let file):
            "\(file) is not an RSA private key in PEM. Remove it; a new key is made at the next start and tokens signed with the old one end."
        case .cryptography(let operation):
            "libcrypto failed to \(operation)."
        case .nothingRunning(let port):
            "No platform is running on 127.0.0.1:\(port); start deploy/local/run.sh, or say where it runs with --identity-port N or --state DIR."
        case .nothingRunningHere(let directory):
            "No platform is running with the state in \(directory); start deploy/local/run.sh, or say where it runs with --identity-port N."
        case .refused(let reason):
            "The platform refused: \(reason)"
        }
    }
}
