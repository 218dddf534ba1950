internal import GatewayTerms

/// What `/cli/` tells: the lines to copy and the resources there are. A person gets it as ``IndexPage``, a program as JSON.
struct Guide {
    let stage: String
    let host: String
    let publicURL: String
    let wheel: (name: WheelName, digest: String)?

    /// pip wants the whole file name in the address.
    var install: String? { wheel.map { "pip install \(publicURL)/cli/\($0.name)" } }
    var login: String { "metaflow-gateway-login \(publicURL)" }
    var loginWithoutBrowser: String { login + " --no-browser" }
    var run: String { "python flow.py run" }

    var json: String {
        JSONText.object { object in
            object.member("stage", stage)
            object.member("url", publicURL)
            object.member("install", install)
            object.member("login", login)
            object.member("login_without_browser", loginWithoutBrowser)
            object.member("run", run)
            object.member("resources", json: JSONText.object { resources in
                resources.member("config", "\(publicURL)/cli/config")
                resources.member("whoami", "\(publicURL)/cli/whoami")
                resources.member("callback", "\(publicURL)/cli/callback")
                resources.member("wheel", wheel.map { "\(publicURL)/cli/\($0.name)" })
            })
        } + "\n"
    }
}
