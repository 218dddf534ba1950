import COpenSSL
package import GatewayTerms
import Glibc
import Proxy

/// The last good key sets on disk, `FOLDER/<SHA-256 of the issuer>.json`, so that a restart during the provider's outage
/// still knows whom to believe.
///
/// A file is two JSON values: a line `{"v":1,"issuer":…,"fetched_at":<ms since the epoch>}`, then the provider's own bytes.
/// It appears whole or not at all (written beside, synced, renamed), readable by the gateway alone. Who can write the folder
/// can forge tokens: it belongs to the gateway's user.
package struct KeySetStore: Sendable {
    package struct Copy: Sendable, Equatable {
        package let document: [UInt8]
        package let fetchedAt: WallTime

        package init(document: [UInt8], fetchedAt: WallTime) { (self.document, self.fetchedAt) = (document, fetchedAt) }
    }

    private let folder: String

    /// - Parameter folder: made, mode 0700, when the first copy is written; its parent must exist.
    package init(folder: String) { self.folder = folder }

    package func path(of issuer: String) -> String { "\(folder)/\(Self.hexadecimalDigest(of: issuer)).json" }

    /// Replaces the issuer's copy.
    package func write(_ document: [UInt8], issuer: String, fetchedAt: WallTime) throws(StateFile.Fault) {
        let content = Self.head(issuer: issuer) + Array("\(fetchedAt.milliseconds)}\n".utf8) + document
        try StateFile.write(content.span, to: path(of: issuer))
    }

    /// The issuer's copy; nil when there is none.
    package func read(issuer: String, documentBytesMax: Int) throws(StateFile.Fault) -> Copy? {
        let path = path(of: issuer)
        let head = Self.head(issuer: issuer)
        guard let content = try StateFile.read(path, bytesMax: head.count + 32 + documentBytesMax) else { return nil }
        guard content.starts(with: head) else { throw .unusable(path: path, reason: "it does not begin as a copy of \(FetchText.printable(issuer)) does") }
        let rest = content[head.count...]
        guard let end = rest.firstIndex(of: UInt8(ascii: "}")), end - rest.startIndex <= 18, end + 1 < content.count, content[end + 1] == UInt8(ascii: "\n"),
              let time = Int64(String(decoding: rest[..<end], as: UTF8.self)), time >= 0 else {
            throw .unusable(path: path, reason: "its time is no number")
        }
        return Copy(document: Array(content[(end + 2)...]), fetchedAt: WallTime(milliseconds: time))
    }

    /// The first line up to the number.
    private static func head(issuer: String) -> [UInt8] {
        var line = JSONLineWriter()
        line.begin()
        line.member(#""v":"#, 1)
        line.member(#""issuer":"#, .text(issuer), bytesMax: 4096)
        return line.bytes + Array(#","fetched_at":"#.utf8)
    }

    private static func hexadecimalDigest(of text: String) -> String {
        let bytes = Array(text.utf8)
        var digest = [UInt8](repeating: 0, count: 32)
        _ = unsafe SHA256(bytes, bytes.count, &digest)
        return digest.map { byte in String(byte >> 4, radix: 16) + String(byte & 15, radix: 16) }.joined()
    }
}
