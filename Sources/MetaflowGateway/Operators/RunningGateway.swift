internal import ArgumentParser
internal import Authentication
internal import GatewayConfiguration
internal import Glibc

/// Which running gateway a command means.
struct RunningGateway: ParsableArguments {
    @Option(help: ArgumentHelp("The gateway's admin socket; default: admin.socket of --config.", valueName: "path"))
    var socket: String?
    @OptionGroup var file: ConfigurationOption

    /// Prints one line and ends the command where nobody can be asked.
    func ask(_ method: String, _ target: String, body: String = "") throws -> AdminClient.Answer {
        try Self.ask(socket: socket, config: file.config, method, target, body: body)
    }

    static func ask(socket: String?, config: String, _ method: String, _ target: String, body: String = "") throws -> AdminClient.Answer {
        do throws(AdminClient.Fault) { return try AdminClient(path: try path(socket, config)).ask(method, target, body: body) } catch {
            StandardError.write("\(error)\n")
            throw ExitCode(1)
        }
    }

    /// A configuration with faults still says where its gateway listens; a file that is no YAML any more does not, and then the default
    /// configuration's gateway is looked for where the default is.
    private static func path(_ socket: String?, _ config: String) throws(AdminClient.Fault) -> String {
        if let socket { return socket }
        if let path = Configuration.adminSocket(in: config) { return path }
        guard case .failure(let diagnostics) = Configuration.load(path: config) else { throw .system(config, "has changed meanwhile") }
        if !diagnostics.isUnreadable, config == ConfigurationOption.defaultPath, unsafe access(Self.defaultSocket, F_OK) == 0 {
            StandardError.write("\(config): has faults (metaflow-gateway check shows them); \(Self.defaultSocket) is asked\n")
            return Self.defaultSocket
        }
        let reason = diagnostics.isUnreadable ? "cannot be read" : "has faults (metaflow-gateway check shows them)"
        throw .system(config, "\(reason), so that it does not tell where its gateway listens. Name the gateway's socket with --socket")
    }

    /// Of the setting table.
    private static let defaultSocket = "/run/metaflow-gateway/admin.sock"
}

extension AdminClient.Answer {
    var isGood: Bool { (200..<300).contains(status) }

    private var object: JSONObject? {
        let bytes = Array(body.utf8)
        return (try? StrictJSON.read(bytes.span, limits: StrictJSON.Limits(bytesMax: 1 << 26, depthMax: 32, valuesMax: 1 << 22)))?.object
    }

    /// A member as it stands in the body: the gateway writes it first.
    func json(_ name: String) -> String? {
        let start = "{\"\(name)\":"
        guard body.hasPrefix(start), let end = body.ranges(of: ",\"text\":").last else { return nil }
        return String(body[body.index(body.startIndex, offsetBy: start.count)..<end.lowerBound])
    }

    func text(_ name: String) -> String? { object?[name]?.string }
    func texts(_ name: String) -> [String] { object?[name]?.strings ?? [] }

    /// Prints what the gateway said against it, and ends the command.
    func refuse() throws -> Never {
        StandardError.write("\(text("message") ?? "the gateway answers \(status)")\n")
        throw ExitCode(1)
    }
}
