internal import ArgumentParser

/// Tells the running gateway to stop without losing a request.
struct Drain: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make the running gateway drain and stop, as SIGTERM does.",
        discussion: """
            Readiness fails at once; it goes on accepting for drain.accept_for, then lets what is in flight finish for drain.finish_for, and ends.

            Example:
              metaflow-gateway drain --socket /run/metaflow-gateway/admin.sock
            """
    )

    @OptionGroup var gateway: RunningGateway
    @Option(help: "How to print what came of it.") var format = OutputFormat.text

    func run() throws {
        let answer = try gateway.ask("POST", "/drain")
        if !answer.isGood { try answer.refuse() }
        if format == .json { return print(answer.body, terminator: "") }
        print(answer.text("message") ?? "")
    }
}
