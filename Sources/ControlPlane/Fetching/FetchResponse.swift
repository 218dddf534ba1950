/// What a provider answered. Its printed form leaves the body out: a token endpoint's answer is made of secrets.
package struct FetchResponse: Sendable, Equatable, CustomStringConvertible, CustomReflectable {
    package let status: Int
    package let body: [UInt8]
    /// Seconds of Cache-Control's `max-age`; 0 where it says `no-store` or `no-cache` (RFC 9111 §5.2.2).
    package let cacheControlMaxAge: Int64?
    /// The media type as sent, parameters included.
    package let contentType: String?

    package init(status: Int, body: [UInt8], cacheControlMaxAge: Int64? = nil, contentType: String? = nil) {
        (self.status, self.body) = (status, body)
        (self.cacheControlMaxAge, self.contentType) = (cacheControlMaxAge, contentType)
    }

    package var description: String { "\(status) with \(body.count) bytes" }
    package var customMirror: Mirror { Mirror(self, children: [:]) }
}

extension FetchResponse {
    /// Reads the values of all Cache-Control fields. Of several ages the least counts; a broken one counts as none.
    static func maxAge(of values: [String]) -> Int64? {
        var age: Int64?
        for directive in values.joined(separator: ",").split(separator: ",") {
            let parts = directive.split(separator: "=", maxSplits: 1).map { $0.trimmingBlanks().lowercased() }
            switch parts.first {
            case "no-store", "no-cache":
                return 0
            case "max-age" where parts.count == 2:
                let digits = parts[1].filter { $0 != "\"" }
                guard !digits.isEmpty, digits.utf8.allSatisfy({ (48...57).contains($0) }) else { continue }
                // Too long for a number means very long (RFC 9111 §1.2.2).
                let seconds = Int64(digits) ?? .max
                age = min(age ?? .max, min(seconds, 1 << 31))
            default:
                continue
            }
        }
        return age
    }
}

extension Substring {
    fileprivate func trimmingBlanks() -> Substring {
        let isBlank = { (character: Character) in character == " " || character == "\t" }
        let end = lastIndex { !isBlank($0) }.map { index(after: $0) } ?? startIndex
        return self[..<end].drop(while: isBlank)
    }
}
