@testable import CommandLineAPI
import Foundation
import GatewayTerms
import Testing

/// What every page of the service keeps to.
@Suite struct PageTests {
    static let pages: [(String, String)] = [("", ""), ("/callback", ""), ("/callback", "code=abc&state=s"), ("/callback", "error=access_denied"), ("/callback", "code=!")]

    static func page(_ path: String, _ query: String, _ change: (inout CommandLineSettings) -> Void = { _ in }) -> CommandLineAnswer {
        Scene.service(change).get(path, query: query, accept: "text/html")
    }

    @Test("Nothing may run or load, and the one style is allowed by its digest", arguments: pages)
    func isClosed(path: String, query: String) throws {
        let answer = Self.page(path, query)
        let policy = try #require(answer.value(of: "content-security-policy"))
        let style = try #require(answer.text.firstMatch(of: /<style>([\s\S]*?)<\/style>/)).output.1
        let bytes = Array(style.utf8)
        let digest = Data(Scene.digest(bytes.span)).base64EncodedString()
        #expect(policy == "default-src 'none'; style-src 'sha256-\(digest)'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
        for forbidden in ["<script", "src=", "style=", "onclick", "onload", "@import", "url(", "<form", "<iframe", "<link", "javascript:", "<base"] {
            #expect(!answer.text.contains(forbidden))
        }
        for address in answer.text.matches(of: /https?:\/\/[^\s"'<]+/) { #expect(address.output.hasPrefix("https://alpha.example.com")) }
    }

    @Test("Each says its language, its title, its one heading and its main part", arguments: pages)
    func isAccessible(path: String, query: String) {
        let text = Self.page(path, query).text
        #expect(text.hasPrefix("<!doctype html>\n<html lang=\"en\">"))
        for part in ["<main>", "<h1>", "<title>", "<meta name=\"viewport\"", "<meta name=\"color-scheme\" content=\"light dark\">", "prefers-color-scheme: dark"] {
            #expect(text.components(separatedBy: part).count == 2, "\(part) stands there once")
        }
        #expect(text.components(separatedBy: "<pre").count == text.components(separatedBy: "aria-label=").count)
    }

    @Test("Every element that is opened is closed, in order", arguments: pages)
    func isWellFormed(path: String, query: String) throws {
        let markup = Self.page(path, query).text
            .replacingOccurrences(of: "<!doctype html>\n", with: "").replacing(/<meta ([^>]*)>/) { "<meta \($0.output.1)/>" }.replacingOccurrences(of: "<br>", with: "<br/>")
        #expect(throws: Never.self) { try BalancedTags.parse(markup) }
    }

    @Test("The first page shows the two lines to copy")
    func showsLines() {
        let text = Self.page("", "").text
        #expect(text.contains("<code>pip install https://alpha.example.com/cli/metaflow_gateway_extension-1.2.0-py3-none-any.whl</code>"))
        #expect(text.contains("<code>metaflow-gateway-login https://alpha.example.com</code>"))
        #expect(text.contains("METAFLOW_PROFILE=alpha"))
    }

    @Test("A stage without a wheel says whom to ask")
    func explainsMissingWheel() {
        let text = Self.page("", "") { $0.wheel = nil }.text
        #expect(!text.contains("pip install"))
        #expect(text.contains("Ask its operators"))
    }

    @Test("A program gets the same lines as JSON")
    func tellsPrograms() throws {
        let document = try Scene.service().get("/", accept: "application/json").json as NSDictionary
        let base = "https://alpha.example.com"
        let wheel = "\(base)/cli/metaflow_gateway_extension-1.2.0-py3-none-any.whl"
        #expect(document == [
            "stage": "alpha", "url": base, "install": "pip install \(wheel)", "login": "metaflow-gateway-login \(base)",
            "login_without_browser": "metaflow-gateway-login \(base) --no-browser", "run": "python flow.py run",
            "resources": ["config": "\(base)/cli/config", "whoami": "\(base)/cli/whoami", "callback": "\(base)/cli/callback", "wheel": wheel],
        ])
        let none = try Scene.service { $0.wheel = nil }.get("/").json
        #expect(none["install"] is NSNull)
    }

    @Test("What the configuration says is text, never markup", arguments: [
        ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"), ("\"><img src=x onerror=alert(1)>", "&quot;&gt;&lt;img src=x onerror=alert(1)&gt;"),
        ("a&b", "a&amp;b"), ("'x'", "&#39;x&#39;"), ("&lt;", "&amp;lt;"),
    ])
    func escapes(value: String, expected: String) {
        #expect(HTMLText.escaped(value) == expected)
        for (path, query) in Self.pages {
            let answer = Self.page(path, query) {
                $0.stage = value
                $0.publicURL = "https://alpha.example.com/" + value
            }
            #expect(answer.text.contains(expected))
            #expect(!answer.text.replacingOccurrences(of: expected, with: "").contains(value))
        }
    }

    @Test("Base64 is that of RFC 4648 §10", arguments: [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="), ("foobar", "Zm9vYmFy")])
    func encodes(text: String, expected: String) {
        #expect(Base64.encoded(Array(text.utf8)) == expected)
    }

    @Test("Base64 agrees with another writer on every byte")
    func encodesAll() {
        let bytes = Array(UInt8.min...UInt8.max)
        for count in 0...bytes.count { #expect(Base64.encoded(Array(bytes.suffix(count))) == Data(bytes.suffix(count)).base64EncodedString()) }
    }
}

/// Whether tags are balanced, by a stack of open elements.
enum BalancedTags {
    struct Unbalanced: Error { let tag: String }

    static func parse(_ markup: String) throws {
        var open: [Substring] = []
        for tag in markup.matches(of: /<(\/?)([a-z0-9]+)([^>]*?)(\/?)>/) {
            let (_, closing, name, _, alone) = tag.output
            if !closing.isEmpty {
                guard open.popLast() == name else { throw Unbalanced(tag: String(name)) }
            } else if alone.isEmpty {
                open.append(name)
            }
        }
        if let left = open.last { throw Unbalanced(tag: String(left)) }
    }
}
