internal import GatewayTerms

/// The pages of the login. Nothing of a request or of a provider's answer is repeated in them, but for what a person may know of
/// themselves; each says what happened and what to do next.
struct LoginPages {
    let rules: LoginRules
    let requestID: String
    let now: WallTime

    private func facts(_ status: Int, _ code: String) -> [(name: String, value: String)] {
        [("Status", "\(status)"), ("Reason", code), ("Stage", rules.stage), ("Request", requestID), ("Time", now.description)]
    }

    private static func startStep(_ label: String, _ target: ReturnTarget = .root) -> PageLayout.Step {
        .link(label, to: AuthorizationCodeFlow.startAddress(backTo: target.text))
    }

    private func page(
        _ status: Int, _ code: String, _ title: String, _ paragraphs: [String], items: [String] = [], steps: [PageLayout.Step],
        fields: [LoginAnswer.Field] = [], cookies: [String] = [], formTargets: [String] = []
    ) -> LoginAnswer {
        .page(
            status, PageLayout(title: title, paragraphs: paragraphs, items: items, steps: steps, facts: facts(status, code)), fields: fields,
            cookies: cookies, formTargets: formTargets, code: code)
    }

    // MARK: - The callback

    func badCallback(_ code: String) -> LoginAnswer {
        page(400, code, "This is not a way back from a login", [
            "The address that opened this page is not what the login provider sends. Nothing was changed.",
        ], steps: [Self.startStep("Start a new login")])
    }

    func interrupted() -> LoginAnswer {
        page(400, "login_interrupted", "This login was interrupted", [
            "Your browser came back from the login, but did not bring the cookie with which it left. That happens when the login took more than ten minutes, when it was begun in another browser or window, or when cookies are blocked for this site.",
        ], steps: [Self.startStep("Start a new login")])
    }

    func providerError(_ code: String, target: ReturnTarget, cookies: [String]) -> LoginAnswer {
        switch code {
        case "access_denied":
            page(403, "provider_\(code)", "The login was refused", [
                "The login provider says that you cancelled, or that you may not use \(rules.stage).",
                "If you should have access, ask the operators of \(rules.stage).",
            ], steps: [Self.startStep("Try again", target)], cookies: cookies)
        case "temporarily_unavailable", "server_error":
            page(503, "provider_\(code)", "The login provider is not available", [
                "The login provider could not log you in at the moment. Nothing is wrong with your account.",
            ], steps: [Self.startStep("Try again", target)], fields: [LoginAnswer.Field("retry-after", "5")], cookies: cookies)
        default:
            page(502, "provider_\(code)", "The login provider reported an error", [
                "The login did not succeed, for a reason that you cannot mend. Tell the operators of \(rules.stage) the request below.",
            ], steps: [Self.startStep("Try again", target)], cookies: cookies)
        }
    }

    func codeRefused(_ target: ReturnTarget) -> LoginAnswer {
        page(400, "code_refused", "This login is used up", [
            "The login provider no longer accepts this login: it took too long, or this address was opened twice.",
        ], steps: [Self.startStep("Start a new login", target)])
    }

    func providerMistake(_ code: String, _ target: ReturnTarget) -> LoginAnswer {
        page(502, code, "The login could not be verified", [
            "The login provider's answer is not one that \(rules.stage) can accept, so you are not logged in. Tell the operators of \(rules.stage) the reason and the request below.",
        ], steps: [Self.startStep("Try again", target)])
    }

    func providerUnavailable(_ fields: [LoginAnswer.Field], target: ReturnTarget = .root) -> LoginAnswer {
        page(503, "provider_unavailable", "The login provider does not answer", [
            "Logins of \(rules.stage) cannot be started or renewed at the moment. Nothing is wrong with your account, and you are not signed out. Try again in a few seconds.",
        ], steps: [.link("Try again", to: target.text), .link("Sign out", to: LoginPath.signOut.rawValue)], fields: fields)
    }

    func doesNotFit() -> LoginAnswer {
        page(500, "session_too_large", "Your login is too large", [
            "What the login provider says of you does not fit into the cookies of this site, although all that can be left out was left out.",
            "Ask the operators of \(rules.stage) to shorten the list of groups that its policies name.",
        ], steps: [.link("Sign out", to: LoginPath.signOut.rawValue)])
    }

    func internalMistake() -> LoginAnswer {
        page(500, "internal_error", "Our mistake", ["The login could not be started. Try again; if it happens again, report the request below."],
             steps: [Self.startStep("Try again")])
    }

    // MARK: - Cookies and loops

    func tooManyCookies(cookies: [String]) -> LoginAnswer {
        page(431, "too_many_cookies", "Too many cookies", [
            "Your browser sent more than \(LoginCookies.countMax) cookies, so that your login cannot be found among them.",
            cookies.isEmpty
                ? "Delete the cookies of \(rules.host) in your browser's settings, then open the page again."
                : "Those of logins that were never finished are deleted now. Try again; if this page comes back, delete the cookies of \(rules.host) in your browser's settings.",
        ], steps: [.link("Try again", to: "/")], cookies: cookies)
    }

    /// What the guard found (D15).
    func loop(_ recent: RecentLogins, _ absence: LoginAbsence, cookies: [String]) -> LoginAnswer {
        var causes: [String] = []
        switch absence {
        case .noCookie:
            causes.append("The login's cookie, \(recent.bytes) bytes in \(recent.parts) part\(recent.parts == 1 ? "" : "s"), was sent to your browser and did not come back: cookies may be blocked for \(rules.host), or an extension or a company proxy removes them.")
        case .incomplete:
            causes.append("Of the login's cookie, \(recent.bytes) bytes in \(recent.parts) parts, only some parts came back: your browser keeps too few or too small cookies for \(rules.host).")
        case .unreadable(.notAuthentic):
            causes.append("The login's cookie came back, and was changed on its way or belongs to another stage than \(rules.stage).")
        case .unreadable(.unknownKey):
            causes.append("The login's cookie was sealed by another gateway with a key that this one does not know: the operators must give all gateways the same key file.")
        case .unreadable(.malformed), .unreadable(.unavailable):
            causes.append("The login's cookie came back in a form that cannot be read.")
        case .ended(.revoked):
            causes.append("The login is revoked as soon as it is made: signing out everywhere, or an operator, ended all logins of this account.")
        case .ended(let end):
            causes.append("The login is over as soon as it is made (\(end.rawValue)).")
        case .tooManyCookies:
            causes.append("Your browser sends more than \(LoginCookies.countMax) cookies.")
        }
        let skew = recent.issuedAt.seconds - recent.completedAt.seconds
        if abs(skew) > 5 {
            causes.append("The clock of the login provider is \(abs(skew)) seconds \(skew > 0 ? "ahead of" : "behind") the clock of this gateway.")
        }
        let life = recent.expiresAt.seconds - recent.completedAt.seconds
        if life < 60 { causes.append("The provider's tokens end \(max(0, life)) seconds after the login.") }
        return page(400, "login_loop", "The login goes in circles", [
            "You were sent to the login \(recent.starts) times within a minute, and each time the login succeeded and was lost again. To stop that, this page was shown instead. What was found:",
        ], items: causes, steps: [Self.startStep("Start afresh"), .link("Sign out", to: LoginPath.signOut.rawValue)], cookies: cookies)
    }

    // MARK: - Not allowed

    /// A form cannot be led to a login and back: what it holds would be lost on the way.
    func formWithoutLogin(cookies: [String]) -> LoginAnswer {
        page(401, "login_required", "You are not logged in", [
            "What you sent was not passed on, because no login came with it, or one that has ended. Nothing was changed.",
            "To keep what you typed, log in in another tab; then load this page again, and your browser asks whether to send it once more.",
        ], steps: [.newTab("Log in in another tab", to: AuthorizationCodeFlow.startAddress(backTo: "/")), .link("To the start page", to: "/")],
           fields: [LoginAnswer.Field("www-authenticate", "Session")], cookies: cookies)
    }

    static func sentence(_ refusal: BearerRefusal, _ rules: LoginRules) -> String {
        switch refusal {
        case .groupMissing(let groups, let policy):
            "You are logged in, and not in \(groups.count == 1 ? "the group" : "any of the groups") \(groups.joined(separator: ", ")), which the policy \(policy) asks for."
        case .scopeMissing(let scopes, let policy):
            "You are logged in, and your login lacks the scope \(scopes.joined(separator: ", ")), which the policy \(policy) asks for."
        case .ruleDenied(let rule?, let policy):
            "You are logged in, and the rule \(rule) of the policy \(policy) does not let you in."
        case .ruleDenied(nil, let policy):
            "You are logged in, and none of the rules of the policy \(policy) lets you in."
        default:
            "You are logged in, and may not open this."
        }
    }

    func forbidden(_ refusal: BearerRefusal, _ grant: LoginGrant, cookies: [String]) -> LoginAnswer {
        let name = grant.session.username ?? grant.session.email ?? grant.session.subject
        return page(403, refusal.code, "You may not open this", [
            Self.sentence(refusal, rules),
            "You are logged in as \(name). Ask the operators of \(rules.stage) for access; after they have changed your groups, sign out and in again.",
        ], steps: [.link("To the start page", to: "/"), .link("Sign out", to: LoginPath.signOut.rawValue)], cookies: cookies)
    }

    func crossSite() -> LoginAnswer {
        page(403, "origin_refused", "This came from another site", [
            "A page of another site tried to use your login here. Nothing was done.",
            "If you meant to do this, do it from the pages of this site.",
        ], steps: [.link("To the start page", to: "/")])
    }

    func unknownPath() -> LoginAnswer {
        page(404, "no_route", "There is nothing here", ["Nothing is served under this path."], steps: [.link("To the start page", to: "/")])
    }

    // MARK: - Sign-out

    func confirmSignOut(providerOrigin: String?, everywhere: Bool) -> LoginAnswer {
        let action = LoginPath.signOut.rawValue + (everywhere ? "?everywhere=1" : "")
        return page(200, "sign_out_asked", everywhere ? "Sign out everywhere?" : "Sign out?", [
            everywhere
                ? "This ends your logins to \(rules.stage) in all browsers and programs."
                : "This ends your login to \(rules.stage) in this browser.",
        ], steps: [.form(everywhere ? "Sign out everywhere" : "Sign out", action: action), .link("Stay", to: "/")],
           formTargets: ["'self'"] + (providerOrigin.map { [$0] } ?? []))
    }

    func signedOut(elsewhereWithin delay: Int64?, cookies: [String]) -> LoginAnswer {
        var paragraphs = ["You are signed out of \(rules.stage) in this browser."]
        if let delay {
            paragraphs.append("Your other logins to \(rules.stage) end too: at once where this instance of the gateway answers; where another does, those of browsers at the latest within \(BearerRefusal.span(delay)) of their beginning, and those of programs when the operators of \(rules.stage) lock them out. Tell them, if a machine was lost.")
            paragraphs.append("A browser that the login provider still knows may be signed in again there without a question. Whoever must not be: sign out in that browser too, or change your password at the provider.")
        } else {
            paragraphs.append("Logins in other browsers and programs go on until you sign out there, or sign out everywhere.")
        }
        return page(200, "signed_out", "You are signed out", paragraphs, steps: [Self.startStep("Sign in again")], cookies: cookies)
    }
}
