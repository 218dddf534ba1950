package import GatewayTerms

/// By what a token was revoked; the words of the file.
package enum RevocationKind: String, Sendable, Equatable {
    case tokenID = "jti"
    case originTokenID = "origin_jti"
    case subject = "sub"
    case client = "client_id"
    /// Logins of a subject that began before a moment, and what they are refreshed to: signing out everywhere.
    case subjectNotBefore = "not_before"
}

/// Tokens that are refused although their signature is good (C11): an immutable set, replaced whole when its file changes.
/// Without it a Cognito access token lives until its `exp`.
///
/// The file is JSON, at most 8 MiB and 50,000 entries:
/// ```json
/// { "version": 1, "entries": [
///   { "jti": "0f3c…", "until": 1764000000, "reason": "laptop lost" },
///   { "origin_jti": "77ab…", "until": 1764000000 },
///   { "client_id": "2example…", "issuer": "https://cognito-idp.us-west-2.amazonaws.com/us-west-2_Example1", "until": 1764000000 },
///   { "sub": "a1b2…", "until": 1764000000 },
///   { "sub": "a1b2…", "not_before": 1763900000, "until": 1764000000 } ] }
/// ```
/// Each entry names exactly one of `jti`, `origin_jti`, `sub`, `client_id`. `until` (seconds since 1970) is required: after
/// it the entry means nothing and may be deleted; set it past the `exp` of the longest-lived token concerned. `issuer`
/// limits an entry to that provider's tokens; without it the entry counts for every issuer. `not_before`, with `sub` only,
/// refuses the subject's logins that began earlier: tokens by the earlier of their `auth_time`, which refreshing keeps, and their `iat`
/// (with neither, always); login sessions by their own beginning. `reason` is for people. Other names are faults, so that a
/// misspelt entry is not an entry without effect.
package struct Revocation: Sendable {
    package static let documentBytesMax = 8 * 1024 * 1024
    package static let entriesMax = 50_000
    /// For how long the tokens of a login may be refreshed: 30 days is Cognito's default and that of the command line's client in deploy/, and a
    /// day more for what was refreshed last.
    package static let refreshableSeconds: Int64 = 31 * 86_400

    package struct Entry: Sendable, Equatable {
        package let kind: RevocationKind
        package let value: String
        /// Nil: of every issuer.
        package let issuer: String?
        package let until: WallTime
        /// Of `.subjectNotBefore` alone.
        package let notBefore: WallTime?

        package init(kind: RevocationKind, value: String, issuer: String? = nil, until: WallTime, notBefore: WallTime? = nil) {
            self.kind = kind
            self.value = value
            self.issuer = issuer
            self.until = until
            self.notBefore = notBefore
        }
    }

    package static let none = Revocation([])

    package let entries: [Entry]
    private var tokens: [String: [Int]] = [:]
    private var origins: [String: [Int]] = [:]
    private var subjects: [String: [Int]] = [:]
    private var clients: [String: [Int]] = [:]

    package var isEmpty: Bool { entries.isEmpty }

    package init(_ entries: [Entry]) {
        self.entries = entries
        for (index, entry) in entries.enumerated() {
            switch entry.kind {
            case .tokenID: tokens[entry.value, default: []].append(index)
            case .originTokenID: origins[entry.value, default: []].append(index)
            case .subject, .subjectNotBefore: subjects[entry.value, default: []].append(index)
            case .client: clients[entry.value, default: []].append(index)
            }
        }
    }

    /// Reads the file's text.
    package init(document: Span<UInt8>) throws(AuthenticationError) {
        let value: JSONValue
        do { value = try StrictJSON.read(document, limits: Self.limits) } catch {
            throw .revocationRefused(place: "byte \(error.offset)", reason: error.kind.rawValue)
        }
        guard let file = value.object else { throw .revocationRefused(place: "the top", reason: "it must be an object") }
        for member in file.members where member.name != "version" && member.name != "entries" {
            throw .revocationRefused(place: "the top", reason: "`\(member.name)` is not known; allowed are version and entries")
        }
        guard file["version"] == .integer(1) else { throw .revocationRefused(place: "version", reason: "it \(Self.shown(file["version"])) and must be 1") }
        guard let values = file["entries"]?.array else { throw .revocationRefused(place: "entries", reason: "it must be an array") }
        guard values.count <= Self.entriesMax else {
            throw .revocationRefused(place: "entries", reason: "\(values.count) entries, more than \(Self.entriesMax); delete those whose until has passed")
        }
        var entries: [Entry] = []
        entries.reserveCapacity(values.count)
        for (index, value) in values.enumerated() { entries.append(try Self.entry(value, place: "entries[\(index)]")) }
        self.init(entries)
    }

    /// These entries as a file's text, without those that have passed: what the admin path writes.
    package func document(at now: WallTime) -> String {
        var text = "{ \"version\": 1, \"entries\": ["
        var isFirst = true
        for entry in entries where now < entry.until {
            text += isFirst ? "\n  " : ",\n  "
            isFirst = false
            let name = entry.kind == .subjectNotBefore ? RevocationKind.subject : entry.kind
            text += "{ \"\(name.rawValue)\": \(JSONText.quoted(entry.value))"
            if let notBefore = entry.notBefore { text += ", \"not_before\": \(notBefore.seconds)" }
            if let issuer = entry.issuer { text += ", \"issuer\": \(JSONText.quoted(issuer))" }
            text += ", \"until\": \(entry.until.seconds) }"
        }
        return text + " ] }\n"
    }

    /// By what this caller's token is revoked at this moment, or nil.
    package func revokes(_ identity: Identity, now: WallTime) -> RevocationKind? {
        revokes(
            issuer: identity.issuer, subject: identity.subject, client: identity.client, tokenID: identity.tokenID,
            originTokenID: identity.originTokenID, begunAt: identity.begunAt, now: now
        )
    }

    /// The same for a login session, which has no token at hand.
    package func revokes(
        issuer: String, subject: String, client: String, tokenID: String?, originTokenID: String?, begunAt: WallTime?, now: WallTime
    ) -> RevocationKind? {
        func first(_ table: [String: [Int]], _ value: String?) -> RevocationKind? {
            guard !table.isEmpty, let value, let indices = table[value] else { return nil }
            for index in indices where applies(entries[index], issuer: issuer, begunAt: begunAt, now: now) { return entries[index].kind }
            return nil
        }
        if isEmpty { return nil }
        return first(tokens, tokenID) ?? first(origins, originTokenID) ?? first(subjects, subject) ?? first(clients, client)
    }

    private func applies(_ entry: Entry, issuer: String, begunAt: WallTime?, now: WallTime) -> Bool {
        guard now < entry.until else { return false }
        if let wanted = entry.issuer, !wanted.hasSameBytes(as: issuer) { return false }
        guard let notBefore = entry.notBefore, let begunAt else { return true }
        return begunAt < notBefore
    }

    private static func entry(_ value: JSONValue, place: String) throws(AuthenticationError) -> Entry {
        func refused(_ reason: String) -> AuthenticationError { .revocationRefused(place: place, reason: reason) }
        guard let members = value.object else { throw refused("it must be an object") }
        var kind: RevocationKind?
        var named = ""
        for member in members.members {
            switch member.name {
            case "until", "issuer", "not_before": continue
            case "reason":
                guard member.value.string != nil else { throw refused("`reason` must be a text") }
            case "jti", "origin_jti", "sub", "client_id":
                guard kind == nil else { throw refused("it names more than one of jti, origin_jti, sub, client_id; write an entry for each") }
                guard let text = member.value.string, !text.isEmpty, text.utf8.count <= TokenClaims.textBytesMax else {
                    throw refused("`\(member.name)` must be a text of 1 to \(TokenClaims.textBytesMax) bytes")
                }
                kind = RevocationKind(rawValue: member.name)
                named = text
            default:
                throw refused("`\(member.name)` is not known; allowed are jti, origin_jti, sub, client_id, issuer, not_before, until, reason")
            }
        }
        guard var kind else { throw refused("it names none of jti, origin_jti, sub, client_id") }
        guard let until = members["until"].flatMap(time) else { throw refused("`until` \(shown(members["until"])); it must be whole seconds since 1970") }
        var issuer: String?
        if let value = members["issuer"] {
            guard let text = value.string, !text.isEmpty else { throw refused("`issuer` must be a text") }
            issuer = text
        }
        var notBefore: WallTime?
        if let value = members["not_before"] {
            guard kind == .subject else { throw refused("`not_before` goes with sub only") }
            guard let moment = time(value) else { throw refused("`not_before` \(shown(value)); it must be whole seconds since 1970") }
            notBefore = moment
            kind = .subjectNotBefore
        }
        return Entry(kind: kind, value: named, issuer: issuer, until: until, notBefore: notBefore)
    }

    /// A value in a message, shortened.
    private static func shown(_ value: JSONValue?) -> String {
        switch value {
        case nil: "is missing"
        case .null?: "is null"
        case .bool(let flag)?: "is \(flag)"
        case .integer(let number)?: "is \(number)"
        case .number(let number)?: "is \(number)"
        case .string(let text)?: "is \(JSONText.quoted(String(text.prefix(40))))"
        case .array?: "is a list"
        case .object?: "is an object"
        }
    }

    private static func time(_ value: JSONValue) -> WallTime? {
        guard let seconds = value.integer, seconds >= 0, seconds <= 253_402_300_799 else { return nil }
        return WallTime(seconds: seconds)
    }

    private static let limits = StrictJSON.Limits(bytesMax: documentBytesMax, depthMax: 4, valuesMax: entriesMax * 6 + 4)
}
