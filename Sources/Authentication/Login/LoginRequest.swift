package import GatewayTerms

/// What the login looks at of a request. Made only where the login has to answer, so that an ordinary request costs no texts.
package struct LoginRequest: Sendable {
    package let method: Method
    /// Path and query as they were sent, for the way back.
    package let target: [UInt8]
    /// Behind the first `?`.
    package let query: [UInt8]?
    package let cookies: LoginCookies
    package let requestClass: RequestClass
    /// A person looks at the answer: a navigation, or a form that was sent. What refuses the request is a page then, not JSON.
    package let wantsPage: Bool
    /// Sec-Fetch-Site.
    package let fetchSite: String?
    package let origin: String?
    package let requestID: String

    package init(
        method: Method, target: [UInt8], query: [UInt8]?, cookies: LoginCookies, requestClass: RequestClass, wantsPage: Bool, fetchSite: String?, origin: String?, requestID: String
    ) {
        self.method = method
        self.target = target
        self.query = query
        self.cookies = cookies
        self.requestClass = requestClass
        self.wantsPage = wantsPage
        self.fetchSite = fetchSite
        self.origin = origin
        self.requestID = requestID
    }
}
