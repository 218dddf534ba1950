package import GatewayTerms

/// A configuration as it holds, defaults included, in JSON for operators. Secrets appear as what `fingerprint` makes of them and never
/// otherwise; places in files are left out.
package enum ConfigurationDump {
    package static func json(_ configuration: Configuration, fingerprint: (Secret) -> String) -> String { text(configuration, fingerprint) }

    private static func text(_ value: Any, _ fingerprint: (Secret) -> String) -> String {
        switch value {
        // First, so that nothing below gets to see one.
        case let secret as Secret: return JSONText.quoted(fingerprint(secret))
        case let wrapped as any AnyLocated: return text(wrapped.anyValue, fingerprint)
        case let text as String: return JSONText.quoted(text)
        case let flag as Bool: return flag ? "true" : "false"
        case let number as any BinaryInteger: return String(describing: number)
        case let duration as Duration: return JSONText.quoted(DurationText.print(duration))
        case let bytes as [UInt8]: return JSONText.quoted("\(bytes.count) bytes")
        case let use as Configuration.TokenUse:
            return "[" + [(use.contains(.access), "access"), (use.contains(.id), "id")].filter(\.0).map { JSONText.quoted($0.1) }.joined(separator: ",") + "]"
        case let word as any RawRepresentable<String>: return JSONText.quoted(word.rawValue)
        case is ByteCount, is Hostname, is SocketAddress, is WebURL, is CanonicalPath, is AddressRange, is IPAddress, is GatewayTerms.Method, is ExtensionVersion, is WheelName:
            return JSONText.quoted(String(describing: value))
        default: return parts(value, fingerprint)
        }
    }

    private static func parts(_ value: Any, _ fingerprint: (Secret) -> String) -> String {
        let mirror = Mirror(reflecting: value)
        switch mirror.displayStyle {
        case .optional?: return mirror.children.first.map { text($0.value, fingerprint) } ?? "null"
        case .collection?: return "[" + mirror.children.map { text($0.value, fingerprint) }.joined(separator: ",") + "]"
        case .set?: return "[" + mirror.children.map { text($0.value, fingerprint) }.sorted().joined(separator: ",") + "]"
        case .dictionary?:
            let entries = mirror.children.map { child in
                let pair = Mirror(reflecting: child.value).children.map(\.value)
                return (name: pair.first.map { String(describing: $0) } ?? "", value: pair.count > 1 ? text(pair[1], fingerprint) : "null")
            }
            return object(entries.sorted { $0.name < $1.name })
        case .enum?:
            guard let payload = mirror.children.first else { return JSONText.quoted(snakeCase(String(describing: value))) }
            return object([(snakeCase(payload.label ?? ""), text(payload.value, fingerprint))])
        default:
            return object(mirror.children.compactMap { child in
                guard let label = child.label, !label.hasPrefix("_"), !(child.value is SourceLocation) else { return nil }
                return (snakeCase(label), text(child.value, fingerprint))
            })
        }
    }

    private static func object(_ members: [(name: String, value: String)]) -> String {
        JSONText.object { object in
            for member in members { object.member(member.name, json: member.value) }
        }
    }

    /// `publicURL` becomes `public_url`, `accessLog` becomes `access_log`.
    static func snakeCase(_ name: String) -> String {
        var result = ""
        var previous: Character?
        for character in name {
            if character.isUppercase, let last = previous, !last.isUppercase { result += "_" }
            result += character.lowercased()
            previous = character
        }
        return result
    }
}

private protocol AnyLocated {
    var anyValue: Any { get }
}

extension Located: AnyLocated {
    fileprivate var anyValue: Any { value }
}
