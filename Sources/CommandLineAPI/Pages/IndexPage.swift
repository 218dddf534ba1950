internal import GatewayTerms

/// `/cli/` for a person: the two lines to copy, and what else there is.
enum IndexPage {
    static func render(_ guide: Guide, in page: Page) -> [UInt8] {
        let title = "Run Metaflow on \(guide.stage)"
        let url = HTMLText.escaped(guide.publicURL)
        return page.render(title: title, content: """
        <header><p>\(HTMLText.escaped(guide.host))</p></header>
        <h1>\(HTMLText.escaped(title))</h1>
        <p>Two lines in a terminal, once. After them, runs on your computer record here, for days, without another login. A click on a line selects all of it.</p>
        <ol>
        \(installation(guide))
        <li><p>Log in</p>
        \(Page.line(guide.login, label: "Log in"))
        <p class="note">Your browser opens. Where there is none, add <code>--no-browser</code>: it prints an address and asks for the code that the page there shows.</p></li>
        <li><p>Run a flow</p>
        \(Page.line(guide.run, label: "Run a flow"))</li>
        </ol>
        <h2>Later</h2>
        <dl>
        <dt>See your logins</dt><dd><code>metaflow-gateway-login --status</code></dd>
        <dt>Log out</dt><dd><code>metaflow-gateway-login --logout</code></dd>
        <dt>Several stages</dt><dd>Log in to each; <code>METAFLOW_PROFILE=\(HTMLText.escaped(guide.stage))</code> before a command chooses this one.</dd>
        </dl>
        <h2>For programs</h2>
        <dl>
        <dt><a href="\(url)/cli/config"><code>/cli/config</code></a></dt><dd>What the extension asks for: identity provider, client, settings, versions. JSON, open to all.</dd>
        <dt><code>/cli/whoami</code></dt><dd>Who a bearer token is, and the seconds it has left. JSON.</dd>
        <dt><code>/cli/callback</code></dt><dd>The end of a login with <code>--no-browser</code>.</dd>
        \(wheel(guide))
        </dl>
        """)
    }

    private static func installation(_ guide: Guide) -> String {
        guard let line = guide.install else {
            return "<li><p>Install the extension</p>\n<p class=\"note\">This stage does not give out the extension. Ask its operators for the file <code>metaflow_gateway_extension-….whl</code>, and install it with pip.</p></li>"
        }
        return "<li><p>Install the extension</p>\n\(Page.line(line, label: "Install the extension"))\n<p class=\"note\">In the Python environment of your flows, 3.9 or newer.</p></li>"
    }

    private static func wheel(_ guide: Guide) -> String {
        guard let wheel = guide.wheel else { return "" }
        let name = HTMLText.escaped(wheel.name.description)
        return "<dt>The wheel</dt><dd><a href=\"\(HTMLText.escaped(guide.publicURL))/cli/\(name)\">\(name)</a><br>SHA-256 <code>\(HTMLText.escaped(wheel.digest))</code></dd>"
    }
}
