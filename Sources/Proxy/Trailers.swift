/// Which trailers of a chunked body pass (B15): those whose names the route allows, by default none.
enum Trailers {
    /// - Parameter lines: the validated trailer section, each line ended by CR LF.
    static func kept(_ lines: [UInt8], allowed: [String]) -> [UInt8] {
        guard !allowed.isEmpty, !lines.isEmpty else { return [] }
        var kept: [UInt8] = []
        for line in lines.split(separator: UInt8(ascii: "\n")) {
            guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { continue }
            let name = String(decoding: line[..<colon], as: UTF8.self).lowercased()
            if allowed.contains(name) { kept += line + [UInt8(ascii: "\n")] }
        }
        return kept
    }
}
