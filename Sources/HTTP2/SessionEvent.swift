/// What bytes from the client, or the sending of our own, have brought about. Streams are named by their number (RFC 9113 §5.1.1).
package enum SessionEvent: Sendable, Equatable {
    /// A request's head is whole. It is well-formed as far as RFC 9113 §8 goes unless `fields.refusal` says otherwise; what the names and
    /// values mean is not looked at. Cookie crumbs are one field, the last.
    case requestHead(stream: Int32, fields: HeadFields, endsStream: Bool)
    /// A head that is malformed (RFC 9113 §8.1.1): the stream has been reset with PROTOCOL_ERROR, and nothing else will be heard of it.
    case requestMalformed(stream: Int32)
    /// Body bytes, at `range` of the bytes that were given to `receive`. They count against the windows until `consume` is called.
    case data(stream: Int32, range: Range<Int>)
    /// The request's last byte has come, as many as Content-Length said where there was one.
    case requestEnded(stream: Int32, trailers: HeadFields?)
    /// The stream is over: both sides have ended it, or one has reset it. Nothing can be sent on it any more.
    case streamClosed(stream: Int32, code: UInt32)
    /// Bytes of `submitData` have been sent, and fewer than `pendingLow` are left.
    case drained(stream: Int32)
    /// The client has answered our PING.
    case pingAcknowledged
    /// The client opens no more streams (RFC 9113 §6.8).
    case goAway(code: UInt32)
    /// The connection is over once what `send` still gives has been sent.
    case failed(SessionFault)
}
