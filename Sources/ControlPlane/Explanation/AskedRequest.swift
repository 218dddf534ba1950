internal import Authentication
internal import GatewayTerms
package import Proxy

/// A request as an operator writes it down: a method, an address, and fields.
package struct AskedRequest: Sendable {
    package let method: String
    package let authority: String
    /// Path and query, as written.
    package let target: String
    package var fields: [(name: String, value: String)]

    /// `nil` for what does not begin with https:// and a host. Over plain HTTP there is nothing to explain: each address of ours is sent to https.
    package init?(method: String, url: String, fields: [(name: String, value: String)] = []) {
        let scheme = "https://"
        guard url.hasPrefix(scheme) else { return nil }
        let rest = url.dropFirst(scheme.count)
        let end = rest.firstIndex { $0 == "/" || $0 == "?" || $0 == "#" } ?? rest.endIndex
        guard end > rest.startIndex, !rest[..<end].contains("@") else { return nil }
        self.method = method
        authority = String(rest[..<end])
        let target = rest[end...]
        self.target = target.hasPrefix("/") ? String(target) : "/" + target
        self.fields = fields
    }

    /// What `explain` sends over the operators' socket; `nil` for anything else.
    init?(document: [UInt8]) {
        let limits = StrictJSON.Limits(bytesMax: AdminService.bodyBytesMax, depthMax: 4, valuesMax: 256)
        guard let object = (try? StrictJSON.read(document.span, limits: limits))?.object, let method = object["method"]?.string, let url = object["url"]?.string,
              let fields = object["fields"]?.array else { return nil }
        var pairs: [(name: String, value: String)] = []
        for field in fields {
            guard let pair = field.strings, pair.count == 2 else { return nil }
            pairs.append((pair[0], pair[1]))
        }
        self.init(method: method, url: url, fields: pairs)
    }

    package var document: String {
        JSONText.object { object in
            object.member("method", method)
            object.member("url", "https://\(authority)\(target)")
            object.member("fields", json: "[" + fields.map { "[\(JSONText.quoted($0.name)),\(JSONText.quoted($0.value))]" }.joined(separator: ",") + "]")
        }
    }

    package func sketch() throws(RequestSketch.Unreadable) -> RequestSketch {
        try RequestSketch(method: method, authority: authority, target: target, fields: fields)
    }
}
