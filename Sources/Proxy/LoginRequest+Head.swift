internal import Authentication
internal import GatewayTerms
internal import HTTPWire

extension LoginRequest {
    /// What a request's head says to the login, in an exchange as in an explanation.
    /// - Parameters:
    ///   - bytes: those that the head's ranges are of.
    ///   - text: a field's value, several joined by commas; `nil` where there is none.
    init(_ head: RequestHead, _ bytes: Span<UInt8>, cookies: LoginCookies, requestID: String, text: (FieldName) -> String?) {
        let (mode, destination, accept, requestedWith) = (text(.secFetchMode), text(.secFetchDest), text(.accept), text(.xRequestedWith))
        let showsPage = RequestClass.showsPage(fetchMode: mode, fetchDestination: destination, accept: accept, requestedWith: requestedWith)
        self.init(
            method: head.method, target: Array(copying: bytes.extracting(head.target.range)), query: head.query.map { Array(copying: bytes.extracting($0.range)) },
            cookies: cookies,
            requestClass: RequestClass(
                method: head.method, fetchMode: mode, fetchDestination: destination, accept: accept, requestedWith: requestedWith, hasUpgrade: head.upgrade != nil),
            wantsPage: head.upgrade == nil && showsPage, fetchSite: text(.secFetchSite), origin: text(.origin), requestID: requestID)
    }
}
