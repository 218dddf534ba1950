internal import Authentication
internal import GatewayTerms

/// Questions to a token endpoint (RFC 6749 §4.1.3, §6; RFC 7009), and the reading of its answers. Pure.
enum TokenEndpoint {
    static let redeemTimeout: Duration = .seconds(5)
    static let refreshTimeout: Duration = .seconds(RefreshDecision.waitSecondsMax)
    static let revokeTimeout: Duration = .seconds(2)
    /// Of a connection; what cannot connect in this time is asked once more.
    static let connectTimeout: Duration = .seconds(2)

    static func redeem(_ redemption: CodeRedemption) -> FetchRequest {
        request(redemption.client.tokenURL, redemption.client, timeout: redeemTimeout, [
            ("grant_type", .text("authorization_code")), ("code", .secret(redemption.code)), ("redirect_uri", .text(redemption.redirectURI)),
            ("code_verifier", .secret(redemption.verifier)),
        ])
    }

    static func refresh(_ grant: RefreshGrant) -> FetchRequest {
        request(grant.client.tokenURL, grant.client, timeout: refreshTimeout, [("grant_type", .text("refresh_token")), ("refresh_token", .secret(grant.token))])
    }

    /// Nil where the provider has no revocation.
    static func revoke(_ grant: RefreshGrant) -> FetchRequest? {
        grant.client.revocationURL.map {
            request($0, grant.client, timeout: revokeTimeout, [("token", .secret(grant.token)), ("token_type_hint", .text("refresh_token"))])
        }
    }

    private enum Value {
        case text(String)
        case secret(Secret)
    }

    private static func request(_ url: String, _ client: TokenClient, timeout: Duration, _ form: [(String, Value)]) -> FetchRequest {
        var body: [UInt8] = []
        for (name, value) in form {
            if !body.isEmpty { body.append(UInt8(ascii: "&")) }
            body += Array(name.utf8) + [UInt8(ascii: "=")]
            switch value {
            case .text(let text): body += encoded(text.utf8Span.span)
            case .secret(let secret): body += secret.withBytes { encoded($0) }
            }
        }
        // RFC 6749 §2.3.1: both are form-encoded before they are joined.
        let pair = encoded(client.clientID.utf8Span.span) + [UInt8(ascii: ":")] + client.clientSecret.withBytes { encoded($0) }
        let fields = [
            (name: "Authorization", value: "Basic \(Base64.encode(pair))"), (name: "Accept", value: "application/json"),
        ]
        return FetchRequest(
            url: url, method: .post(body), fields: fields, timeout: timeout, connectTimeout: connectTimeout, bodyBytesMax: TokenAnswer.bytesMax,
            caFile: client.caFile)
    }

    /// `application/x-www-form-urlencoded` of what needs it; a blank is `%20`, which every reader understands.
    private static func encoded(_ bytes: Span<UInt8>) -> [UInt8] {
        let digits = Array("0123456789ABCDEF".utf8)
        var text: [UInt8] = []
        text.reserveCapacity(bytes.count)
        for index in bytes.indices {
            let byte = bytes[index]
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
                 UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~"):
                text.append(byte)
            default:
                text += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return text
    }

    // MARK: - Answers

    static func read(_ result: Result<FetchResponse, FetchError>) -> Result<TokenAnswer, TokenEndpointFault> {
        let response: FetchResponse
        switch result {
        case .success(let answer): response = answer
        case .failure(.tooLarge(_, let limit)): return .failure(.malformed(reason: "it is longer than \(limit) bytes"))
        case .failure(let error): return .failure(.unavailable(reason: error.description))
        }
        switch response.status {
        case 200: return tokens(response.body)
        case 400, 401, 403: return .failure(refusal(response))
        case 408, 425, 429, 500...599: return .failure(.unavailable(reason: "It answers \(response.status)."))
        default: return .failure(.malformed(reason: "its status is \(response.status)"))
        }
    }

    private static func tokens(_ body: [UInt8]) -> Result<TokenAnswer, TokenEndpointFault> {
        let value: JSONValue
        do throws(StrictJSON.Fault) {
            value = try StrictJSON.read(body.span, limits: .init(bytesMax: TokenAnswer.bytesMax, depthMax: 8, valuesMax: 1024))
        } catch {
            return .failure(.malformed(reason: "its JSON is \(error)"))
        }
        guard let answer = value.object else { return .failure(.malformed(reason: "its JSON is no object")) }
        guard let accessToken = secret("access_token", answer) else { return .failure(.malformed(reason: "it has no access_token")) }
        // RFC 6749 §5.1: the type's letter case does not count.
        guard let type = answer["token_type"]?.string, type.lowercased() == "bearer" else { return .failure(.malformed(reason: "its token_type is not Bearer")) }
        let expiresIn: Int64? = switch answer["expires_in"] {
        case .integer(let seconds)? where seconds >= 0: min(seconds, 315_360_000)
        // Some providers write the number as a text.
        case .string(let text)?: Int64(text).flatMap { $0 >= 0 ? min($0, 315_360_000) : nil }
        default: nil
        }
        return .success(TokenAnswer(
            accessToken: accessToken, idToken: secret("id_token", answer), refreshToken: secret("refresh_token", answer), expiresIn: expiresIn,
            scope: answer["scope"]?.string))
    }

    private static func secret(_ name: String, _ answer: JSONObject) -> Secret? {
        guard let text = answer[name]?.string, !text.isEmpty else { return nil }
        return Secret(text)
    }

    /// RFC 6749 §5.2. A code that is not on the list is not repeated.
    private static func refusal(_ response: FetchResponse) -> TokenEndpointFault {
        let value = try? StrictJSON.read(response.body.span, limits: .init(bytesMax: 64 * 1024, depthMax: 8, valuesMax: 256))
        guard let code = value?.object?["error"]?.string else { return .malformed(reason: "it is \(response.status) without an error code") }
        switch code {
        case "invalid_grant": return .grantRefused
        case "temporarily_unavailable", "server_error", "slow_down": return .unavailable(reason: "It answers \(response.status) with \(code).")
        case "invalid_request", "invalid_client", "unauthorized_client", "unsupported_grant_type", "invalid_scope": return .requestRefused(code: code)
        default: return .requestRefused(code: "an unknown error")
        }
    }
}

/// Base64 with padding (RFC 4648 §4), as Basic wants it.
private enum Base64 {
    static func encode(_ bytes: [UInt8]) -> String {
        var text = Base64URL.encode(bytes.span).map { $0 == UInt8(ascii: "-") ? UInt8(ascii: "+") : $0 == UInt8(ascii: "_") ? UInt8(ascii: "/") : $0 }
        while text.count % 4 != 0 { text.append(UInt8(ascii: "=")) }
        return String(decoding: text, as: UTF8.self)
    }
}
