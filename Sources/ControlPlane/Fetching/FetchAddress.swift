import CCurl
import GatewayTerms

/// A checked address and the owner of its CURLU: what was checked is the very value that libcurl connects to.
@safe
struct FetchAddress: ~Copyable {
    private let handle: OpaquePointer
    /// As libcurl connects to it: lower case, IPv6 in brackets.
    let host: String
    let isEncrypted: Bool

    /// - Parameter mayBePlain: plain http may leave this machine, since nothing secret goes with it.
    init(_ url: String, mayBePlain: Bool = false) throws(FetchError) {
        guard url.utf8.count <= 8192 else { throw .invalidURL(reason: "it is longer than 8192 bytes") }
        guard let handle = unsafe curl_url() else { throw .other("out of memory") }
        let facts: (host: String, isEncrypted: Bool)
        do throws(FetchError) {
            facts = try unsafe Self.read(url, into: handle, mayBePlain)
        } catch {
            unsafe curl_url_cleanup(handle)
            throw error
        }
        unsafe self.handle = handle
        (host, isEncrypted) = facts
    }

    deinit { unsafe curl_url_cleanup(handle) }

    /// Gives the address to a transfer, which must end before this value.
    func use(in easy: UnsafeMutableRawPointer) -> Bool {
        unsafe gateway_curl_set_address(easy, handle) == CURLE_OK
    }

    /// The address without user, query and fragment, for people to read; at most 200 bytes.
    static func withoutSecrets(_ url: String) -> String {
        guard let handle = unsafe curl_url() else { return "" }
        defer { unsafe curl_url_cleanup(handle) }
        guard unsafe curl_url_set(handle, CURLUPART_URL, url, 0) == CURLUE_OK else { return "an address that is no URL" }
        for part in [CURLUPART_USER, CURLUPART_PASSWORD, CURLUPART_OPTIONS, CURLUPART_QUERY, CURLUPART_FRAGMENT] {
            unsafe curl_url_set(handle, part, nil, 0)
        }
        return FetchText.printable(unsafe part(CURLUPART_URL, of: handle) ?? "")
    }

    private static func read(_ url: String, into handle: OpaquePointer, _ mayBePlain: Bool) throws(FetchError) -> (host: String, isEncrypted: Bool) {
        guard !url.utf8.contains(where: { $0 <= 0x20 || $0 >= 0x7f }) else { throw .invalidURL(reason: "it holds a byte that no URL has") }
        let outcome = unsafe curl_url_set(handle, CURLUPART_URL, url, UInt32(CURLU_DISALLOW_USER))
        guard outcome == CURLUE_OK else {
            throw .invalidURL(reason: outcome == CURLUE_USER_NOT_ALLOWED ? "it has a user part" : "it is no absolute URL")
        }
        // libcurl forgives `https:///name`; one who reads the configuration does not see a host there.
        guard !url.contains(":///") else { throw .invalidURL(reason: "it has no host") }
        let scheme = unsafe part(CURLUPART_SCHEME, of: handle)?.lowercased()
        guard scheme == "https" || scheme == "http" else { throw .invalidURL(reason: "its scheme is neither https nor http") }
        guard unsafe part(CURLUPART_FRAGMENT, of: handle) == nil else { throw .invalidURL(reason: "it has a fragment") }
        guard let host = unsafe part(CURLUPART_HOST, of: handle)?.lowercased(), !host.isEmpty else { throw .invalidURL(reason: "it has no host") }
        guard scheme == "https" || mayBePlain || isLoopback(host) else {
            throw .invalidURL(reason: "plain http to \(FetchText.printable(host)) would show secrets to the network")
        }
        return (host, scheme == "https")
    }

    private static func part(_ part: CURLUPart, of handle: OpaquePointer) -> String? {
        var text: UnsafeMutablePointer<CChar>?
        guard unsafe curl_url_get(handle, part, &text, 0) == CURLUE_OK, let text = unsafe text else { return nil }
        defer { unsafe curl_free(text) }
        return unsafe String(cString: text)
    }

    /// libcurl itself maps `localhost` to the loopback addresses, without asking any resolver (since 7.77).
    private static func isLoopback(_ host: String) -> Bool {
        if host == "localhost" { return true }
        return Hostname(host)?.address?.isLoopback ?? false
    }
}

/// Text from outside, made fit for a log.
enum FetchText {
    /// Printable ASCII, at most 200 bytes.
    static func printable(_ text: String) -> String {
        String(decoding: text.utf8.prefix(200).map { (0x20..<0x7f).contains($0) ? $0 : UInt8(ascii: "?") }, as: UTF8.self)
    }
}
