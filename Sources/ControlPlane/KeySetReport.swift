internal import Authentication
internal import GatewayTerms
internal import Logging

/// Tells operators what happens to key sets, and readiness that they are there.
enum KeySetReport {
    static func write(_ event: KeySetEvent, to logger: Logger, _ readiness: Readiness) {
        switch event {
        case .published(let keySet, let age):
            readiness.keysArrived(of: keySet.issuer)
            logger.notice("key set in use", metadata: [
                "issuer": "\(keySet.issuer)", "kids": "\(keySet.keys.map(\.keyID).joined(separator: " "))", "age": "\(age.readable)",
            ])
        case .confirmed: break
        case .withdrawn(let issuer):
            logger.error("the provider has not answered for a day: its tokens are answered with 503 until it does", metadata: ["issuer": "\(issuer)"])
        case .failed(let issuer, let reason, let failures, let retryIn, let warns):
            let level: Logger.Level = warns ? .warning : .info
            logger.log(level: level, "key set not fetched: \(reason)", metadata: ["issuer": "\(issuer)", "failures": "\(failures)", "retry_in": "\(retryIn.readable)"])
        case .storeFailed(let issuer, let reason):
            logger.warning("the copy of a key set on disk: \(reason)", metadata: ["issuer": "\(issuer)"])
        }
    }
}
