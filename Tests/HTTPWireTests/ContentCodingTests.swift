import HTTPWire
import Testing

@Suite("Content coding")
struct ContentCodingTests {
    @Test("gzip is preferred where the client can read it and does not like the plain body more", arguments: [
        (["gzip"], true), (["gzip, deflate, br, zstd"], true), (["GZip"], true), (["x-gzip"], true), (["br", "gzip"], true), (["gzip;q=0.5"], true),
        (["*"], true), (["br;q=1.0, *;q=0.1"], true), (["gzip;q=0.001"], true), (["identity;q=0, gzip"], true), (["identity;q=0, *"], true), ([" gzip\t; q=1.000 "], true),
        (["gzip;q=0.5, identity;q=0.5"], true), (["gzip;q=0.2, gzip;q=0.8, identity;q=0.5"], true), (["*;q=0, gzip"], true), (["identity;q=0.5, *;q=0.6"], true),
        ([], false), ([""], false), (["identity"], false), (["br"], false), (["gzip;q=0"], false), (["gzip;q=0.000"], false), (["*;q=0"], false), (["gzip;q=0, *"], false),
        (["gzip;q=0.5, identity"], false), (["identity;q=0.6, *;q=0.5"], false), (["deflate, gzip;q=0.2, identity;q=0.3"], false), (["gzipped"], false), (["not gzip"], false),
        (["gzip;q=2"], false), (["gzip;q=1.001"], false), (["gzip;q=-1"], false), (["gzip;q=0.0001"], false), (["gzip;q"], false), (["gzip;"], false), (["gzip;level=9"], false),
        (["gzip;q=0.x"], false), ([",,;,=,;q=1,"], false), (["identity;q=0"], false),
    ])
    func preference(lines: [String], expected: Bool) {
        var accepted = AcceptEncoding()
        for line in lines { accepted.read(line.utf8.span) }
        #expect(accepted.prefersGzip == expected)
    }

    @Test("Text of the closed list is compressible, with parameters and in either case", arguments: [
        "text/html", "text/html; charset=utf-8", "TEXT/HTML;charset=UTF-8", "application/json", "application/problem+json", "image/svg+xml", "text/css", "text/csv", "text/xml", "text/plain",
        "text/javascript", "application/javascript", "application/xml", "application/xhtml+xml", "application/manifest+json", "application/ld+json", "application/x-ndjson", "text/markdown", " text/html ;x",
    ])
    func compressible(type: String) {
        let isCompressible = MediaType.isCompressible(type.utf8.span)
        #expect(isCompressible)
    }

    @Test("Event streams, pictures, archives and what nobody knows are not", arguments: [
        "text/event-stream", "text/event-stream; charset=utf-8", "image/png", "image/jpeg", "application/zip", "application/gzip", "application/octet-stream", "video/mp4", "font/woff2", "",
        "text", "text/", "text/htmlx", "application/jsonx", "application/json5", ";", "text/html,text/plain",
    ])
    func incompressible(type: String) {
        let isCompressible = MediaType.isCompressible(type.utf8.span)
        #expect(!isCompressible)
    }

    @Test("A token is found in a list, whole and in either case", arguments: [
        ("no-transform", true), ("max-age=1, No-Transform ,private", true), ("no-transforms", false), ("x=no-transform", false), ("", false), (",", false),
    ])
    func lists(value: String, expected: Bool) {
        let contains = value.utf8.span.listContains("no-transform")
        #expect(contains == expected)
    }
}
