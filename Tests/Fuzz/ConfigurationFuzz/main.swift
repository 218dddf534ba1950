import GatewayConfiguration
import GatewayTerms

/// Reads the input as `gateway.yaml` or as a stage's file, and holds the reader to its promises: it never traps, it either
/// accepts or says why, every place is in a file that was read, a second reading says the same, and no secret is shown.
///
/// The first byte chooses: even, the rest is the process's file; odd, the rest is a stage's file of an accepted process.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzConfiguration(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let input = Array(UnsafeBufferPointer(start: start, count: count))
    guard let choice = input.first else { return 0 }
    var files = Around.files
    files[choice % 2 == 0 ? "g.yaml" : "stage.yaml"] = Array(input.dropFirst())
    let surroundings = Surroundings.memory(files: files, environment: ["SET": Around.secret])
    let first = Configuration.load(path: "g.yaml", surroundings: surroundings)
    let second = Configuration.load(path: "g.yaml", surroundings: surroundings)
    switch (first, second) {
    case (.success(let first), .success(let second)):
        check(first.configuration == second.configuration && first.version == second.version)
        check(!first.configuration.listeners.isEmpty && !first.configuration.stages.isEmpty)
        check(first.configuration.stages.allSatisfy { stage in
            stage.routes.allSatisfy { $0.path.value.change == .none && (!$0.credentials.isEmpty || $0.publicReason != nil || !$0.isForwarded) }
        })
    case (.failure(let first), .failure(let second)):
        check(first == second && !first.faults.isEmpty)
        check(first.all.allSatisfy { files[$0.location.file] != nil && !$0.message.isEmpty && ($0.value?.utf8.count ?? 0) < 1024 })
        // The secret's text can come out only if the input holds it outside a secret, which fuzzed text hardly does.
        check(!first.json.contains(Around.secret))
    case (.success, .failure), (.failure, .success):
        check(false)
    }
    return 0
}

/// What stands around the input. Static, since a main.swift's globals are set by its main, which libFuzzer's replaces.
private enum Around {
    static let secret = "5ecret-5ecret-5ecret"

    static let files: [String: [UInt8]] = [
        "g.yaml": """
        listeners:
          - { address: 127.0.0.1:8443, tls: { certificates: [{ chain: a.pem, key: a.pem }] } }
        stages: [stage.yaml]

        """,
        "stage.yaml": """
        stage: alpha
        host: alpha.example.com
        identity: { cognito: { region: us-west-2, user_pool: us-west-2_Pool1 }, clients: [{ id: a, name: a }] }
        upstreams: { a: { endpoints: ["http://10.0.0.1:80"] } }
        routes: [{ path: /, upstream: a, credentials: [bearer] }]

        """,
        "a.pem": "",
        "secret": secret,
    ].mapValues { Array($0.utf8) }
}

private func check(_ condition: Bool, line: Int = #line) {
    if !condition { fatalError("the promise on line \(line) was broken") }
}

extension Configuration.Route {
    fileprivate var isForwarded: Bool {
        if case .upstream = action { true } else { false }
    }
}

/// The fuzzer's own loop, from the sanitizer's runtime; the package manager names this file's entry point itself, so the
/// runtime's `main` cannot be used.
@_silgen_name("LLVMFuzzerRunDriver")
func runFuzzer(
    _ count: UnsafeMutablePointer<CInt>,
    _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
    _ body: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
) -> CInt

var count = CommandLine.argc
var arguments = CommandLine.unsafeArgv
if runFuzzer(&count, &arguments, { fuzzConfiguration($0, $1) }) != 0 { fatalError("The fuzzer could not run.") }
