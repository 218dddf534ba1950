package import GatewayTerms

/// What kind of request asks for a login (D1): only a person who goes to a page can be led to the provider and back.
package enum RequestClass: Sendable, Equatable {
    /// The browser goes to a page: it may be redirected, and gets pages.
    case navigation
    /// A WebSocket or other switch of protocol: 401 before it.
    case upgrade
    /// fetch, an iframe, an image, a form, a program: 401 in JSON.
    case program

    /// - Parameters: the values of the fields named, nil where the request has none; several are joined by commas.
    package init(method: Method, fetchMode: String?, fetchDestination: String?, accept: String?, requestedWith: String?, hasUpgrade: Bool) {
        if hasUpgrade {
            self = .upgrade
        } else if method != .get && method != .head {
            self = .program
        } else {
            self = Self.showsPage(fetchMode: fetchMode, fetchDestination: fetchDestination, accept: accept, requestedWith: requestedWith) ? .navigation : .program
        }
    }

    /// Whether what answers the request fills the browser's window, whatever its method: a form that was sent does, and is no navigation,
    /// since it cannot be led to a login and back.
    package static func showsPage(fetchMode: String?, fetchDestination: String?, accept: String?, requestedWith: String?) -> Bool {
        if fetchMode != nil || fetchDestination != nil { return fetchMode == "navigate" && fetchDestination == "document" }
        return requestedWith == nil && accept.map(namesPages) == true
    }

    /// Whether `text/html` is one of the media ranges.
    private static func namesPages(_ accept: String) -> Bool {
        accept.utf8.split(separator: UInt8(ascii: ",")).contains { range in
            let type = range.prefix { $0 != UInt8(ascii: ";") }.filter { $0 != 0x20 && $0 != 0x09 }
            return String(decoding: type, as: UTF8.self).lowercased() == "text/html"
        }
    }
}

/// Whether a request that a cookie authenticates was made by our own pages or by the person (D13): other sites' pages can make the
/// browser send our cookie along, and must not act with it.
package enum CrossSiteRule {
    /// - Parameters:
    ///   - publicURL: `https://host[:port]` of the stage.
    ///   - fetchSite: Sec-Fetch-Site; where it is there it decides alone, since no page can forge it.
    ///   - origin: Origin, which browsers that know no Sec-Fetch-Site send with such requests.
    package static func allows(method: Method, hasUpgrade: Bool, fetchSite: String?, origin: String?, publicURL: String) -> Bool {
        if method.isSafe && !hasUpgrade { return true }
        return isSameOrigin(fetchSite: fetchSite, origin: origin, publicURL: publicURL)
    }

    static func isSameOrigin(fetchSite: String?, origin: String?, publicURL: String) -> Bool {
        if let fetchSite { return fetchSite == "same-origin" || fetchSite == "none" }
        guard let origin else { return false }
        return origin.hasSameBytes(as: publicURL)
    }
}
