/// What a token was made for (Cognito's claim `token_use`).
package enum TokenUse: String, Sendable {
    case access
    case id
}

/// The uses that a client's tokens may have here.
package struct TokenUses: OptionSet, Sendable {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }

    package static let access = TokenUses(rawValue: 1)
    package static let id = TokenUses(rawValue: 2)

    package func allows(_ use: TokenUse) -> Bool {
        switch use {
        case .access: contains(TokenUses.access)
        case .id: contains(TokenUses.id)
        }
    }
}
