import CommandLineAPI
import Foundation
import GatewayTerms

/// A stage's service and what tests ask it.
enum Scene {
    static let version = ExtensionVersion("1.2.0")!
    static let wheel = Wheel(name: WheelName(version: version), bytes: Array("PK wheel".utf8))
    static let endpoints = CommandLineSettings.Endpoints(
        authorization: "https://login.example.com/oauth2/authorize", token: "https://login.example.com/oauth2/token",
        revocation: "https://login.example.com/oauth2/revoke")

    static let settings = CommandLineSettings(
        stage: "alpha", publicURL: "https://alpha.example.com", host: Hostname("alpha.example.com")!,
        issuer: "https://cognito-idp.us-west-2.amazonaws.com/us-west-2_Pool1", clientID: "client1", endpoints: endpoints,
        scopes: ["openid", "metaflow/write"], redirectPorts: [8400, 8401], settings: ["METAFLOW_DATASTORE_SYSROOT_S3": "s3://alpha/metaflow"],
        identityPool: CommandLineSettings.IdentityPool(
            id: "us-west-2:pool", region: "us-west-2", providerName: "cognito-idp.us-west-2.amazonaws.com/us-west-2_Pool1"),
        minimumExtensionVersion: ExtensionVersion("1.1.0")!, wheel: wheel)

    static let ada = CommandLineIdentity(subject: "subject-of-ada", userName: "ada", groups: ["science", "operators"], expiresAt: WallTime(seconds: 1_800_000_900))
    static let now = WallTime(seconds: 1_800_000_000)

    static func service(_ change: (inout CommandLineSettings) -> Void = { _ in }) -> CommandLineService {
        var settings = settings
        change(&settings)
        return CommandLineService(settings, digest: digest)
    }

    /// In SHA-256's place: 32 bytes that differ where the input differs in any byte that a test changes.
    static func digest(_ bytes: Span<UInt8>) -> [UInt8] {
        var state: [UInt64] = [0xcbf2_9ce4_8422_2325, 0x9e37_79b9_7f4a_7c15, 0xbf58_476d_1ce4_e5b9, 0x94d0_49bb_1331_11eb]
        for index in bytes.indices {
            for lane in state.indices { state[lane] = (state[lane] ^ UInt64(bytes[index])) &* 0x0000_0100_0000_01b3 }
        }
        return state.flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> UInt64($0 * 8)) } }
    }
}

extension CommandLineService {
    func get(
        _ path: String, query: String = "", accept: String? = nil, ifNoneMatch: String? = nil, method: GatewayTerms.Method = .get,
        identity: CommandLineIdentity? = nil, now: WallTime = Scene.now
    ) -> CommandLineAnswer {
        answer(
            CommandLineRequest(method: method, path: path, query: Array(query.utf8), accept: accept, ifNoneMatch: ifNoneMatch), identity: identity, now: now)
    }
}

extension CommandLineAnswer {
    var text: String { String(decoding: body, as: UTF8.self) }

    var json: [String: Any] {
        get throws { try JSONSerialization.jsonObject(with: Data(body)) as? [String: Any] ?? [:] }
    }

    func value(of name: String) -> String? { fields.first { $0.name.description == name }?.value }
}
