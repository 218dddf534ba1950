internal import GRDB
internal import GatewayTerms

/// What the provider must remember between requests, across restarts: logins, codes, and the families of refresh tokens.
struct GrantStore: Sendable {
    let database: DatabasePool

    /// Cognito's own: a login lasts an hour, a code five minutes, a refresh token 30 days by default.
    static let loginSeconds: Int64 = 3600
    static let codeSeconds: Int64 = 300
    static let refreshSeconds: Int64 = 30 * 86_400

    struct Login: Sendable, Equatable {
        var username: String
        var authTime: Int64
    }

    struct Code: Sendable, Equatable {
        var client: String
        var username: String
        var redirectURI: String
        var scope: String
        var nonce: String?
        /// S256 (RFC 7636 §4.2).
        var challenge: String?
        var authTime: Int64
    }

    /// All refresh tokens that stem from one login.
    struct Family: Sendable, Equatable {
        var originIdentifier: String
        var client: String
        var username: String
        var scope: String
        var authTime: Int64
    }

    func recordLogin(_ secret: String, pool: String, username: String, at now: Int64) async throws {
        try await database.write { database in
            try database.execute(sql: "DELETE FROM logins WHERE expires <= ?; DELETE FROM codes WHERE expires <= ?", arguments: [now, now - 3600])
            try database.execute(
                sql: "INSERT INTO logins (digest, pool, username, auth_time, expires) VALUES (?, ?, ?, ?, ?)",
                arguments: [Digest.hex(of: secret), pool, username, now, now + Self.loginSeconds])
        }
    }

    func login(_ secret: String, pool: String, at now: Int64) async throws -> Login? {
        try await database.read { database in
            try Row.fetchOne(
                database, sql: "SELECT username, auth_time FROM logins WHERE digest = ? AND pool = ? AND expires > ?",
                arguments: [Digest.hex(of: secret), pool, now]
            ).map { Login(username: $0["username"], authTime: $0["auth_time"]) }
        }
    }

    func endLogin(_ secret: String) async throws {
        try await database.write { try $0.execute(sql: "DELETE FROM logins WHERE digest = ?", arguments: [Digest.hex(of: secret)]) }
    }

    func record(_ code: Code, secret: String, pool: String, at now: Int64) async throws {
        try await database.write { database in
            try database.execute(
                sql: """
                    INSERT INTO codes (digest, pool, client, username, redirect_uri, scope, nonce, challenge, auth_time, expires)
                    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                    """,
                arguments: [
                    Digest.hex(of: secret), pool, code.client, code.username, code.redirectURI, code.scope, code.nonce, code.challenge,
                    code.authTime, now + Self.codeSeconds,
                ])
        }
    }

    enum Redemption: Sendable, Equatable {
        case granted(Code, Family, refreshToken: String)
        case refused
    }

    /// Takes a code, once. `accepts` decides on client, address and verifier; a code that was presented wrongly is spent as well.
    /// A second presentation revokes what the first one brought (RFC 6749 §4.1.2).
    func redeem(_ secret: String, pool: String, at now: Int64, accepts: @Sendable @escaping (Code) -> Bool) async throws -> Redemption {
        let (origin, refreshToken) = (RandomText.identifier(), RandomText.secret())
        return try await database.write { database in
            let digest = Digest.hex(of: secret)
            guard let row = try Row.fetchOne(database, sql: "SELECT * FROM codes WHERE digest = ? AND pool = ?", arguments: [digest, pool]) else {
                return .refused
            }
            if let spent = row["origin_jti"] as String? {
                try database.execute(sql: "UPDATE families SET revoked = 1 WHERE origin_jti = ?", arguments: [spent])
                return .refused
            }
            try database.execute(sql: "UPDATE codes SET origin_jti = ? WHERE digest = ?", arguments: [origin, digest])
            let code = Code(
                client: row["client"], username: row["username"], redirectURI: row["redirect_uri"], scope: row["scope"],
                nonce: row["nonce"], challenge: row["challenge"], authTime: row["auth_time"])
            let expires: Int64 = row["expires"]
            guard expires > now, accepts(code) else { return .refused }
            let family = Family(
                originIdentifier: origin, client: code.client, username: code.username, scope: code.scope, authTime: code.authTime)
            try database.execute(
                sql: "INSERT INTO families (origin_jti, pool, client, username, scope, auth_time, expires) VALUES (?, ?, ?, ?, ?, ?, ?)",
                arguments: [origin, pool, family.client, family.username, family.scope, family.authTime, now + Self.refreshSeconds])
            try database.execute(
                sql: "INSERT INTO refresh_tokens (digest, origin_jti) VALUES (?, ?)", arguments: [Digest.hex(of: refreshToken), origin])
            return .granted(code, family, refreshToken: refreshToken)
        }
    }

    enum Refresh: Sendable, Equatable {
        /// `next` is the token that replaces the presented one, when the client rotates.
        case granted(Family, next: String?)
        case refused
    }

    /// Exchanges a refresh token. With rotation the old one stays good for `grace` seconds (Cognito's RetryGracePeriodSeconds), so
    /// that two processes that refresh at once both get on.
    func refresh(_ secret: String, pool: String, client: String, rotates: Bool, grace: Int64, at now: Int64) async throws -> Refresh {
        let next = RandomText.secret()
        return try await database.write { database in
            let digest = Digest.hex(of: secret)
            guard let row = try Row.fetchOne(
                database,
                sql: """
                    SELECT t.replaced, f.* FROM refresh_tokens t JOIN families f USING (origin_jti)
                    WHERE t.digest = ? AND f.pool = ? AND f.client = ? AND f.revoked = 0 AND f.expires > ?
                    """,
                arguments: [digest, pool, client, now])
            else { return .refused }
            if let replaced = row["replaced"] as Int64?, replaced + grace < now || grace == 0 { return .refused }
            let family = Family(
                originIdentifier: row["origin_jti"], client: row["client"], username: row["username"], scope: row["scope"],
                authTime: row["auth_time"])
            guard rotates else { return .granted(family, next: nil) }
            try database.execute(
                sql: "UPDATE refresh_tokens SET replaced = ? WHERE digest = ? AND replaced IS NULL", arguments: [now, digest])
            try database.execute(
                sql: "INSERT INTO refresh_tokens (digest, origin_jti) VALUES (?, ?)", arguments: [Digest.hex(of: next), family.originIdentifier])
            return .granted(family, next: next)
        }
    }

    enum Revocation: Sendable, Equatable { case revoked, unknownToken, otherClient }

    /// Ends a refresh token and every other one of its family (RFC 7009 §2.1).
    func revoke(_ secret: String, pool: String, client: String) async throws -> Revocation {
        try await database.write { database in
            guard let row = try Row.fetchOne(
                database,
                sql: "SELECT f.origin_jti, f.client FROM refresh_tokens t JOIN families f USING (origin_jti) WHERE t.digest = ? AND f.pool = ?",
                arguments: [Digest.hex(of: secret), pool])
            else { return .unknownToken }
            guard row["client"] == client else { return .otherClient }
            try database.execute(sql: "UPDATE families SET revoked = 1 WHERE origin_jti = ?", arguments: [row["origin_jti"] as String])
            return .revoked
        }
    }

    func isRevoked(originIdentifier: String) async throws -> Bool {
        try await database.read {
            try Bool.fetchOne($0, sql: "SELECT revoked FROM families WHERE origin_jti = ?", arguments: [originIdentifier]) ?? false
        }
    }
}
