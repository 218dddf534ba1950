internal import Authentication
internal import HTTPWire
internal import NIOCore

/// What an exchange waits for while the login asks the provider.
enum LoginProgress {
    /// A code is being redeemed for the callback.
    case redeeming(PendingLogin, LoginRequest, answer: Result<TokenAnswer, TokenEndpointFault>?)
    /// A session that is over is being renewed.
    /// - own: the request is to one of the login's own paths.
    case refreshing(PendingRefresh, own: LoginRequest?, answer: Result<TokenAnswer, TokenEndpointFault>?)
}

/// A session that is still good, being renewed beside its request.
struct Renewal {
    let pending: PendingRefresh
    /// Then whatever waits for it leaves without it.
    let deadline: NIODeadline
    /// What the provider said, while the keys that it is signed with are asked for.
    var answer: Result<TokenAnswer, TokenEndpointFault>?
    var held: Held?

    enum Held {
        case head(ResponseHead, ByteBuffer, switchesProtocols: Bool)
        case answer(LocalAnswer)
    }
}
