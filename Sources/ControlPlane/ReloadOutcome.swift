package import GatewayConfiguration

/// What became of one reload.
package enum ReloadOutcome: Sendable {
    /// - Parameter changes: what is different now, a sentence each.
    case accepted(version: String, warnings: [Diagnostic], changes: [String])
    case refused(Diagnostics)
}
