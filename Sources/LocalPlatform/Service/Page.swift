/// A whole page: self-contained, readable in light and dark, under a Content-Security-Policy that allows its own style sheet
/// by its hash and nothing else; a page that follows what happens has one script, allowed likewise, that talks to its own origin.
struct Page: Sendable {
    var title: String
    var body: HTML
    /// Where its forms may lead besides the page's own origin; browsers also hold redirects after a form to this list.
    var formTargets: [String] = []
    /// Empty: none.
    var script = ""
    /// What the script is told, as the attribute `data-of` of `body`.
    var scriptData = ""

    func reply(status: Int = 200, _ fields: [(String, String)] = []) -> Reply {
        let (data, program): (HTML, HTML) = script.isEmpty ? ("", "") : (" data-of=\"\(scriptData)\"", "<script>\(HTML(stringLiteral: script))</script>")
        let document: HTML = """
            <!doctype html>
            <html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
            <meta name="color-scheme" content="light dark"><title>\(title)</title><style>\(Self.style)</style></head>
            <body\(data)>
            \(body)
            \(program)</body></html>

            """
        let scripts = script.isEmpty ? "" : " script-src 'sha256-\(Base64.standard(Digest.sha256(Array(script.utf8))))'; connect-src 'self';"
        let targets = (["'self'"] + formTargets).joined(separator: " ")
        return Reply(status: status, contentType: "text/html; charset=utf-8", body: document.text, [
            ("Content-Security-Policy",
             "default-src 'none'; style-src 'sha256-\(Self.styleHash)';\(scripts) img-src data:; form-action \(targets); base-uri 'none'; frame-ancestors 'self'"),
            ("X-Content-Type-Options", "nosniff"), ("Referrer-Policy", "same-origin"), ("Cache-Control", "no-store"),
        ] + fields)
    }

    private static let styleHash = Base64.standard(Digest.sha256(Array(style.text.utf8)))

    private static let style: HTML = """
        :root{--ground:#fbfbfd;--card:#fff;--ink:#1b1d22;--soft:#5b616e;--line:#e2e4ea;--accent:#2f5bd7;--good:#18794e;--bad:#b42318;--wait:#8a5a00}
        @media(prefers-color-scheme:dark){:root{--ground:#121419;--card:#1a1d24;--ink:#e8eaf0;--soft:#a2a9b8;--line:#2c313c;--accent:#8fb0ff;--good:#6fd3a4;--bad:#ff9b8f;--wait:#f0c36d}}
        *{box-sizing:border-box}
        body{margin:0;background:var(--ground);color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
        header,main,footer{max-width:72rem;margin:0 auto;padding:1rem 1.25rem}
        header{padding:2rem 1.25rem 0;overflow-wrap:anywhere}h1{font-size:1.5rem;line-height:1.25;margin:0 0 .25rem;overflow-wrap:anywhere}h2{font-size:1.1rem;margin:1.75rem 0 .5rem}
        p{margin:.25rem 0 .75rem}a{color:var(--accent)}:focus-visible{outline:3px solid var(--accent);outline-offset:2px}
        .live,#live{max-width:72rem;margin:0 auto;padding:0 1.25rem}.live{padding-top:1rem}#live{position:sticky;top:0;z-index:1}
        #live p{margin:0 0 .25rem;display:flex;flex-wrap:wrap;gap:.25rem 1rem;align-items:center;border-top:1px solid var(--line);border-bottom:1px solid var(--line)}
        #live button{width:auto;margin:0;padding:.25rem .75rem}
        .soft{color:var(--soft)}.note{border-left:4px solid var(--wait);padding:.5rem .75rem;background:var(--card)}.fault{border-left:4px solid var(--bad);padding:.5rem .75rem;background:var(--card)}
        .card{background:var(--card);border:1px solid var(--line);border-radius:.75rem;padding:1.5rem;max-width:26rem;margin:8vh auto 0}
        .table{overflow-x:auto;background:var(--card);border:1px solid var(--line);border-radius:.75rem}
        table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.55rem .8rem;border-bottom:1px solid var(--line);vertical-align:top}
        td.run{min-width:10rem;overflow-wrap:anywhere}td.tags{min-width:14rem}
        tr:last-child td{border-bottom:0}th{font-size:.85rem;color:var(--soft);font-weight:600;white-space:nowrap}td.number{font-variant-numeric:tabular-nums;white-space:nowrap}
        .state{font-weight:600;white-space:nowrap}.completed{color:var(--good)}.failed{color:var(--bad)}.running{color:var(--wait)}
        .tag{display:inline-block;border:1px solid var(--line);border-radius:1rem;padding:.1rem .6rem;margin:0 .25rem .25rem 0;font-size:.85rem;overflow-wrap:anywhere}.tag[aria-current]{border-color:var(--accent);font-weight:600}
        label{display:block;font-weight:600;margin-top:1rem}input[type=text],input[type=password]{width:100%;font:inherit;color:inherit;background:var(--ground);border:1px solid var(--soft);border-radius:.5rem;padding:.55rem .7rem}
        button{font:inherit;font-weight:600;margin-top:1.25rem;width:100%;border:0;border-radius:.5rem;padding:.65rem;background:var(--accent);color:var(--card);cursor:pointer}
        code{font-family:ui-monospace,Menlo,Consolas,monospace;font-size:.9em}
        """
}
