package import GatewayTerms

/// The ring's file. Times are whole seconds since 1970; `encrypts_after` is ten minutes after `created` where it is left out.
/// ```json
/// { "keys": [
///   { "id": "20261124-a3fK", "key": "…43 letters of base64url, 32 bytes…", "created": 1795521600, "encrypts_after": 1795522200 } ] }
/// ```
/// Other names are faults, so that a misspelt `encrypts_after` is not a key that seals too early.
extension KeyRing {
    /// Why the file cannot be used. Never a part of a key.
    package struct Fault: Error, Equatable, Sendable, CustomStringConvertible {
        package let place: String
        package let reason: String

        package var description: String {
            "The key ring of the login sessions is refused at \(place): \(reason). `metaflow-gateway keys rotate --output FILE` writes a good one."
        }
    }

    package convenience init(document: Span<UInt8>) throws(Fault) {
        let value: JSONValue
        do { value = try StrictJSON.read(document, limits: .init(bytesMax: Self.documentBytesMax, depthMax: 3, valuesMax: 8 * Self.keysMax)) } catch {
            throw Fault(place: "byte \(error.offset)", reason: "its JSON is \(error.kind.rawValue)")
        }
        guard let file = value.object else { throw Fault(place: "the top", reason: "it must be an object with the one member keys") }
        for member in file.members where !member.name.hasSameBytes(as: "keys") {
            throw Fault(place: "the top", reason: "it has a member that is not known; only keys is")
        }
        guard let values = file["keys"]?.array else { throw Fault(place: "keys", reason: "it must be an array") }
        guard !values.isEmpty else { throw Fault(place: "keys", reason: "it holds no key") }
        guard values.count <= Self.keysMax else { throw Fault(place: "keys", reason: "\(values.count) keys are more than \(Self.keysMax)") }
        var keys: [LoginKey] = []
        for (index, value) in values.enumerated() {
            let key = try Self.key(value, place: "keys[\(index)]")
            if keys.contains(where: { $0.id.hasSameBytes(as: key.id) }) { throw Fault(place: "keys[\(index)].id", reason: "an earlier key has this id") }
            if keys.contains(where: { $0.secret == key.secret }) { throw Fault(place: "keys[\(index)].key", reason: "an earlier key is the same") }
            keys.append(key)
        }
        self.init(keys)
    }

    private static func key(_ value: JSONValue, place: String) throws(Fault) -> LoginKey {
        guard let members = value.object else { throw Fault(place: place, reason: "it must be an object") }
        let known = ["id", "key", "created", "encrypts_after"]
        for member in members.members where !known.holds(member.name) {
            throw Fault(place: place, reason: "it has a member that is not known; allowed are \(known.joined(separator: ", "))")
        }
        guard let id = members["id"]?.string, LoginKey.isID(id) else {
            throw Fault(place: "\(place).id", reason: "it must be 1 to \(LoginKey.idBytesMax) letters, digits, - or _")
        }
        guard let text = members["key"]?.string, let bytes = Base64URL.decode(text.utf8Span.span), bytes.count == LoginKey.byteCount else {
            throw Fault(place: "\(place).key", reason: "it must be \(LoginKey.byteCount) bytes in base64url without padding, 43 letters")
        }
        guard bytes.contains(where: { $0 != bytes[0] }) else { throw Fault(place: "\(place).key", reason: "one byte repeated is no key") }
        let created = try time("created", members, place)
        let encryptsAfter = members.has("encrypts_after") ? try time("encrypts_after", members, place) : created.advanced(by: settlingSeconds)
        return LoginKey(id: id, secret: Secret(bytes), created: created, encryptsAfter: encryptsAfter)
    }

    private static func time(_ name: String, _ members: JSONObject, _ place: String) throws(Fault) -> WallTime {
        guard let seconds = members[name]?.integer, seconds >= 0, seconds <= 253_402_300_799 else {
            throw Fault(place: "\(place).\(name)", reason: "it must be whole seconds since 1970")
        }
        return WallTime(seconds: seconds)
    }

    /// The file's text, keys included: for the file alone, never for a log.
    package var document: Secret {
        var text = Array("{ \"keys\": [".utf8)
        for (index, key) in keys.enumerated() {
            text += Array((index == 0 ? "\n  " : ",\n  ").utf8)
            text += Array("{ \"id\": \"\(key.id)\", \"key\": \"".utf8)
            text += key.secret.withBytes { Base64URL.encode($0) }
            text += Array("\", \"created\": \(key.created.seconds), \"encrypts_after\": \(key.encryptsAfter.seconds) }".utf8)
        }
        return Secret(text + Array(" ] }\n".utf8))
    }
}
