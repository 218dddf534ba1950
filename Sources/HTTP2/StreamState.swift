/// What the session keeps of one open stream.
struct StreamState: Sendable {
    /// The client has sent its last byte, or reset the stream.
    var clientHasEnded = false
    /// Body bytes that were handed out and not yet consumed.
    var unconsumed = 0
    var pending = PendingBytes()
    /// No more body bytes will be given; with them the stream ends.
    var isEnding = false
    var trailers: HeadFields?
    /// libnghttp2 asks for no bytes until it is told that there are some.
    var isDeferred = false
    var hasSentHead = false
    var hasEnded = false
    /// Reset with this code once our side has ended, because the client's has not.
    var resetAfterEnd: ErrorCode?
    /// Enough bytes are pending; a drained event is owed.
    var isFull = false
    /// Body bytes that have been sent.
    var sentCount: UInt64 = 0
}
