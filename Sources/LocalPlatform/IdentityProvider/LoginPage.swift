/// The hosted login page.
struct LoginPage: Sendable {
    var stage: String
    var action: String
    /// Repeated in a cookie, so that another site cannot post the form.
    var forgery: String
    var name: String
    var fault: String?

    func page(formTarget: String) -> Page {
        let notice: HTML = if let fault { "<p class=\"fault\" role=\"alert\" id=\"fault\">\(fault)</p>" } else { "" }
        return Page(
            title: "Sign in · \(stage) · local platform",
            body: """
                <main><div class="card">
                <h1>Sign in to \(stage)</h1>
                <p class="note">This is the local platform, for development only. It protects nothing.</p>
                \(notice)
                <form method="post" action="\(action)">
                <input type="hidden" name="_csrf" value="\(forgery)">
                <label for="username">User name</label>
                <input type="text" id="username" name="username" value="\(name)" autocomplete="username" autocapitalize="none" spellcheck="false" required maxlength="64" autofocus>
                <label for="password">Password</label>
                <input type="password" id="password" name="password" autocomplete="current-password" required maxlength="128">
                <button type="submit">Sign in</button>
                </form>
                <h2>Who is here</h2>
                <p class="soft"><code>ada</code> is in science, <code>grace</code> in science and ml-admins; <code>guest</code> and every other name are in no group.
                The password is <code>\(DirectoryUser.password)</code>.</p>
                </div></main>
                """,
            formTargets: [formTarget])
    }
}
