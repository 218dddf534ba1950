/// The value of Accept (RFC 9110 §12.5.1), asked one question: a page or JSON.
enum MediaRanges {
    /// True for a client that names HTML and likes JSON no better. Browsers name it; programs that accept anything get JSON.
    static func preferPage(_ accept: String?) -> Bool {
        guard let accept else { return false }
        var page: Int?
        var json: Int?
        for range in accept.split(separator: ",").prefix(64) {
            let parts = range.split(separator: ";").map { $0.trimmingBlanks().lowercased() }
            guard let type = parts.first else { continue }
            let weight = weight(of: parts.dropFirst())
            switch type {
            case "text/html", "application/xhtml+xml": page = max(page ?? 0, weight)
            case "application/json": json = max(json ?? 0, weight)
            default: continue
            }
        }
        guard let page, page > 0 else { return false }
        return page >= json ?? 0
    }

    /// `q` in thousandths; 1000 without one, 0 for one that cannot be read.
    private static func weight(of parameters: ArraySlice<String>) -> Int {
        guard let written = parameters.first(where: { $0.hasPrefix("q=") })?.dropFirst(2) else { return 1000 }
        let parts = written.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        let fraction = parts.count == 2 ? parts[1] : ""
        guard let whole = parts.first, whole == "0" || whole == "1", fraction.utf8.count <= 3, fraction.utf8.allSatisfy({ (48...57).contains($0) }),
              let thousandths = Int(fraction + String(repeating: "0", count: 3 - fraction.utf8.count)) else { return 0 }
        return min(1000, (whole == "1" ? 1000 : 0) + thousandths)
    }
}

extension Substring {
    func trimmingBlanks() -> Substring {
        var text = self
        while text.first == " " || text.first == "\t" { text.removeFirst() }
        while text.last == " " || text.last == "\t" { text.removeLast() }
        return text
    }
}
