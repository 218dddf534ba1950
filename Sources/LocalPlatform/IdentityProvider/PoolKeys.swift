internal import Foundation
internal import GatewayTerms
internal import Synchronization

/// A user pool's signing keys, oldest first, one file each (0600) in the state directory. Like Cognito, ID tokens are signed with
/// one of the newest two and access tokens with the other; older keys stay in the key set so that their tokens remain valid.
final class PoolKeys: Sendable {
    /// Keys in the key set at most; a rotation beyond it retires the oldest.
    static let publishedMax = 6

    private let directory: String
    private let keys: Mutex<[Entry]>

    private struct Entry: Sendable {
        var sequence: Int
        var key: SigningKey
    }

    /// Loads the pool's keys, making the first two where there are none.
    init(directory: String) throws(PlatformError) {
        self.directory = directory
        var entries: [Entry] = []
        do {
            try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch {
            throw .cannotUseState(directory: directory, reason: error.localizedDescription)
        }
        for name in (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? [] {
            guard name.hasSuffix(".pem"), let sequence = Int(name.dropLast(4)) else { continue }
            guard let data = FileManager.default.contents(atPath: directory + "/" + name), let key = SigningKey(pem: Array(data)) else {
                throw .badSigningKey(file: directory + "/" + name)
            }
            entries.append(Entry(sequence: sequence, key: key))
        }
        entries.sort { $0.sequence < $1.sequence }
        while entries.count < 2 {
            entries.append(try Self.make(sequence: (entries.last?.sequence ?? 0) &+ 1, in: directory))
        }
        keys = Mutex(entries)
    }

    var published: [SigningKey] { keys.withLock { $0.map(\.key) } }
    var forIdentityTokens: SigningKey { keys.withLock { $0[$0.count - 2].key } }
    var forAccessTokens: SigningKey { keys.withLock { $0[$0.count - 1].key } }

    func key(identifier: String) -> SigningKey? { published.first { $0.identifier == identifier } }

    /// Adds a pair of new keys and signs with them from now on. `retiring` takes all older ones out of the key set.
    func rotate(retiring: Bool) throws(PlatformError) {
        let last = keys.withLock { $0.last?.sequence ?? 0 }
        let first = try Self.make(sequence: last &+ 1, in: directory)
        let second = try Self.make(sequence: last &+ 2, in: directory)
        let retired = keys.withLock { entries -> [Entry] in
            let kept = retiring ? [] : Array(entries.suffix(Self.publishedMax - 2))
            let retired = entries.dropLast(kept.count)
            entries = kept + [first, second]
            return Array(retired)
        }
        for entry in retired { try? FileManager.default.removeItem(atPath: Self.file(entry.sequence, in: directory)) }
    }

    private static func file(_ sequence: Int, in directory: String) -> String { "\(directory)/\(sequence).pem" }

    private static func make(sequence: Int, in directory: String) throws(PlatformError) -> Entry {
        let key = try SigningKey.generate()
        let pem = key.privatePEM.withBytes { span in (0..<span.count).map { span[$0] } }
        try StateDirectory.writePrivately(pem, to: file(sequence, in: directory))
        return Entry(sequence: sequence, key: key)
    }
}
