internal import GatewayTerms

/// The values of Set-Cookie fields (RFC 6265bis §4.1). All of ours have the same attributes, when they are set and when they are
/// cleared: a browser ignores a removal that differs (CVE-2025-55162).
enum SetCookie {
    /// Longest Set-Cookie value that we send, attributes included; browsers take 4096.
    static let bytesMax = 3900
    /// What is left of it for the value of a part of the login session.
    static let sessionValueBytesMax = bytesMax - "\(LoginCookieName.session).2=".utf8.count - attributes.utf8.count - "315360000".utf8.count

    private static let attributes = "; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age="

    static func line(_ name: String, _ value: some Collection<UInt8>, maxAge seconds: Int64) -> String {
        "\(name)=\(String(decoding: value, as: UTF8.self))\(attributes)\(max(1, min(seconds, 315_360_000)))"
    }

    static func removal(_ name: String) -> String { "\(name)=\(attributes)0" }

    /// The parts of a sealed login session, and the removal of parts that are no longer used.
    /// - Parameter clearing: places of parts that the browser may hold.
    static func sessionLines(_ value: [UInt8], maxAge seconds: Int64, clearing: [Int]) -> [String] {
        var lines: [String] = []
        var start = 0
        while start < value.count, lines.count < LoginCookieName.sessionPartsMax {
            let end = min(value.count, start + sessionValueBytesMax)
            lines.append(line(LoginCookieName.sessionPart(lines.count), value[start..<end], maxAge: seconds))
            start = end
        }
        let used = lines.count
        for index in clearing where index >= used { lines.append(removal(LoginCookieName.sessionPart(index))) }
        return lines
    }

    static func partsNeeded(_ bytes: Int) -> Int { (bytes + sessionValueBytesMax - 1) / sessionValueBytesMax }
}
