internal import ArgumentParser
internal import Authentication
internal import ControlPlane
internal import GatewayTerms
internal import Proxy

/// Makes the running gateway refuse tokens and logins although their signature is good.
struct Revoke: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make the running gateway refuse a token, a login, a person or a client from now on.",
        discussion: """
            Holds on this gateway, over restarts too, until --hours have passed: as long as the longest-lived token concerned. Other replicas follow \
            the revocation file.

            Examples:
              metaflow-gateway revoke --sub SUB --reason "laptop lost"
              metaflow-gateway revoke --sub SUB --not-before now
              metaflow-gateway revoke --jti 0f3c0000-0000-0000-0000-000000000000 --hours 1
              metaflow-gateway revoke --client-id 2example0000000000000000000
            """
    )

    @OptionGroup var gateway: RunningGateway
    @Option(help: "One token, by its jti.") var jti: String?
    @Option(help: ArgumentHelp("Every token of one login, by its origin_jti.", valueName: "origin_jti")) var originJti: String?
    @Option(help: "A person, by the sub of their tokens.") var sub: String?
    @Option(help: "An app client.") var clientId: String?
    @Option(help: ArgumentHelp("With --sub: only logins that began before this moment; now, or seconds since 1970.", valueName: "now|seconds")) var notBefore: String?
    @Option(help: "Only tokens of this provider.") var issuer: String?
    @Option(help: "For how long; 24 unless told, with --not-before 744, since a login may be refreshed for 30 days.") var hours: Int64?
    @Option(help: "For people.") var reason: String?
    @Option(help: "How to print what came of it.") var format = OutputFormat.text

    func validate() throws {
        let named = [jti, originJti, sub, clientId].compactMap { $0 }
        guard named.count == 1 else { throw ValidationError("Name exactly one of --jti, --origin-jti, --sub and --client-id.") }
        guard notBefore == nil || sub != nil else { throw ValidationError("--not-before goes with --sub.") }
        if let notBefore, notBefore != "now" {
            guard let seconds = Int64(notBefore), seconds >= 0 else { throw ValidationError("--not-before is now, or whole seconds since 1970.") }
        }
        guard (1...24 * 3650).contains(hoursInForce) else { throw ValidationError("--hours is 1 to 87600.") }
    }

    func run() throws {
        let answer = try gateway.ask("POST", "/revoke", body: entry(now: .current))
        if !answer.isGood { try answer.refuse() }
        if format == .json { return print(answer.body, terminator: "") }
        print(answer.text("message") ?? "")
        if let warning = answer.text("warning") { StandardError.write("warning: \(warning)\n") }
    }

    private var hoursInForce: Int64 { hours ?? (notBefore == nil ? 24 : Revocation.refreshableSeconds / 3600) }

    /// In the words of the revocation file.
    private func entry(now: WallTime) -> String {
        JSONText.object { object in
            if let jti { object.member("jti", jti) }
            if let originJti { object.member("origin_jti", originJti) }
            if let sub { object.member("sub", sub) }
            if let clientId { object.member("client_id", clientId) }
            if let notBefore { object.member("not_before", notBefore == "now" ? now.seconds : Int64(notBefore) ?? 0) }
            if let issuer { object.member("issuer", issuer) }
            object.member("until", now.seconds + hoursInForce * 3600)
            if let reason { object.member("reason", reason) }
        }
    }
}
