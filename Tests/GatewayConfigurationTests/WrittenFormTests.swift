import GatewayConfiguration
import GatewayTerms
import Testing

/// The forms in which addresses are written.
@Suite struct WrittenFormTests {
    @Test("An address and a port are read and printed", arguments: [
        ("127.0.0.1:8443", "127.0.0.1:8443"), ("[::]:8443", "[::]:8443"), ("[2001:db8:0::1]:1", "[2001:db8::1]:1"), ("0.0.0.0:0", "0.0.0.0:0"), ("1.2.3.4:65535", "1.2.3.4:65535"),
    ])
    func readsSocketAddresses(text: String, printed: String) {
        #expect(SocketAddress(text)?.description == printed)
    }

    @Test("What is no address and port is refused", arguments: [
        "", ":", ":8443", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:+1", "127.0.0.1:0x50", "127.0.0.1:123456", "localhost:80", "::1:80", "[::1]", "[127.0.0.1]:80", "[::1:80", "::1]:80", "*:80", "[::%lo]:80", " 127.0.0.1:80",
    ])
    func refusesSocketAddresses(text: String) {
        #expect(SocketAddress(text) == nil)
    }

    @Test("A web address is read into scheme, host, port and path", arguments: [
        ("https://example.com", "example.com", UInt16(443), "", "https://example.com"), ("https://example.com/", "example.com", 443, "/", "https://example.com/"),
        ("http://example.com:8080/a/b", "example.com", 8080, "/a/b", "http://example.com:8080/a/b"), ("https://EXAMPLE.com:443", "example.com", 443, "", "https://example.com"),
        ("https://[::1]:9000/x", "::1", 9000, "/x", "https://[::1]:9000/x"), ("http://127.0.0.1", "127.0.0.1", 80, "", "http://127.0.0.1"),
    ])
    func readsWebAddresses(text: String, host: String, port: UInt16, path: String, printed: String) throws {
        let url = try #require(WebURL(text))
        #expect((url.host.text, url.port, url.path, url.description) == (host, port, path, printed))
    }

    @Test("A web address with a user, query, fragment, odd path or port is refused", arguments: [
        "", "example.com", "ftp://example.com", "https://", "https:///x", "https://user@example.com", "https://user:pass@example.com", "https://example.com?x", "https://example.com/?x", "https://example.com/#x",
        "https://example.com:0", "https://example.com:99999", "https://example.com:", "https://example.com:8o", "https://exa mple.com", "https://example.com/a b", "https://example.com/a//b", "https://example.com/../b",
        "https://example.com/%2f", "https://exämple.com", "HTTPS://example.com", "https://1.2.3", "https://example.com\\@evil.example",
    ])
    func refusesWebAddresses(text: String) {
        #expect(WebURL(text) == nil)
    }
}
