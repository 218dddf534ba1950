internal import ArgumentParser
internal import GatewayConfiguration
internal import GatewayTerms

/// Changes how much the running gateway says.
struct SetLogLevel: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "log-level",
        abstract: "Show or set the least important message that the running gateway writes.",
        discussion: """
            Holds until the process ends, or until a reload brings another log.level.

            Examples:
              metaflow-gateway log-level
              metaflow-gateway log-level debug
            """
    )

    @OptionGroup var gateway: RunningGateway
    @Argument(help: ArgumentHelp("One of debug, info, notice, warning, error.", valueName: "level")) var level: String?
    @Option(help: "How to print it.") var format = OutputFormat.text

    func run() throws {
        let body = level.map { level in JSONText.object { $0.member("level", level) } }
        let answer = try gateway.ask(body == nil ? "GET" : "POST", "/loglevel", body: body ?? "")
        if !answer.isGood { try answer.refuse() }
        if format == .json { return print(answer.body, terminator: "") }
        print(answer.text("level") ?? "")
    }
}
