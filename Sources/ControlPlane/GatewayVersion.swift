/// The version that `--version`, `status` and the metrics say.
package enum GatewayVersion {
    package static let text = "0.1.0"
}
