/// The names of our cookies. `__Host-` makes the browser itself insist on Secure, Path=/ and no Domain (RFC 6265bis §4.1.3.2), so that
/// no other host can plant one.
package enum LoginCookieName {
    /// Every cookie of ours begins so; what begins so in any letter case is kept from upstreams.
    static let family = "__Host-gw"
    /// The login session, and behind a dot its second and third part.
    package static let session = "__Host-gws"
    /// One login under way; eight hexadecimal digits of its state follow.
    package static let transactionPrefix = "__Host-gwtx-"
    /// Logins that were completed in the last minute, for the loop guard.
    package static let recent = "__Host-gwrecent"
    /// Seconds until a sign-out everywhere has reached everywhere, for the page after it.
    package static let signedOut = "__Host-gwout"

    package static let sessionPartsMax = 3

    static func sessionPart(_ index: Int) -> String { index == 0 ? session : "\(session).\(index)" }
}
