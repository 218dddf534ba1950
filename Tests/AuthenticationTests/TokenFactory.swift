import Authentication
import CJWT
import COpenSSL
import GatewayTerms
import Glibc

/// An RSA key pair made at test start: what a provider publishes, and what signs.
final class SigningKey: @unchecked Sendable {
    let keyID: String
    private let key: OpaquePointer
    let privatePEM: [UInt8]
    let publicPEM: [UInt8]
    let modulus: [UInt8]

    init(keyID: String, bits: Int = 2048) {
        self.keyID = keyID
        var key: OpaquePointer?
        let context = EVP_PKEY_CTX_new_from_name(nil, "RSA", nil)
        defer { EVP_PKEY_CTX_free(context) }
        EVP_PKEY_keygen_init(context)
        EVP_PKEY_CTX_set_rsa_keygen_bits(context, Int32(bits))
        EVP_PKEY_generate(context, &key)
        self.key = key!
        privatePEM = Self.bytes { PEM_write_bio_PrivateKey($0, key, nil, nil, 0, nil, nil) }
        publicPEM = Self.bytes { PEM_write_bio_PUBKEY($0, key) }
        var number: OpaquePointer?
        EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &number)
        var modulus = [UInt8](repeating: 0, count: Int((BN_num_bits(number) + 7) / 8))
        BN_bn2bin(number, &modulus)
        BN_free(number)
        self.modulus = modulus
    }

    deinit { EVP_PKEY_free(key) }

    /// The JWK; `members` replaces or adds, an empty text leaves out. Values are JSON.
    func jwk(_ members: [String: String] = [:]) -> String {
        var all = [
            "kty": "\"RSA\"", "kid": "\"\(keyID)\"", "use": "\"sig\"", "alg": "\"RS256\"",
            "n": "\"\(base64URL(modulus))\"", "e": "\"AQAB\"",
        ]
        for (name, value) in members { all[name] = value }
        return "{" + all.filter { !$0.value.isEmpty }.sorted { $0.key < $1.key }.map { "\"\($0.key)\":\($0.value)" }.joined(separator: ",") + "}"
    }

    /// RSASSA-PKCS1-v1_5 with the named digest over any bytes.
    func sign(_ message: [UInt8], digest: String = "SHA256") -> [UInt8] {
        let context = EVP_MD_CTX_new()
        defer { EVP_MD_CTX_free(context) }
        EVP_DigestSignInit_ex(context, nil, digest, nil, nil, key, nil)
        var count = 1024
        var signature = [UInt8](repeating: 0, count: count)
        EVP_DigestSign(context, &signature, &count, message, message.count)
        return Array(signature.prefix(count))
    }

    private static func bytes(_ write: (OpaquePointer?) -> Int32) -> [UInt8] {
        let memory = BIO_new(BIO_s_mem())
        defer { BIO_free(memory) }
        _ = write(memory)
        var buffer = [UInt8](repeating: 0, count: 8192)
        let count = BIO_read(memory, &buffer, Int32(buffer.count))
        return Array(buffer.prefix(Int(max(count, 0))))
    }
}

func base64URL(_ bytes: [UInt8]) -> String { String(decoding: Base64URL.encode(bytes.span), as: UTF8.self) }
func base64URL(_ text: String) -> String { base64URL(Array(text.utf8)) }

/// Keys, issuers and tokens that the tests of this module share.
enum Fixture {
    static let first = SigningKey(keyID: "key-1")
    static let second = SigningKey(keyID: "key-2")
    /// Never published.
    static let foreign = SigningKey(keyID: "key-1")

    static let issuer = "https://cognito-idp.us-west-2.amazonaws.com/us-west-2_Alpha1"
    static let prodIssuer = "https://cognito-idp.us-west-2.amazonaws.com/us-west-2_Prod1"
    /// 2026-11-24T12:00:00Z
    static let now = WallTime(seconds: 1_795_521_600)
    static let open = RoutePolicy(name: "open")

    static func jwks(_ keys: [SigningKey] = [first, second]) -> [UInt8] {
        Array("{\"keys\":[\(keys.map { $0.jwk() }.joined(separator: ","))]}".utf8)
    }

    static func keySet(_ issuer: String = issuer, _ keys: [SigningKey] = [first, second], generation: UInt64 = 1) throws -> KeySet {
        try KeySet(document: jwks(keys), issuer: issuer, generation: generation)
    }

    static func keySets() throws -> KeySets { KeySets([try keySet(), try keySet(prodIssuer)]) }

    static let cli = ClientRule(id: "client-cli", name: "command-line")

    static func rules(
        _ issuer: String = issuer, isCognito: Bool = true,
        clients: [ClientRule] = [
            cli, ClientRule(id: "client-id", name: "id-tokens", tokenUse: .id), ClientRule(id: "client-both", name: "both", tokenUse: [.access, .id]),
            ClientRule(id: "client-jobs", name: "nightly-jobs", scopes: ["metaflow/write", "metaflow/read"]),
            ClientRule(id: "client-staff", name: "staff-only", groups: ["staff", "operators"]),
        ],
        audiences: [String] = ["https://api.example"], skew: Int64 = 30, groupsClaim: String = "cognito:groups", tokenBytesMax: Int = 8192
    ) -> IssuerRules {
        IssuerRules(
            issuer: issuer, isCognito: isCognito, clients: clients, audiences: audiences, clockSkewSeconds: skew,
            groupsClaim: groupsClaim, tokenBytesMax: tokenBytesMax
        )
    }

    static func stage(
        _ name: String = "alpha", issuers: [IssuerRules] = [rules()], otherStages: [StageRules.OtherStage] = [.init(issuer: prodIssuer, stage: "prod")],
        forwardedGroups: [String]? = nil
    ) -> StageRules {
        StageRules(
            stage: name, host: Hostname("\(name).example.com")!, publicURL: "https://\(name).example.com", issuers: issuers,
            otherStages: otherStages, forwardedGroups: forwardedGroups
        )
    }

    static let alpha = stage()

    /// Claims as JSON members in order, so that tests can write what no JSON library would.
    static func claims(_ changes: [(String, String?)] = []) -> String {
        var members: [(String, String)] = [
            ("sub", "\"a1b2c3\""), ("iss", "\"\(issuer)\""), ("client_id", "\"client-cli\""), ("origin_jti", "\"origin-1\""),
            ("event_id", "\"event-1\""), ("token_use", "\"access\""), ("scope", "\"openid metaflow/read\""),
            ("auth_time", "\(now.seconds - 60)"), ("exp", "\(now.seconds + 3600)"), ("iat", "\(now.seconds - 60)"),
            ("jti", "\"token-1\""), ("username", "\"ada\""), ("cognito:groups", "[\"science\",\"ml admins\"]"), ("version", "2"),
        ]
        for (name, value) in changes {
            members.removeAll { $0.0 == name }
            if let value { members.append((name, value)) }
        }
        return "{" + members.map { "\"\($0.0)\":\($0.1)" }.joined(separator: ",") + "}"
    }

    static func idClaims(_ changes: [(String, String?)] = []) -> String {
        claims([("client_id", nil), ("username", nil), ("scope", nil), ("token_use", "\"id\""), ("aud", "\"client-id\""),
                ("cognito:username", "\"ada\""), ("email", "\"ada@example.com\"")] + changes)
    }

    /// Signs any header and claims, well-formed or not.
    static func token(header: String? = nil, claims: String = claims(), key: SigningKey = first, digest: String = "SHA256") -> String {
        let header = header ?? "{\"alg\":\"RS256\",\"kid\":\"\(key.keyID)\"}"
        let signed = "\(base64URL(header)).\(base64URL(claims))"
        return "\(signed).\(base64URL(key.sign(Array(signed.utf8), digest: digest)))"
    }

    /// Signs through libjwt, as the local platform's provider does.
    static func tokenFromLibJWT(claims: String = claims(), key: SigningKey = first) -> String {
        var token: OpaquePointer?
        jwt_new(&token)
        defer { jwt_free(token) }
        jwt_add_header(token, "kid", key.keyID)
        jwt_add_grants_json(token, claims)
        jwt_set_alg(token, JWT_ALG_RS256, key.privatePEM, Int32(key.privatePEM.count))
        guard let text = jwt_encode_str(token) else { return "" }
        defer { free(text) }
        return String(cString: text)
    }
}

/// One authenticator with its surroundings, asked in one line.
final class Bench {
    let authenticator: BearerAuthenticator
    var stage: StageRules
    var keySets: KeySets
    var route = Fixture.open
    var revocation = Revocation.none
    var now = Fixture.now

    init(stage: StageRules = Fixture.alpha, keySets: KeySets? = nil, authenticator: BearerAuthenticator? = nil) throws {
        self.authenticator = try authenticator ?? BearerAuthenticator()
        self.stage = stage
        self.keySets = try keySets ?? Fixture.keySets()
    }

    func decide(field: String?, refetch: RefetchState = .notTried) -> BearerDecision {
        let bytes = Array((field ?? "").utf8)
        return authenticator.decide(
            authorization: field == nil ? nil : bytes.span, stage: stage, route: route, keySets: keySets,
            revocation: revocation, now: now, refetch: refetch
        )
    }

    func decide(_ token: String, refetch: RefetchState = .notTried) -> BearerDecision {
        decide(field: "Bearer \(token)", refetch: refetch)
    }

    func refusal(_ token: String) -> BearerRefusal? { decide(token).refusal }
}

extension BearerDecision {
    var refusal: BearerRefusal? {
        if case .refused(let refusal) = self { refusal } else { nil }
    }
    var identity: Identity? {
        if case .allowed(let identity) = self { identity } else { nil }
    }
    var keysNeeded: [String?]? {
        if case .needsKeys(let issuer, let keyID) = self { [issuer, keyID] } else { nil }
    }
}

/// A token whose signature is HMAC-SHA256, as an attacker would make it.
func hmacToken(header: String, claims: String, secret: [UInt8]) -> String {
    let signed = "\(base64URL(header)).\(base64URL(claims))"
    var mac = [UInt8](repeating: 0, count: 32)
    var count = 0
    EVP_Q_mac(nil, "HMAC", nil, "SHA256", nil, secret, secret.count, Array(signed.utf8), signed.utf8.count, &mac, 32, &count)
    return "\(signed).\(base64URL(Array(mac.prefix(count))))"
}
