internal import ArgumentParser
internal import ControlPlane
internal import GatewayConfiguration

/// Holds the configuration against what surrounds it.
struct Doctor: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Compare a configuration with the load balancer in front of it.",
        discussion: """
            Prints the times that follow from both, and what contradicts: idle times, the drain, health checks, the PROXY protocol, protocols.
            Exit code 0: nothing contradicts. 1: something does, or the configuration has faults. 2: a file cannot be read.

            Example:
              aws elbv2 describe-target-groups --names metaflow-prod-tls > group.json
              aws elbv2 describe-target-group-attributes --target-group-arn ARN \\
                > attributes.json
              metaflow-gateway doctor --config config/gateway.yaml \\
                --nlb group.json --nlb attributes.json
            """
    )

    @OptionGroup var file: ConfigurationOption
    @Option(name: .long, help: ArgumentHelp(
        "The output of aws elbv2 describe-target-groups, describe-target-group-attributes, describe-listeners or describe-listener-attributes; may be repeated.",
        valueName: "file"))
    var nlb: [String]
    @Option(help: "How to print what was found.") var format = OutputFormat.text

    func run() throws {
        let loaded: LoadedConfiguration
        do throws(Diagnostics) { loaded = try Configuration.load(path: file.config).get() } catch {
            StandardError.write("\(error)\n")
            throw ExitCode(error.isUnreadable ? 2 : 1)
        }
        var loadBalancer = LoadBalancer()
        for path in nlb {
            do throws(LoadBalancer.Fault) {
                switch Surroundings.machine.read(path, 1 << 20) {
                case .success(let bytes): try loadBalancer.read(bytes.span)
                case .failure(let fault): throw LoadBalancer.Fault("\(fault)")
                }
            } catch {
                StandardError.write("\(path) \(error).\n")
                throw ExitCode(2)
            }
        }
        let review = LoadBalancerReview(loaded.configuration, loadBalancer)
        print(format == .json ? review.json : review.text)
        if review.contradictions > 0 { throw ExitCode(1) }
    }
}
