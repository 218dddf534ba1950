package import GatewayTerms

/// One question that is asked of a bearer token, in the order in which they are asked (C3, C4).
package enum BearerStep: String, Sendable, CaseIterable {
    case form
    case algorithm
    case issuer
    case key
    case signature
    case claims
    case times
    case client
    case revocation
    /// What the client's own row demands.
    case demand
    case policy
}

/// A decision about a bearer token, taken apart: each question, what it was asked of, and where the answer was no. It looks at what the
/// token says of itself and at the decision that the authenticator took; it takes none, and holds nothing of the token that could be used.
package struct BearerExplanation: Sendable, Equatable {
    package enum Outcome: String, Sendable { case passed, failed, notReached = "not reached" }

    package struct Item: Sendable, Equatable {
        package let step: BearerStep
        package let outcome: Outcome
        package let value: String
    }

    package let items: [Item]

    /// - Parameters:
    ///   - authorization: the value of the Authorization field.
    ///   - refusal: what was decided; nil: the token passes.
    package init(authorization: Span<UInt8>, refusal: BearerRefusal?, stage: StageRules, route: RoutePolicy, now: WallTime) {
        // Without a token after the scheme, that is the answer, and the empty one is looked at.
        let range = (try? BearerCredential.tokenRange(in: authorization)) ?? 0..<0
        self.init(token: authorization.extracting(range), refusal: refusal, stage: stage, route: route, now: now)
    }

    package init(token: Span<UInt8>, refusal: BearerRefusal?, stage: StageRules, route: RoutePolicy, now: WallTime) {
        let facts = SelfDescription(token, stage: stage, route: route, now: now)
        let failed = refusal?.step(route: route)
        items = BearerStep.allCases.map { step in
            guard let failed, let refusal else { return Item(step: step, outcome: .passed, value: facts.value(step)) }
            if step == failed {
                let value = facts.value(step)
                return Item(step: step, outcome: .failed, value: value.isEmpty ? refusal.logReason : "\(value): \(refusal.logReason)")
            }
            return step.position < failed.position ? Item(step: step, outcome: .passed, value: facts.value(step)) : Item(step: step, outcome: .notReached, value: "")
        }
    }

    /// What the token says of itself, in words; believed only as far as the steps before passed.
    private struct SelfDescription {
        private let count: Int
        private let unverified: UnverifiedToken?
        private let claims: TokenClaims?
        private let stage: StageRules
        private let route: RoutePolicy
        private let now: WallTime

        init(_ token: Span<UInt8>, stage: StageRules, route: RoutePolicy, now: WallTime) {
            count = token.count
            // A token that is too large is not looked into, as the verifier does not.
            unverified = token.count <= stage.tokenBytesMax ? try? UnverifiedToken(token) : nil
            claims = unverified.flatMap { try? TokenClaims($0.claims) }
            (self.stage, self.route, self.now) = (stage, route, now)
        }

        func value(_ step: BearerStep) -> String {
            guard let unverified else { return step == .form ? "\(count) bytes" : "" }
            switch step {
            case .form: return "\(count) bytes, at most \(stage.tokenBytesMax)"
            case .algorithm: return unverified.algorithm
            case .issuer: return unverified.issuer
            case .key: return unverified.keyID
            case .signature: return ""
            case .claims, .times, .client, .revocation, .demand, .policy: return claims.map { value(step, $0) } ?? ""
            }
        }

        private func value(_ step: BearerStep, _ claims: TokenClaims) -> String {
            switch step {
            case .form, .algorithm, .issuer, .key, .signature: return ""
            case .claims: return "sub \(claims.subject)"
            case .times:
                let issued = claims.issuedAt.map { ", iat \($0)" } ?? "", notBefore = claims.notBefore.map { ", nbf \($0)" } ?? ""
                let left = claims.expiresAt.seconds - now.seconds
                return "exp \(claims.expiresAt), \(left >= 0 ? "in \(BearerRefusal.span(left))" : "\(BearerRefusal.span(-left)) ago")\(issued)\(notBefore)"
            case .client:
                let id = claims.clientID ?? claims.authorizedParty ?? claims.audiences.joined(separator: ", ")
                let name = stage.issuers.flatMap(\.clients).first { $0.id.hasSameBytes(as: id) }.map { " (\($0.name))" } ?? ""
                return "token_use \(claims.tokenUse ?? "none"), client \(id)\(name)"
            case .revocation: return ""
            case .demand:
                let id = claims.clientID ?? claims.authorizedParty ?? claims.audiences.first ?? ""
                guard let client = stage.issuers.flatMap(\.clients).first(where: { $0.id.hasSameBytes(as: id) }) else { return "" }
                return demand(scopes: client.scopes, groups: client.groups, claims)
            case .policy:
                let asked = demand(scopes: route.scopes, groups: route.groups, claims)
                return route.rules.isEmpty ? asked : "\(asked); asks the rules \(route.rules.map(\.name).joined(separator: ", "))"
            }
        }

        private func demand(scopes: [String], groups: [String], _ claims: TokenClaims) -> String {
            let claim = stage.issuers.first { $0.issuer.hasSameBytes(as: claims.issuer) }?.groupsClaim ?? ""
            let own = (try? claims.groups(claim: claim)) ?? []
            var parts: [String] = []
            if !scopes.isEmpty { parts.append("wants the scopes \(scopes.joined(separator: ", ")), the token has \(list(claims.scopes))") }
            if !groups.isEmpty { parts.append("wants one of the groups \(groups.joined(separator: ", ")), the caller is in \(list(own))") }
            return parts.isEmpty ? "wants nothing more" : parts.joined(separator: "; ")
        }

        private func list(_ names: [String]) -> String { names.isEmpty ? "none" : names.joined(separator: ", ") }
    }
}

extension BearerStep {
    fileprivate var position: Int { BearerStep.allCases.firstIndex(of: self) ?? 0 }
}

extension BearerRefusal {
    /// The question that this refusal answers.
    package func step(route: RoutePolicy) -> BearerStep {
        switch self {
        case .missing, .wrongScheme, .duplicated, .tooLarge: .form
        case .malformed(.notThreeParts), .malformed(.notBase64URL), .malformed(.notJSON), .malformed(.header), .malformed(.forbiddenHeader): .form
        case .malformed(.claim(name: "iss")): .form
        case .malformed(.claim(name: "token_use")), .malformed(.claim(name: "client_id")): .client
        case .malformed(.claim), .malformed(.readersDisagree): .claims
        case .wrongAlgorithm: .algorithm
        case .issuerUnknown, .issuerOfAnotherStage: .issuer
        case .unknownKey: .key
        case .undecidable(.digestFailed): .form
        case .undecidable: .key
        case .badSignature: .signature
        case .expired, .notYetValid, .issuedInTheFuture: .times
        case .wrongTokenUse, .clientNotAllowed, .audienceNotAllowed: .client
        case .revoked: .revocation
        case .scopeMissing(_, let policy), .groupMissing(_, let policy), .ruleDenied(_, let policy): policy == route.name ? .policy : .demand
        }
    }
}
