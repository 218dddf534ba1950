internal import GatewayTerms

/// What the service's pages have in common: one style, light and dark, and nothing loaded from anywhere.
struct Page {
    /// `style` is allowed by its digest; no script, form, frame or other source is (Content Security Policy Level 3).
    let contentSecurityPolicy: String

    init(digest: (Span<UInt8>) -> [UInt8]) {
        let style = Base64.encoded(digest(Array(Page.style.utf8).span))
        contentSecurityPolicy = "default-src 'none'; style-src 'sha256-\(style)'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    }

    /// - Parameters:
    ///   - title: text, escaped here.
    ///   - content: markup, whose parts its maker has escaped.
    func render(title: String, content: String) -> [UInt8] {
        Array("""
        <!doctype html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta name="robots" content="noindex">
        <meta name="color-scheme" content="light dark">
        <title>\(HTMLText.escaped(title))</title>
        <style>\(Page.style)</style>
        </head>
        <body>
        <main>
        \(content)
        </main>
        </body>
        </html>

        """.utf8)
    }

    /// A line to copy: one click, or Tab and Ctrl-A in most browsers, takes all of it.
    static func line(_ text: String, label: String) -> String {
        "<pre tabindex=\"0\" role=\"region\" aria-label=\"\(HTMLText.escaped(label))\"><code>\(HTMLText.escaped(text))</code></pre>"
    }

    private static let style = """

    :root { --ground: #fbfbfa; --sheet: #fff; --ink: #1c1d21; --faint: #5b5f6b; --line: #dcdee3; --accent: #1f5fbf; --mark: #eef3fb; }
    @media (prefers-color-scheme: dark) {
    :root { --ground: #14161a; --sheet: #1b1e24; --ink: #e8e9ec; --faint: #a3a8b4; --line: #343943; --accent: #8ab4f8; --mark: #222a38; }
    }
    * { box-sizing: border-box; }
    body { margin: 0; background: var(--ground); color: var(--ink); font: 1.0625rem/1.6 system-ui, sans-serif; }
    main { max-width: 46rem; margin: 0 auto; padding: clamp(1.5rem, 6vh, 4rem) 1.25rem 4rem; }
    header p { color: var(--faint); margin: 0; font-size: .9375rem; }
    h1 { font-size: clamp(1.5rem, 4vw, 2rem); line-height: 1.25; letter-spacing: -.01em; margin: .25rem 0 1rem; }
    h2 { font-size: 1.125rem; margin: 2.25rem 0 .5rem; }
    p { margin: .5rem 0 1rem; }
    ol { margin: 1.5rem 0; padding: 0; list-style: none; counter-reset: step; }
    li { counter-increment: step; background: var(--sheet); border: 1px solid var(--line); border-radius: .75rem; padding: 1rem 1.25rem 1.25rem; margin: 0 0 1rem; }
    li > p { margin: 0 0 .5rem; font-weight: 600; }
    li > p::before { content: counter(step); display: inline-block; min-width: 1.6rem; color: var(--accent); font-variant-numeric: tabular-nums; }
    li > p.note { font-weight: 400; color: var(--faint); margin: .5rem 0 0; font-size: .9375rem; }
    li > p.note::before { content: none; }
    pre { margin: 0; padding: .75rem 1rem; background: var(--mark); border-radius: .5rem; white-space: pre-wrap; overflow-wrap: anywhere; }
    code { font: .9375rem/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
    pre code { user-select: all; -webkit-user-select: all; }
    pre.code { word-break: break-all; border: 1px solid var(--accent); margin: 1.25rem 0; padding: 1.25rem; }
    dl { display: grid; grid-template-columns: minmax(7rem, auto) 1fr; gap: .375rem 1.25rem; margin: .5rem 0; font-size: .9375rem; }
    dt { color: var(--faint); }
    dd { margin: 0; overflow-wrap: anywhere; }
    a { color: var(--accent); }
    :focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
    @media (max-width: 32rem) { dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: .625rem; } }

    """
}

/// Base64 with padding (RFC 4648 §4), as content security policies write digests.
enum Base64 {
    static func encoded(_ bytes: [UInt8]) -> String {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        var result: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            var bits: UInt32 = 0
            for offset in 0..<3 { bits = bits << 8 | (offset < group.count ? UInt32(group[start + offset]) : 0) }
            for place in 0..<4 {
                result.append(place <= group.count ? alphabet[Int(bits >> UInt32(18 - 6 * place) & 63)] : UInt8(ascii: "="))
            }
        }
        return String(decoding: result, as: UTF8.self)
    }
}
