internal import ArgumentParser
internal import ControlPlane

@main
struct MetaflowGateway: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "metaflow-gateway",
        abstract: "The edge gateway of a managed Metaflow platform: TLS, routes per stage, Cognito tokens, access logs.",
        discussion: """
            Examples:
              metaflow-gateway check --config config/gateway.yaml
              metaflow-gateway serve --config config/gateway.yaml
              metaflow-gateway status --watch
            """,
        version: GatewayVersion.text,
        subcommands: [
            Serve.self, Check.self, Explain.self, Status.self, Reload.self, Drain.self, SetLogLevel.self, Revoke.self, Doctor.self, Keys.self,
        ]
    )
}

/// The file that commands read.
struct ConfigurationOption: ParsableArguments {
    @Option(name: [.long, .customShort("c")], help: ArgumentHelp("The gateway's configuration file.", valueName: "file"))
    var config = Self.defaultPath

    static let defaultPath = "/etc/metaflow-gateway/gateway.yaml"
}
