internal import GatewayTerms

/// The one design of the pages that a person sees when the gateway answers itself: plain, accessible, light and dark, nothing loaded from
/// anywhere. Every text is escaped here.
package struct PageLayout: Sendable {
    package enum Step: Sendable {
        /// The way that most people want.
        case link(String, to: String)
        /// The same, where this page is needed again afterwards.
        case newTab(String, to: String)
        /// A POST to our own path.
        case form(String, action: String)
    }

    package var title: String
    package var paragraphs: [String]
    /// Findings or rules, one a line.
    package var items: [String]
    /// What to do next, the best first.
    package var steps: [Step]
    /// What a report needs: the status, the request's id.
    package var facts: [(name: String, value: String)]

    package init(title: String, paragraphs: [String], items: [String] = [], steps: [Step] = [], facts: [(name: String, value: String)] = []) {
        self.title = title
        self.paragraphs = paragraphs
        self.items = items
        self.steps = steps
        self.facts = facts
    }

    /// The style is allowed by its place in the page, and nothing else is.
    /// - Parameter formTargets: origins that a form of the page may lead to, also by a redirect.
    package static func contentSecurityPolicy(formTargets: [String] = []) -> String {
        let targets = formTargets.isEmpty ? "'none'" : formTargets.joined(separator: " ")
        return "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action \(targets)"
    }

    package var bytes: [UInt8] {
        var body = "<h1>\(HTMLText.escaped(title))</h1>\n"
        for paragraph in paragraphs { body += "<p>\(HTMLText.escaped(paragraph))</p>\n" }
        if !items.isEmpty { body += "<ul>\n" + items.map { "<li>\(HTMLText.escaped($0))</li>\n" }.joined() + "</ul>\n" }
        if !steps.isEmpty { body += "<div class=\"steps\">" + steps.enumerated().map(Self.step).joined(separator: "\n") + "</div>\n" }
        if !facts.isEmpty {
            body += "<dl>\n" + facts.map { "<dt>\(HTMLText.escaped($0.name))</dt><dd>\(HTMLText.escaped($0.value))</dd>\n" }.joined() + "</dl>\n"
        }
        return Array("""
        <!doctype html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta name="robots" content="noindex">
        <title>\(HTMLText.escaped(title))</title>
        <style>
        :root { color-scheme: light dark; --accent: light-dark(#0b5cad, #7db8f5); --on-accent: light-dark(#fff, #0b1826); --line: light-dark(#d5d9de, #3a424c); }
        body { font: 1.0625rem/1.55 system-ui, sans-serif; margin: 0; min-height: 100vh; display: grid; place-items: center; background: Canvas; color: CanvasText; }
        main { box-sizing: border-box; width: 100%; max-width: 38rem; padding: 2rem; }
        h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .75rem; text-wrap: balance; }
        p { margin: 0 0 1rem; }
        ul { margin: 0 0 1rem; padding-left: 1.25rem; }
        li { margin: 0 0 .35rem; }
        .steps { display: flex; flex-wrap: wrap; gap: .75rem; margin: 1.5rem 0; }
        form { margin: 0; }
        a, button { font: inherit; padding: .5rem 1rem; border-radius: .375rem; border: 1px solid var(--accent); color: var(--accent); background: none; text-decoration: none; cursor: pointer; }
        .first { background: var(--accent); color: var(--on-accent); }
        a:hover, button:hover { text-decoration: underline; }
        a:focus-visible, button:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
        dl { display: grid; grid-template-columns: auto 1fr; gap: .25rem 1rem; margin: 1.5rem 0 0; padding-top: 1rem; border-top: 1px solid var(--line); font-size: .875rem; }
        dd { margin: 0; font-family: ui-monospace, monospace; overflow-wrap: anywhere; }
        </style>
        </head>
        <body>
        <main>
        \(body)</main>
        </body>
        </html>

        """.utf8)
    }

    private static func step(_ position: Int, _ step: Step) -> String {
        let style = position == 0 ? " class=\"first\"" : ""
        return switch step {
        case .link(let label, let target): "<a\(style) href=\"\(HTMLText.escaped(target))\">\(HTMLText.escaped(label))</a>"
        case .newTab(let label, let target): "<a\(style) target=\"_blank\" rel=\"noopener\" href=\"\(HTMLText.escaped(target))\">\(HTMLText.escaped(label))</a>"
        case .form(let label, let action):
            "<form method=\"post\" action=\"\(HTMLText.escaped(action))\"><button\(style)>\(HTMLText.escaped(label))</button></form>"
        }
    }
}
