internal import Authentication
internal import GatewayConfiguration
internal import GatewayTerms

/// Where the ring of keys comes from that seals the browser's cookies: the configured file or variable, else one that this gateway makes
/// in its state directory and alone knows.
enum LoginKeyRing {
    /// - Returns: the ring, and what an operator should know about it.
    static func of(_ configuration: Configuration, surroundings: Surroundings, now: WallTime) throws(Diagnostics) -> (ring: KeyRing, warning: String?) {
        if let reference = configuration.loginSessions.keys {
            do throws(KeyRing.Fault) {
                let ring = try reference.value.withBytes { (bytes) throws(KeyRing.Fault) in try KeyRing(document: bytes) }
                return (ring, nil)
            } catch {
                throw Diagnostics(faults: [Diagnostic(.error, at: reference.location, setting: "login_sessions.keys", "\(error)")], warnings: [])
            }
        }
        let path = configuration.stateDirectory.value + "/login-keys.json"
        if case .success(let bytes) = surroundings.read(path, KeyRing.documentBytesMax), let ring = try? KeyRing(document: bytes.span) { return (ring, nil) }
        let ring = KeyRing.fresh(at: now, random: SystemRandom.bytes)
        guard configuration.stages.contains(where: { $0.identity.browserClient != nil }) else { return (ring, nil) }
        do throws(StateFile.Fault) {
            try ring.document.withBytes { (bytes) throws(StateFile.Fault) in try StateFile.write(bytes, to: path) }
            return (ring, nil)
        } catch {
            return (ring, "login_sessions.keys is not set and a ring cannot be kept in \(path): \(error.reason). Logins end when this process does.")
        }
    }

    /// The ring that is there, for looking at cookies; one that opens none where there is none. Nothing is written.
    static func existing(_ configuration: Configuration, surroundings: Surroundings, now: WallTime) -> KeyRing {
        if let reference = configuration.loginSessions.keys, let ring = try? reference.value.withBytes({ try KeyRing(document: $0) }) { return ring }
        if case .success(let bytes) = surroundings.read(configuration.stateDirectory.value + "/login-keys.json", KeyRing.documentBytesMax),
           let ring = try? KeyRing(document: bytes.span) { return ring }
        return .fresh(at: now, random: SystemRandom.bytes)
    }
}

/// The system's generator, as the login wants its random bytes.
package enum SystemRandom {
    package static func bytes(_ count: Int) -> [UInt8] {
        var generator = SystemRandomNumberGenerator()
        return (0..<count).map { _ in generator.next() }
    }
}
