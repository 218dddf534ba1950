package import GatewayTerms

/// What the browser's cookie holds (D7): who logged in, until when, and the refresh token; never an ID or access token.
package struct LoginSession: Sendable, Equatable {
    /// 16 random bytes, new at every login (D10).
    package let id: [UInt8]
    package let subject: String
    package internal(set) var username: String?
    package internal(set) var email: String?
    package internal(set) var groups: [String]
    /// Groups had to be left out so that the cookie fits: upstreams are told that the list is not whole.
    package internal(set) var groupsAreTruncated: Bool
    package internal(set) var scopes: [String]
    /// What the stage's policies ask for beyond groups and scopes, as ``Identity/claims``.
    package internal(set) var claims: [String: [String]]
    /// Cognito's name of the login, by which an operator can revoke it.
    package internal(set) var originTokenID: String?
    /// When the person proved who they are, as the provider says.
    package internal(set) var authenticatedAt: WallTime?
    package let createdAt: WallTime
    /// When the provider last vouched for it.
    package internal(set) var refreshedAt: WallTime
    /// The last request, to within an eighth of the idle time.
    package internal(set) var usedAt: WallTime
    /// When the provider's word ends; then it must be asked again.
    package internal(set) var expiresAt: WallTime
    /// Nil: the login ends at `expiresAt`.
    package internal(set) var refreshToken: Secret?

    /// The id as texts carry it: revocation lists, the access log.
    package var idText: String { String(decoding: Base64URL.encode(id.span), as: UTF8.self) }

    static let idBytes = 16
    private static let kind: UInt8 = 0x51
    /// The same with claims behind it; without them the older form is written, which gateways of the version before can read.
    private static let kindWithClaims: UInt8 = 0x52

    init(
        id: [UInt8], subject: String, username: String?, email: String?, groups: [String], groupsAreTruncated: Bool = false, scopes: [String],
        claims: [String: [String]] = [:], originTokenID: String?, authenticatedAt: WallTime?, createdAt: WallTime, refreshedAt: WallTime, usedAt: WallTime, expiresAt: WallTime,
        refreshToken: Secret?
    ) {
        self.id = id
        self.subject = subject
        self.username = username
        self.email = email
        self.groups = groups
        self.groupsAreTruncated = groupsAreTruncated
        self.scopes = scopes
        self.claims = claims
        self.originTokenID = originTokenID
        self.authenticatedAt = authenticatedAt
        self.createdAt = createdAt
        self.refreshedAt = refreshedAt
        self.usedAt = usedAt
        self.expiresAt = expiresAt
        self.refreshToken = refreshToken
    }

    var record: [UInt8] {
        var writer = SealedRecordWriter(kind: claims.isEmpty ? Self.kind : Self.kindWithClaims)
        writer.data(id)
        writer.text(subject)
        writer.text(optional: username)
        writer.text(optional: email)
        writer.texts(groups)
        writer.flag(groupsAreTruncated)
        writer.texts(scopes)
        writer.text(optional: originTokenID)
        writer.flag(authenticatedAt != nil)
        if let authenticatedAt { writer.time(authenticatedAt) }
        writer.time(createdAt)
        writer.time(refreshedAt)
        writer.time(usedAt)
        writer.time(expiresAt)
        writer.flag(refreshToken != nil)
        refreshToken?.withBytes { writer.data(Array(copying: $0)) }
        if !claims.isEmpty {
            writer.number(UInt64(claims.count))
            for (name, values) in claims.sorted(by: { $0.key < $1.key }) {
                writer.text(name)
                writer.texts(values)
            }
        }
        return writer.bytes
    }

    /// Nil for a record of another kind or version.
    init?(record: [UInt8]) {
        do throws(SealedRecordReader.Misfit) {
            let hasClaims = record.first == Self.kindWithClaims
            var reader = try SealedRecordReader(record, kind: hasClaims ? Self.kindWithClaims : Self.kind)
            id = try reader.data()
            subject = try reader.text()
            username = try reader.optionalText()
            email = try reader.optionalText()
            groups = try reader.texts()
            groupsAreTruncated = try reader.flag()
            scopes = try reader.texts()
            originTokenID = try reader.optionalText()
            authenticatedAt = try reader.flag() ? try reader.time() : nil
            createdAt = try reader.time()
            refreshedAt = try reader.time()
            usedAt = try reader.time()
            expiresAt = try reader.time()
            refreshToken = try reader.flag() ? Secret(try reader.data()) : nil
            var claims: [String: [String]] = [:]
            if hasClaims {
                for _ in 0..<min(try reader.number(), UInt64(record.count)) { claims[try reader.text()] = try reader.texts() }
            }
            self.claims = claims
            try reader.end()
        } catch {
            return nil
        }
        guard id.count == Self.idBytes, !subject.isEmpty else { return nil }
    }

    /// Makes the session fit into its cookies, in the order of D7; never less than what decides about access.
    enum Truncation: String, Sendable, Equatable {
        case none
        /// Groups that no policy of the stage names.
        case groups
        /// And the refresh token: the login ends at `expiresAt`.
        case refreshToken = "refresh_token"
        /// And what only upstreams read: name and address.
        case profile
        /// Even that does not fit.
        case impossible
    }

    /// - Parameters:
    ///   - recordBytesMax: of the sealed record.
    ///   - named: groups that the stage's policies name; nil: none.
    mutating func truncate(recordBytesMax: Int, named: [String]?) -> Truncation {
        if record.count <= recordBytesMax { return .none }
        groups = named.map { named in groups.filter { named.holds($0) } } ?? []
        groupsAreTruncated = named == nil
        if record.count <= recordBytesMax { return .groups }
        refreshToken = nil
        if record.count <= recordBytesMax { return .refreshToken }
        (username, email) = (nil, nil)
        return record.count <= recordBytesMax ? .profile : .impossible
    }
}
