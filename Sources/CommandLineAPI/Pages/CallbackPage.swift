internal import GatewayTerms

/// The page at the end of a login with `--no-browser`: the code to paste, or one sentence that says why there is none.
enum CallbackPage {
    static func render(_ callback: LoginCallback, stage: String, loginLine: String, in page: Page) -> [UInt8] {
        let header = "<header><p>Metaflow, stage \(HTMLText.escaped(stage))</p></header>"
        switch callback {
        case .code(let text):
            return page.render(title: "Copy this code", content: """
            \(header)
            <h1>Copy this code</h1>
            <p>Paste it into the terminal where <code>metaflow-gateway-login</code> is waiting, then press Enter. It works once, for a few minutes.</p>
            <pre class="code" tabindex="0" role="region" aria-label="The code"><code>\(HTMLText.escaped(text))</code></pre>
            <p>You did not start a login yourself? Then close this page, and give the code to nobody: it would let them in as you.</p>
            """)
        case .refused(let error):
            return failure("You are not logged in", error.sentence, header, loginLine, page)
        case .empty:
            return failure("There is no code here", "This page shows a code at the end of a login that was started in a terminal.", header, loginLine, page)
        case .unreadable:
            return failure(
                "This code cannot be shown",
                "The address of this page is incomplete or damaged. If the terminal still asks for the code, paste the whole address of this page there; else start the login again.",
                header, loginLine, page)
        }
    }

    private static func failure(_ title: String, _ sentence: String, _ header: String, _ loginLine: String, _ page: Page) -> [UInt8] {
        page.render(title: title, content: """
        \(header)
        <h1>\(HTMLText.escaped(title))</h1>
        <p>\(HTMLText.escaped(sentence))</p>
        <p>A login starts with this line in a terminal:</p>
        \(Page.line(loginLine, label: "Log in without a browser on that machine"))
        """)
    }
}
