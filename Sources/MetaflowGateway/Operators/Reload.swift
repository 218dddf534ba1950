internal import ArgumentParser

/// Tells the running gateway to read its configuration anew.
struct Reload: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make the running gateway read its configuration anew: all of it or nothing.",
        discussion: """
            Prints what has changed, or every fault with its file, line and column; then the old configuration goes on serving.
            Exit code 0: accepted. 1: refused, or nobody can be asked.

            Example:
              metaflow-gateway reload --config /etc/metaflow-gateway/gateway.yaml
            """
    )

    @OptionGroup var gateway: RunningGateway
    @Option(help: "How to print what came of it.") var format = OutputFormat.text

    func run() throws {
        let answer = try gateway.ask("POST", "/reload")
        if !answer.isGood, answer.status != 409 { try answer.refuse() }
        switch format {
        case .json: print(answer.body, terminator: "")
        case .text:
            for line in answer.texts("text") { print(line) }
            if answer.isGood, answer.texts("changes").isEmpty { print("no setting, route or certificate has changed") }
            print(answer.isGood ? "accepted, version \(answer.text("version") ?? "")" : "refused: the old configuration goes on serving")
        }
        if !answer.isGood { throw ExitCode(1) }
    }
}
