internal import ArgumentParser
internal import Foundation
internal import FoundationNetworking

struct TokenCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "token", abstract: "Print a token of the running platform, alone, for scripts.",
        discussion: "Example: METAFLOW_SERVICE_HEADERS=\"{\\\"Authorization\\\":\\\"Bearer $(metaflow-local-platform token)\\\"}\"")

    @Option(help: "Stage whose user pool signs.") var stage = "local"
    @Option(help: "browser, command-line, machine (no user) or foreign (a client that the gateway does not know).") var client = "command-line"
    @Option(help: "User name.") var user = "ada"
    @Option(help: "Groups, with commas between, instead of the user's own; an empty text for none.") var groups: String?
    @Option(parsing: .unconditional, help: "Life in seconds; negative for a token that has expired.") var expiresIn: Int64?
    @Option(help: "access or id.") var tokenUse = "access"
    @Option(help: "Scopes, with blanks between.") var scope: String?
    @Option(help: "Port of the identity provider on this machine.") var identityPort: Int?
    @Option(help: "State directory of the running platform, to find its port.") var state: String?

    func run() async throws {
        do throws(PlatformError) {
            print(try await token())
        } catch {
            FileHandle.standardError.write(Data("\(error)\n".utf8))
            throw ExitCode(1)
        }
    }

    private var order: JSON {
        var members: [JSON.Member] = [
            JSON.Member(name: "stage", value: .string(stage)), JSON.Member(name: "client", value: .string(client)),
            JSON.Member(name: "user", value: .string(user)), JSON.Member(name: "token_use", value: .string(tokenUse)),
        ]
        if let groups {
            members.append(JSON.Member(name: "groups", value: .array(groups.split(separator: ",").map { .string(String($0)) })))
        }
        if let expiresIn { members.append(JSON.Member(name: "expires_in", value: .integer(expiresIn))) }
        if let scope { members.append(JSON.Member(name: "scope", value: .string(scope))) }
        return .object(members)
    }

    func token() async throws(PlatformError) -> String {
        var port = identityPort
        if port == nil, let state {
            port = StateDirectory.identityPort(in: state)
            if port == nil { throw .nothingRunningHere(directory: state) }
        }
        let chosen = port ?? StateDirectory.identityPort(in: StateDirectory.standardPath) ?? 9000
        guard let address = URL(string: "http://127.0.0.1:\(chosen)/development/token") else { throw .nothingRunning(port: chosen) }
        var request = URLRequest(url: address, timeoutInterval: 10)
        request.httpMethod = "POST"
        request.setValue("application/json", forHTTPHeaderField: "Content-Type")
        request.httpBody = Data(order.written(.compact).utf8)
        let configuration = URLSessionConfiguration.ephemeral
        // A proxy from the environment has no business with loopback.
        configuration.connectionProxyDictionary = [:]
        let data: Data
        do {
            (data, _) = try await URLSession(configuration: configuration).data(for: request)
        } catch {
            throw .nothingRunning(port: chosen)
        }
        guard let answer = try? JSON(parsing: Array(data)) else {
            throw .refused(reason: "what listens on 127.0.0.1:\(chosen) is not the local platform.")
        }
        guard let token = answer["token"]?.stringValue else {
            throw .refused(reason: answer["error"]?.stringValue ?? "it answered without a token.")
        }
        return token
    }
}
