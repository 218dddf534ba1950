internal import Authentication
package import GatewayTerms

/// The page that a person sees when the gateway answers itself, in the one design of all its pages.
package enum ErrorPage {
    /// A person in front of a browser.
    package struct Reader: Sendable {
        /// The address that was asked for, path and query, where asking again means no more than looking again; else nil.
        let again: String?
        /// Where a login begins that leads back there; nil where the stage has none.
        let login: String?
        let now: WallTime

        package init(again: String?, login: String? = nil, now: WallTime) {
            self.again = again
            self.login = login
            self.now = now
        }
    }

    static var contentSecurityPolicy: String { PageLayout.contentSecurityPolicy() }

    /// - Parameter code: the word for it of logs and programs.
    static func render(status: Int, code: String, message: String, reader: Reader, requestID: RequestID) -> [UInt8] {
        PageLayout(
            title: title(status, code), paragraphs: [message] + more(status, code), steps: steps(status, code, reader),
            facts: [("Status", String(status)), ("Reason", code), ("Request", requestID.description), ("Time", reader.now.description)]
        ).bytes
    }

    /// The 401 that a browser's login mends; behind every other one a route that takes tokens alone would ask again and again.
    private static let signInCode = Fault.credentialMissing.code

    private static func steps(_ status: Int, _ code: String, _ reader: Reader) -> [PageLayout.Step] {
        let start = PageLayout.Step.link("To the start page", to: "/")
        switch status {
        case 401 where code == signInCode: return reader.login.map { [.link("Sign in", to: $0)] } ?? [start]
        case 408, 500, 502, 503, 504: return (reader.again.map { [.link("Try again", to: $0)] } ?? []) + [start]
        default: return [start]
        }
    }

    private static func more(_ status: Int, _ code: String) -> [String] {
        switch status {
        case 401 where code != signInCode: ["It takes the token of a program, and no login of a browser."]
        case 502, 503, 504: ["If it goes on, tell the operators the request and the time below."]
        default: []
        }
    }

    private static func title(_ status: Int, _ code: String) -> String {
        switch status {
        case 400: "This request cannot be read"
        case 401: code == signInCode ? "Please sign in" : "This address is for programs"
        case 403: "You may not open this"
        case 404: "There is nothing here"
        case 405: "This does not work that way"
        case 408: "That took too long"
        case 410: "This is no longer here"
        case 413, 414, 431: "That is too large"
        case 421: "Wrong address"
        case 429: "Too many requests"
        case 500: "Our mistake"
        case 502, 504: "The service behind this page did not answer"
        case 503: "Not available at the moment"
        default: status < 500 ? "This is not answered" : "The gateway cannot answer this"
        }
    }
}
