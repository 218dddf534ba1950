package import Authentication
package import GatewayTerms

/// Logins that ended at this gateway by signing out, beside those that the revocation file names: what all loops refuse (C11, D11).
/// A value; its owner locks it and publishes `revocation`.
package struct EndedLogins: Sendable {
    /// Over it the oldest go: their cookies were cleared, their refresh tokens revoked.
    package static let entriesMax = 10_000

    private var file = Revocation.none
    private var own: [Revocation.Entry] = []

    package init() {}

    package private(set) var revocation = Revocation.none

    /// The file was read anew.
    package mutating func follow(_ file: Revocation, now: WallTime) {
        self.file = file
        rebuild(now)
    }

    /// Somebody signed out.
    package mutating func end(_ entries: [Revocation.Entry], now: WallTime) {
        own += entries
        rebuild(now)
    }

    /// Those that ended here and still count.
    package func own(at now: WallTime) -> [Revocation.Entry] { own.filter { now < $0.until } }

    private mutating func rebuild(_ now: WallTime) {
        own.removeAll { $0.until <= now }
        if own.count > Self.entriesMax { own.removeFirst(own.count - Self.entriesMax) }
        revocation = Revocation(file.entries + own)
    }
}
