package import GatewayTerms

/// Which certificate a server name selects: an exact name before a wildcard of one label, before the default (A3).
package struct ServerNameSelection: Sendable, Equatable {
    private var exact: [String: Int] = [:]
    /// `example.com` for `*.example.com`.
    private var wildcard: [String: Int] = [:]

    /// `names[index]` are the names of certificate `index`; where two certificates claim a name the first one has it.
    package init(_ names: [[String]]) {
        for (index, list) in names.enumerated() {
            for name in list {
                if name.hasPrefix("*.") {
                    let parent = String(name.dropFirst(2))
                    if wildcard[parent] == nil { wildcard[parent] = index }
                } else if exact[name] == nil {
                    exact[name] = index
                }
            }
        }
    }

    /// The certificate for a name, `nil` when only the default is left.
    package func index(for name: Hostname) -> Int? {
        if let index = exact[name.text] { return index }
        guard let dot = name.text.firstIndex(of: ".") else { return nil }
        return wildcard[String(name.text[name.text.index(after: dot)...])]
    }
}
