import GatewayTerms
import HTTPWire
import Proxy
import Testing

@Suite("Compression rule")
struct CompressionRuleTests {
    private static let accepting = "Accept-Encoding: gzip, deflate, br\r\n"
    private static let json = "Content-Type: application/json\r\nContent-Length: 5000\r\n"

    private func coding(
        _ request: String = accepting, _ response: String = json, method: String = "GET", version: String = "HTTP/1.1", status: String = "200 OK"
    ) throws -> ContentCoding {
        let requestText = Array("\(method) / \(version)\r\nHost: a\r\n\(request)\r\n".utf8), responseText = Array("HTTP/1.1 \(status)\r\n\(response)\r\n".utf8)
        var requestHead = RequestHead(), responseHead = ResponseHead()
        var requestParser = RequestParser(limits: RequestLimits()), responseParser = ResponseParser(limits: ResponseLimits())
        let isWhole = try requestParser.parse(requestText.span, into: &requestHead)
        let answerIsWhole = try responseParser.parse(responseText.span, requestMethod: requestHead.method, into: &responseHead)
        try #require(isWhole && answerIsWhole)
        return CompressionRule.coding(requestHead, requestText.span, responseHead, responseText.span, bytesMin: 1024)
    }

    @Test("Text that the client can read as gzip leaves as gzip", arguments: [
        json, "Content-Type: text/html; charset=utf-8\r\nTransfer-Encoding: chunked\r\n", "content-type: image/svg+xml\r\n", "Content-Type: text/css\r\nContent-Length: 1024\r\n",
        json + "Content-Encoding: identity\r\n", json + "Cache-Control: max-age=60, private\r\n", json + "ETag: \"x\"\r\nVary: Origin\r\n",
    ])
    func compresses(response: String) throws { #expect(try coding(Self.accepting, response) == .gzip) }

    @Test("What is no text, too short, coded already, bound to its bytes or not to be transformed is never touched", arguments: [
        "Content-Type: text/event-stream\r\n", "Content-Type: image/png\r\nContent-Length: 5000\r\n", "Content-Length: 5000\r\n", "Content-Type: application/json\r\nContent-Length: 1023\r\n",
        "Content-Type: application/json\r\nContent-Length: 0\r\n", json + "Content-Encoding: br\r\n", json + "Content-Encoding: gzip\r\n", json + "Cache-Control: no-transform\r\n",
        json + "Cache-Control: private\r\nCache-Control: max-age=1, No-Transform\r\n", json + "Content-Range: bytes 0-1/2\r\n", json + "Digest: sha-256=x\r\n", json + "Content-MD5: x\r\n",
        json + "Repr-Digest: sha-256=:x:\r\n", json + "Content-Digest: sha-256=:x:\r\n",
    ])
    func leavesAlone(response: String) throws { #expect(try coding(Self.accepting, response) == .untouched) }

    @Test("Statuses without a body of their own are never touched", arguments: ["204 No Content", "206 Partial Content", "304 Not Modified"])
    func statuses(status: String) throws { #expect(try coding(status: status) == .untouched) }

    @Test("Errors are compressed like other answers", arguments: ["404 Not Found", "503 Service Unavailable", "201 Created"])
    func errors(status: String) throws { #expect(try coding(status: status) == .gzip) }

    @Test("A client that cannot or would rather not read gzip gets the body as it is, and caches are told", arguments: [
        "", "Accept-Encoding: identity\r\n", "Accept-Encoding: br\r\n", "Accept-Encoding: gzip;q=0\r\n", "Accept-Encoding: gzip;q=0.1, identity\r\n",
    ])
    func varies(request: String) throws { #expect(try coding(request) == .varies) }

    @Test("HTTP/1.0 has no chunks, and gets the body as it is")
    func oldVersion() throws { #expect(try coding(version: "HTTP/1.0") == .varies) }

    @Test("A request with cookies is compressed only where its page is of this very host, or of nowhere", arguments: [
        ("Cookie: a=b\r\nSec-Fetch-Site: same-origin\r\n", ContentCoding.gzip), ("Cookie: a=b\r\nSec-Fetch-Site: none\r\n", .gzip), ("Sec-Fetch-Site: cross-site\r\n", .gzip),
        ("Cookie: a=b\r\nSec-Fetch-Site: cross-site\r\n", .varies), ("Cookie: a=b\r\nSec-Fetch-Site: same-site\r\n", .varies), ("Cookie: a=b\r\nSec-Fetch-Site: mars\r\n", .varies),
        ("Cookie: a=b\r\nSec-Fetch-Site: \r\n", .varies), ("Cookie: a=b\r\n", .varies), ("Cookie: a=b\r\nOrigin: https://a\r\n", .varies),
    ])
    func crossSite(fields: String, expected: ContentCoding) throws { #expect(try coding(Self.accepting + fields) == expected) }

    @Test("HEAD is told what GET would get")
    func head() throws {
        #expect(try coding(method: "HEAD") == .gzip)
        #expect(try coding(Self.accepting, "Content-Type: text/html\r\n", method: "HEAD") == .gzip)
        #expect(try coding(Self.accepting, "Content-Type: text/html\r\nContent-Length: 10\r\n", method: "HEAD") == .untouched)
    }

    @Test("304 answers with the weak tag where the client asked with it", arguments: [
        ("W/\"x\"", "\"x\"", ContentCoding.revalidated), ("\"y\", W/\"x\"", "\"x\"", .revalidated), ("\"x\"", "\"x\"", .untouched), ("W/\"x\"", "W/\"x\"", .untouched),
        ("W/\"xy\"", "\"x\"", .untouched), ("*", "\"x\"", .untouched), ("W/\"\"", "\"\"", .revalidated), ("W/", "\"x\"", .untouched), ("W/\"x\"", "x", .untouched),
    ])
    func revalidates(asked: String, tag: String, expected: ContentCoding) throws {
        #expect(try coding("If-None-Match: \(asked)\r\n", "ETag: \(tag)\r\n", status: "304 Not Modified") == expected)
    }
}
