package import GatewayTerms

/// Key ids that a refetch did just now not bring: answered at once for 10 s, so that forged tokens ask the provider for
/// nothing. Holds at most 1,024; the oldest goes first, which costs at most another (throttled) question.
package struct UnknownKeyCache: Sendable {
    package static let lifetimeSeconds: Int64 = 10
    package static let entriesMax = 1024

    private struct Entry: Hashable, Sendable {
        let issuer: String
        let keyID: String
    }

    private var expiries: [Entry: WallTime] = [:]
    /// Entries in the order of their arrival, as a ring.
    private var order: [Entry] = []
    private var oldest = 0

    package init() {}

    package var count: Int { expiries.count }

    /// The provider was asked after this kid was seen, and does not publish it.
    package mutating func record(issuer: String, keyID: String, now: WallTime) {
        let entry = Entry(issuer: issuer, keyID: keyID)
        let isNew = expiries.updateValue(now.advanced(by: Self.lifetimeSeconds), forKey: entry) == nil
        guard isNew else { return }
        if order.count < Self.entriesMax {
            order.append(entry)
        } else {
            expiries.removeValue(forKey: order[oldest])
            order[oldest] = entry
            oldest = (oldest + 1) % Self.entriesMax
        }
    }

    package func isKnownToBeUnknown(issuer: String, keyID: String, now: WallTime) -> Bool {
        guard !expiries.isEmpty, let expiry = expiries[Entry(issuer: issuer, keyID: keyID)] else { return false }
        // A clock that was set back must not prolong an entry.
        return now < expiry && expiry <= now.advanced(by: Self.lifetimeSeconds)
    }
}
