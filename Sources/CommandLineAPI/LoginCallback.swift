/// What the identity provider sent back with a browser whose login began on a machine without one (RFC 6749 §4.1.2).
///
/// The query comes from whoever made the link, so nothing of it is shown but a code of a narrow alphabet: no blank, quote, bracket
/// or shell sign, so that it can be neither markup nor a sentence nor, pasted into the wrong window, a command.
enum LoginCallback: Equatable {
    /// `CODE#STATE`: the extension compares the state and takes the code.
    case code(String)
    case refused(ProviderError)
    /// Opened without anything in the address.
    case empty
    /// Damaged, incomplete, or with signs that no code has.
    case unreadable

    /// Longest code that is shown; the extension's own limit.
    static let codeMax = 4096
    /// The extension's state has 43 characters.
    static let stateMax = 256

    init(query: [UInt8]) {
        var values: [String: String] = [:]
        for member in query.split(separator: UInt8(ascii: "&")).prefix(64) {
            let parts = member.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = parts.first.flatMap(LoginCallback.decoded), ["code", "state", "error"].contains(name) else { continue }
            // RFC 6749 §3.1: no parameter more than once.
            guard let value = LoginCallback.decoded(parts.count == 2 ? parts[1] : []), values.updateValue(value, forKey: name) == nil else {
                self = .unreadable
                return
            }
        }
        if let error = values["error"] {
            self = values["code"] == nil ? .refused(ProviderError(rawValue: error) ?? .unknown) : .unreadable
        } else if values.isEmpty {
            self = query.isEmpty ? .empty : .unreadable
        } else if let code = values["code"], let state = values["state"], LoginCallback.isPlain(code, max: LoginCallback.codeMax),
                  LoginCallback.isPlain(state, max: LoginCallback.stateMax) {
            self = .code("\(code)#\(state)")
        } else {
            self = .unreadable
        }
    }

    private static func isPlain(_ text: String, max: Int) -> Bool {
        (1...max).contains(text.utf8.count) && text.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
            default: "-._~+/=:*".utf8.contains(byte)
            }
        }
    }

    /// A component of a form-encoded query; `nil` for a broken escape.
    private static func decoded(_ bytes: ArraySlice<UInt8>) -> String? {
        var result: [UInt8] = []
        result.reserveCapacity(bytes.count)
        var index = bytes.startIndex
        while index < bytes.endIndex {
            let byte = bytes[index]
            index += 1
            switch byte {
            case UInt8(ascii: "+"): result.append(UInt8(ascii: " "))
            case UInt8(ascii: "%"):
                guard index + 1 < bytes.endIndex, let high = nibble(bytes[index]), let low = nibble(bytes[index + 1]) else { return nil }
                result.append(high << 4 | low)
                index += 2
            default: result.append(byte)
            }
        }
        return String(decoding: result, as: UTF8.self)
    }

    private static func nibble(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}

/// The closed list of what a provider may report in place of a code (RFC 6749 §4.1.2.1, OpenID Connect Core §3.1.2.6), and what the
/// person should do. The provider's own description is never shown: anybody can write one into a link.
enum ProviderError: String, CaseIterable {
    case accessDenied = "access_denied"
    case invalidRequest = "invalid_request"
    case unauthorizedClient = "unauthorized_client"
    case unsupportedResponseType = "unsupported_response_type"
    case invalidScope = "invalid_scope"
    case serverError = "server_error"
    case temporarilyUnavailable = "temporarily_unavailable"
    case loginRequired = "login_required"
    case interactionRequired = "interaction_required"
    case consentRequired = "consent_required"
    case unknown = ""

    var sentence: String {
        switch self {
        case .accessDenied: "The login was refused. If you did not refuse it yourself, ask the operators whether you have access to this stage."
        case .invalidRequest, .unauthorizedClient, .unsupportedResponseType, .invalidScope:
            "The identity provider does not accept this stage's logins as they are set up. Tell the operators of this stage."
        case .serverError, .temporarilyUnavailable: "The identity provider cannot log anybody in at the moment. Start the login again in a few minutes."
        case .loginRequired, .interactionRequired, .consentRequired: "The identity provider wants you to log in by hand. Start the login again, and finish it in this browser."
        case .unknown: "The identity provider gave no code. Start the login again, and tell the operators if it happens twice."
        }
    }
}
