internal import GatewayTerms

/// How the text of each form is read: `nil` refuses it.
extension Section {
    static func boolean(_ text: String) -> Bool? {
        switch text {
        case "true": true
        case "false": false
        default: nil
        }
    }

    static func number(_ text: String, in range: ClosedRange<Int>) -> Int? {
        guard (1...18).contains(text.utf8.count), text.utf8.allSatisfy({ (48...57).contains($0) }), let number = Int(text), range.contains(number) else { return nil }
        return number
    }

    static func text(max: Int) -> (String) -> String? {
        { text in
            let isPrintable = text.unicodeScalars.allSatisfy { $0.value >= 32 && $0.value != 127 }
            return (1...max).contains(text.utf8.count) && isPrintable ? text : nil
        }
    }

    static func name(_ text: String) -> String? {
        func isPlain(_ byte: UInt8) -> Bool {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
            default: false
            }
        }
        guard (1...64).contains(text.utf8.count), let first = text.utf8.first, isPlain(first),
              text.utf8.allSatisfy({ isPlain($0) || "-_.".utf8.contains($0) }) else { return nil }
        return text
    }

    static func token(_ text: String) -> String? {
        (1...256).contains(text.utf8.count) && text.utf8.allSatisfy { (33...126).contains($0) } ? text : nil
    }

    static func hostname(_ text: String) -> Hostname? {
        guard text.last != ".", let name = Hostname(text) else { return nil }
        return name
    }

    /// Plain http reaches only this machine; everything else is https.
    static func safeURL(_ text: String) -> WebURL? {
        guard let url = WebURL(text), url.scheme == .https || url.host.isLoopback else { return nil }
        return url
    }

    static func issuer(_ text: String) -> String? { safeURL(text) == nil ? nil : text }

    static func publicURL(_ text: String) -> WebURL? {
        guard let url = WebURL(text), url.scheme == .https, url.path.isEmpty || url.path == "/" else { return nil }
        return url.path.isEmpty ? url : WebURL(url.origin)
    }

    static func endpoint(_ text: String) -> WebURL? {
        guard let url = WebURL(text), url.path.isEmpty else { return nil }
        return url
    }

    static func method(_ text: String) -> Method? {
        let bytes = Array(text.utf8)
        switch Method(bytes.span) {
        case .get: return .get
        case .head: return .head
        case .post: return .post
        case .put: return .put
        case .patch: return .patch
        case .delete: return .delete
        case .options: return .options
        case .connect, .trace, nil: return nil
        }
    }

    static func fieldName(_ text: String) -> String? {
        let lower = text.lowercased()
        let isName = lower.utf8.allSatisfy { (97...122).contains($0) || (48...57).contains($0) || $0 == UInt8(ascii: "-") }
        return (1...64).contains(lower.utf8.count) && isName ? lower : nil
    }

    /// `us-west-2`: words and a digit, as AWS has named every region so far.
    static func region(_ text: String) -> String? {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard (3...5).contains(parts.count), text.utf8.count <= 32, let last = parts.last, last.utf8.count == 1, last.utf8.allSatisfy({ (49...57).contains($0) }),
              parts.dropLast().allSatisfy({ !$0.isEmpty && $0.utf8.allSatisfy { (97...122).contains($0) } }) else { return nil }
        return text
    }

    /// `us-west-2_Example1`.
    static func userPool(_ text: String) -> String? {
        let parts = text.split(separator: "_", omittingEmptySubsequences: false)
        guard parts.count == 2, region(String(parts[0])) != nil, (1...64).contains(parts[1].utf8.count),
              parts[1].utf8.allSatisfy({ (48...57).contains($0) || (65...90).contains($0) || (97...122).contains($0) }) else { return nil }
        return text
    }

    /// `us-west-2:12345678-90ab-cdef-1234-567890abcdef`.
    static func identityPool(_ text: String) -> String? {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, region(String(parts[0])) != nil else { return nil }
        let groups = parts[1].split(separator: "-", omittingEmptySubsequences: false)
        guard groups.map(\.utf8.count) == [8, 4, 4, 4, 12],
              groups.allSatisfy({ $0.utf8.allSatisfy { (48...57).contains($0) || (97...102).contains($0) || (65...70).contains($0) } }) else { return nil }
        return text
    }

    /// As the Metaflow extension takes it.
    static func metaflowSetting(_ text: String) -> String? {
        guard text.hasPrefix("METAFLOW_"), text.utf8.count <= 109, let first = text.utf8.dropFirst(9).first, (65...90).contains(first),
              text.utf8.dropFirst(9).allSatisfy({ (65...90).contains($0) || (48...57).contains($0) || $0 == UInt8(ascii: "_") }) else { return nil }
        return text
    }

    static func status(_ text: String) -> Int? {
        number(text, in: 200...599).flatMap { (300...399).contains($0) ? nil : $0 }
    }

    static func redirectTarget(_ text: String) -> String? {
        if canonicalPath(text) != nil { return text }
        guard let url = WebURL(text), url.scheme == .https else { return nil }
        return text
    }

    /// A path that is its own canonical form.
    static func canonicalPath(_ text: String) -> CanonicalPath? {
        guard let path = try? CanonicalPath(text), path.change == .none, !path.hasParameters else { return nil }
        return path
    }

    static func routePath(_ text: String) -> CanonicalPath? {
        guard text == "/" || !text.hasSuffix("/") else { return nil }
        return canonicalPath(text)
    }

    /// What to write in place of a path that was refused.
    static func pathRemedy(_ text: String) -> String {
        if !text.hasPrefix("/") { return ". Begin it with /." }
        if text.contains("?") { return ". A route matches paths, not queries." }
        do {
            let path = try CanonicalPath(text)
            if path.hasParameters { return ". A ';' splits a path for some servers and not for others; leave it out." }
            var canonical = path.description
            if canonical != "/", canonical.hasSuffix("/") { canonical.removeLast() }
            return canonical == text ? "." : ". Write \(canonical)."
        } catch {
            let reason = switch error {
            case .notAbsolute: "it does not begin with /"
            case .tooLong: "it is longer than \(CanonicalPath.countMax) bytes"
            case .backslash, .encodedBackslash: "a backslash is a slash to some servers"
            case .fragment: "a # ends a path"
            case .control, .encodedControl, .encodedNUL: "it holds a space or control character"
            case .notASCII: "it holds characters outside ASCII"
            case .brokenEscape: "a % must be followed by two hexadecimal digits"
            case .encodedSlash: "an encoded slash is a slash to some servers"
            case .doubleEncoding: "it is encoded twice"
            case .climbsAboveRoot: "it climbs above /"
            }
            return ": \(reason)."
        }
    }

    static func plainTextRemedy(_ text: String) -> String {
        guard let url = WebURL(text) else { return "." }
        if url.scheme == .http, !url.host.isLoopback { return ". Tokens and keys may not cross a network in plain text; write https." }
        return url.path.isEmpty ? "." : ". Leave the path out."
    }

    /// A value as a message shows it: bare when it is one word, else in quotes.
    static func shown(_ text: String) -> String {
        let printable = Diagnostic.printable(text)
        let isWord = !printable.isEmpty && printable.utf8.allSatisfy { (33...126).contains($0) && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") }
        return isWord ? printable : "\"\(printable)\""
    }
}
