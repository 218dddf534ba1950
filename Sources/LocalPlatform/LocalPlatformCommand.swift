internal import ArgumentParser

/// The laptop's stand-in for AWS: identity provider, metadata service and run browser on loopback.
@main
struct LocalPlatformCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "metaflow-local-platform",
        abstract: "What AWS gives the gateway in production, on one machine, for development and tests.",
        discussion: """
            An identity provider shaped like Amazon Cognito, the Metaflow metadata service on SQLite, and a page that lists runs. All three \
            listen on loopback only. Users: ada (group science), grace (science, ml-admins), guest and any other name (no group); the password \
            of all is "metaflow".
            """,
        subcommands: [ServeCommand.self, TokenCommand.self])
}
