internal import GatewayConfiguration
internal import GatewayTerms
internal import Synchronization

/// Who asked for a reload.
package enum ReloadCause: String, Sendable { case start, signal, command, files }

/// What became of the reloads so far: their counts, and the last ones in full.
final class ReloadRecord: Sendable {
    struct Entry: Sendable {
        var at: WallTime
        var cause: ReloadCause
        /// Of the configuration that was accepted; `nil` where it was refused.
        var version: String?
        /// From the first byte read to the order to the loops.
        var duration: Duration
        var diagnostics: [Diagnostic]
        /// In an operator's words; of a long list the first, and how many more.
        var changes: [String]

        var isAccepted: Bool { version != nil }
    }

    struct Reading: Sendable {
        var accepted = 0
        var refused = 0
        var certificatesAccepted = 0
        var certificatesRejected = 0
        var version: String
        var acceptedAt: WallTime
        /// The latest last; at most ``entriesMax``, each with at most ``diagnosticsMax`` diagnostics and ``changesMax`` changes. Reloads only, not the start.
        var recent: [Entry] = []
    }

    static let entriesMax = 16
    static let diagnosticsMax = 50
    static let changesMax = 200

    private let state: Mutex<Reading>

    init(version: String, at now: WallTime) { state = Mutex(Reading(version: version, acceptedAt: now)) }

    var reading: Reading { state.withLock { $0 } }

    /// - Returns: what is kept of it.
    @discardableResult
    func add(_ entry: Entry, certificatesChanged: Bool = false, certificateRejected: Bool = false) -> Entry {
        var entry = entry
        entry.diagnostics = Array(entry.diagnostics.prefix(Self.diagnosticsMax))
        if entry.changes.count > Self.changesMax {
            entry.changes = entry.changes.prefix(Self.changesMax) + ["and \(entry.changes.count - Self.changesMax) more"]
        }
        state.withLock { reading in
            if let version = entry.version {
                reading.accepted += 1
                reading.version = version
                reading.acceptedAt = entry.at
            } else {
                reading.refused += 1
            }
            if certificatesChanged { reading.certificatesAccepted += 1 }
            if certificateRejected { reading.certificatesRejected += 1 }
            reading.recent.append(entry)
            if reading.recent.count > Self.entriesMax { reading.recent.removeFirst() }
        }
        return entry
    }
}

extension ReloadRecord.Entry {
    var json: String {
        JSONText.object { object in
            object.member("at", at.description)
            object.member("cause", cause.rawValue)
            object.member("result", isAccepted ? "accepted" : "refused")
            object.member("version", version)
            object.member("milliseconds", duration.milliseconds)
            object.member("changes", changes)
            object.member("diagnostics", json: "[" + diagnostics.map(\.json).joined(separator: ",") + "]")
        }
    }
}

extension Duration {
    var milliseconds: Int64 { components.seconds &* 1000 &+ components.attoseconds / 1_000_000_000_000_000 }
}
