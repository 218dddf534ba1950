/// A stage's identity provider: what Cognito calls a user pool.
struct UserPool: Sendable {
    let stage: String
    /// `us-west-2_LocalStage` for the stage `local`.
    let id: String
    let clients: [AppClient]
    let keys: PoolKeys

    init(stage: String, keyDirectory: String, redirectHosts: [String], rotatesRefreshTokens: Bool) throws(PlatformError) {
        self.stage = stage
        id = Self.identifier(of: stage)
        let hosts = ["localhost", "127.0.0.1", "\(stage).localhost", "\(stage).metaflow.localhost"] + redirectHosts
        clients = AppClient.Kind.allCases.map {
            AppClient($0, stage: stage, redirectHosts: hosts, rotatesAlways: rotatesRefreshTokens)
        }
        keys = try PoolKeys(directory: keyDirectory + "/" + id)
    }

    func client(id: String) -> AppClient? { clients.first { $0.id == id } }
    func client(_ kind: AppClient.Kind) -> AppClient? { clients.first { $0.kind == kind } }

    static func identifier(of stage: String) -> String {
        "us-west-2_" + stage.split(separator: "-").map { $0.prefix(1).uppercased() + $0.dropFirst() }.joined() + "Stage"
    }

    /// Reads `local,second`: at least one stage, each a valid name, none twice, no two with the same pool.
    static func stages(from list: String) throws(PlatformError) -> [String] {
        var stages: [String] = []
        for part in list.split(separator: ",", omittingEmptySubsequences: false) {
            let stage = part.drop { $0 == " " }
            let isName = (1...32).contains(stage.utf8.count) && stage.first?.isLowercase == true
                && stage.utf8.allSatisfy { (97...122).contains($0) || (48...57).contains($0) || $0 == 45 }
            let text = String(stage)
            guard isName, !stages.contains(where: { identifier(of: $0) == identifier(of: text) }) else { throw .badStage(text) }
            stages.append(text)
        }
        return stages
    }
}
