internal import ArgumentParser
internal import ControlPlane
internal import GatewayConfiguration
internal import GatewayTerms
internal import Proxy

/// Says why a request meets what it meets.
struct Explain: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Explain what a request meets: its canonical path, every route, each question that is asked of the caller, the upstream.",
        discussion: """
            The request is decided by the code that serves, and never sent. Tokens and cookies are read from files, so that they stand in no list of \
            processes, and are never printed. With --config FILE keys come from state_directory, or are asked of the provider; else the running gateway is \
            asked, with the keys, logins and revocations that it has.

            Exit code 0: it was explained. 1: the configuration has faults, or there is no such request. 2: a file cannot be read.

            Examples:
              metaflow-gateway explain GET https://HOST/api/x --token-file token
              metaflow-gateway explain --request-id 0193588f-0000-7000-8000-000000000000
              metaflow-gateway explain GET https://HOST/ --config new/gateway.yaml
              metaflow-gateway explain POST https://HOST/api/x --cookie-file cookie \\
                --header "Origin: https://evil.example"
            """
    )

    @Argument(help: ArgumentHelp("The request's method, GET.", valueName: "method")) var method: String?
    @Argument(help: ArgumentHelp("Its address, as a client would write it.", valueName: "url")) var url: String?
    @Option(help: ArgumentHelp("In place of method and url: one of the last requests of the running gateway, by its X-Request-Id.", valueName: "id")) var requestID: String?
    @Option(name: [.long, .customShort("c")], help: ArgumentHelp("Explain under this file; default: running, the gateway that serves.", valueName: "file|running"))
    var config = "running"
    @Option(help: ArgumentHelp("The running gateway's admin socket; default: that of /etc/metaflow-gateway/gateway.yaml.", valueName: "path")) var socket: String?
    @OptionGroup var sender: SenderOptions
    @Option(help: "How to print it.") var format = OutputFormat.text

    func validate() throws {
        guard requestID == nil else {
            if method != nil || config != "running" { throw ValidationError("--request-id stands alone: the running gateway knows the request.") }
            return
        }
        if method == nil || url == nil { throw ValidationError("Say which request: METHOD URL, or --request-id ID.") }
        if socket != nil, config != "running" { throw ValidationError("--socket names a running gateway, --config a file. Give one of them.") }
    }

    func run() async throws {
        if let requestID { return try ask("GET", "/explain?request_id=\(requestID)") }
        guard let method, let url else { return }
        guard let asked = AskedRequest(method: method, url: url, fields: try sender.fields()) else {
            let reason = url.hasPrefix("http://") ? "A listener without TLS sends every address to https (308)" : "\(url) is no address of the gateway"
            throw ValidationError("\(reason). Write https://HOST/PATH.")
        }
        let sketch: RequestSketch
        do throws(RequestSketch.Unreadable) { sketch = try asked.sketch() } catch {
            StandardError.write("\(error)\n")
            throw ExitCode(1)
        }
        if config == "running" { return try ask("POST", "/explain", body: asked.document) }
        do throws(FileExplainer.Fault) {
            let explanation = try await FileExplainer.explain(sketch, path: config, now: .current)
            print(format == .json ? explanation.json : explanation.text)
        } catch {
            StandardError.write("\(error)\n")
            if case .configuration(let diagnostics) = error, diagnostics.isUnreadable { throw ExitCode(2) }
            throw ExitCode(1)
        }
    }

    private func ask(_ method: String, _ target: String, body: String = "") throws {
        let answer = try RunningGateway.ask(socket: socket, config: ConfigurationOption.defaultPath, method, target, body: body)
        if !answer.isGood { try answer.refuse() }
        print(format == .json ? answer.json("explanation") ?? answer.body : answer.text("text") ?? answer.body)
    }
}

/// Who sends the request that is explained.
struct SenderOptions: ParsableArguments {
    @Option(help: ArgumentHelp("A file with a bearer token.", valueName: "file")) var tokenFile: String?
    @Option(help: ArgumentHelp("A file with the value of the Cookie field.", valueName: "file")) var cookieFile: String?
    @Option(name: .customLong("header"), help: ArgumentHelp("Another field; may be given several times.", valueName: "name: value")) var headers: [String] = []

    /// Longest content of a file that is read.
    private static let bytesMax = 64 << 10

    func fields() throws -> [(name: String, value: String)] {
        var fields: [(name: String, value: String)] = []
        for header in headers {
            guard let colon = header.firstIndex(of: ":"), colon > header.startIndex else { throw ValidationError("a --header is NAME: VALUE.") }
            fields.append((String(header[..<colon]), String(header[header.index(after: colon)...].drop { $0 == " " })))
        }
        if let tokenFile { fields.append(("authorization", "Bearer " + (try content(of: tokenFile)))) }
        if let cookieFile { fields.append(("cookie", try content(of: cookieFile))) }
        return fields
    }

    private func content(of file: String) throws -> String {
        switch Surroundings.machine.read(file, Self.bytesMax) {
        case .success(let bytes):
            let text = String(decoding: bytes, as: UTF8.self)
            return String(text[..<(text.lastIndex { !$0.isWhitespace }.map { text.index(after: $0) } ?? text.startIndex)])
        case .failure(let fault):
            StandardError.write("\(file) \(fault).\n")
            throw ExitCode(2)
        }
    }
}
