internal import ArgumentParser
internal import Glibc

/// One screen that answers "is it well?".
struct Status: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Say how the running gateway is: one screen, whose first line is the answer.",
        discussion: """
            Exit code 0: it is well. 3: it runs, and something needs a look. 1: nobody can be asked.

            Examples:
              metaflow-gateway status
              metaflow-gateway status --watch
              metaflow-gateway status --format json | jq .troubles
            """
    )

    @OptionGroup var gateway: RunningGateway
    @Flag(help: "Show it anew every two seconds, until Ctrl-C.") var watch = false
    @Option(help: "How to print it.") var format = OutputFormat.text

    func run() throws {
        guard watch else {
            let answer = try ask()
            print(answer.body, terminator: "")
            if !isWell(answer) { throw ExitCode(3) }
            return
        }
        // The terminal's own cursor comes back, whoever ends this.
        let screen = Screen(isTerminal: isatty(STDOUT_FILENO) == 1)
        screen.begin()
        while true {
            screen.show(try ask().body)
            sleep(2)
        }
    }

    private func ask() throws -> AdminClient.Answer {
        let answer = try gateway.ask("GET", format == .text ? "/status?format=text" : "/status")
        if !answer.isGood { try answer.refuse() }
        return answer
    }

    private func isWell(_ answer: AdminClient.Answer) -> Bool {
        format == .text ? answer.body.hasPrefix("well\n") : answer.body.hasPrefix("{\"well\":true")
    }
}

/// Shows one text after the other in the same place of a terminal, or one below the other where there is none.
private struct Screen {
    let isTerminal: Bool

    func begin() {
        guard isTerminal else { return }
        signal(SIGINT) { _ in
            // Cursor on, a new line: only calls that a signal handler may make.
            let farewell: [UInt8] = [0x1b, 0x5b, 0x3f, 0x32, 0x35, 0x68, 0x0a]
            _ = unsafe farewell.withUnsafeBytes { unsafe write(STDOUT_FILENO, $0.baseAddress, $0.count) }
            _exit(0)
        }
        put("\u{1b}[?25l\u{1b}[2J")
    }

    func show(_ text: String) {
        guard isTerminal else { return put(text + "\n") }
        let text = TerminalSize.current?.fit(text) ?? text
        // From the top; each line and what lies below cleared as it is written, so that nothing flickers.
        put("\u{1b}[H" + text.split(separator: "\n", omittingEmptySubsequences: false).map { $0 + "\u{1b}[K" }.joined(separator: "\r\n") + "\u{1b}[J")
    }

    private func put(_ text: String) {
        print(text, terminator: "")
        fflush(nil)
    }
}
