package import Authentication

/// What a `KeySetFetcher` tells: for the event loops, the log and the metrics.
package enum KeySetEvent: Sendable {
    /// The issuer has this set from now on. `age`: since it was fetched; more than zero for a copy from disk.
    case published(KeySet, age: Duration)
    /// The provider answered with the keys that serve already.
    case confirmed(issuer: String)
    /// The last good set is older than 24 h and serves no more.
    case withdrawn(issuer: String)
    /// `warns`: it is time to tell an operator. What serves keeps serving.
    case failed(issuer: String, reason: String, failures: Int, retryIn: Duration, warns: Bool)
    /// The disk took no copy, or its copy is of no use. Only a restart during the provider's next outage would miss it.
    case storeFailed(issuer: String, reason: String)
}
