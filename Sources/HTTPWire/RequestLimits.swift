/// How much of a request's head is read.
package struct RequestLimits: Sendable, Equatable {
    /// Request line and field section, in bytes. Range 1 KiB…1 MiB. Over it: 431 (RFC 6585 §5).
    package var headBytesMax = 60 * 1024
    /// One field line without its CRLF, in bytes. Over it: 431.
    package var fieldLineBytesMax = 8 * 1024
    /// The same for `Cookie`, which holds the sealed login session. Over it: 431.
    package var cookieBytesMax = 24 * 1024
    /// The same for `Authorization`, which holds a token. Over it: 431.
    package var authorizationBytesMax = 17 * 1024
    /// Field lines in a head. Over it: 431.
    package var fieldsMax = 100
    /// The request target, in bytes. Over it: 414 (RFC 9110 §15.5.15).
    package var targetBytesMax = 8 * 1024

    package init() {}

    /// A method is a token of at most so many bytes; no method that anybody registered is longer. Over it: 400.
    static let methodBytesMax = 32
    /// `Connection` options in a head: each is looked for among all fields. Over it: 400.
    static let connectionOptionsMax = 32
    /// Digits of a Content-Length: up to 10¹⁸ − 1 bytes, which no later sum can overflow.
    static let contentLengthDigitsMax = 18
    /// Whatever was configured: places in a head are kept in 32 bits.
    static let headBytesCeiling = 1024 * 1024
}
