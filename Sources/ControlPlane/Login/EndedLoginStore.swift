internal import Authentication
internal import GatewayTerms

/// Keeps the logins that ended here, by a sign-out or an operator's word, over a restart, in the form of the revocation file (C11).
/// Mode 0600; appears whole or not at all.
struct EndedLoginStore {
    let path: String

    /// None where there is no file.
    func read() throws -> [Revocation.Entry] {
        guard let bytes = try StateFile.read(path, bytesMax: Revocation.documentBytesMax) else { return [] }
        return try Revocation(document: bytes.span).entries
    }

    /// `nil` when it is kept, otherwise why not.
    func write(_ entries: [Revocation.Entry]) -> String? {
        let bytes = Array(Revocation(entries).document(at: WallTime(milliseconds: .min)).utf8)
        do { try StateFile.write(bytes.span, to: path) } catch { return "\(path): \(error.reason)" }
        return nil
    }
}
