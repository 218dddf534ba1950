package import GatewayTerms

/// One event loop's way to the access log: names its requests, makes their lines and puts them into its ring. No locks; one
/// loop, one value.
package struct AccessLog: Sendable {
    private var names = RequestIDGenerator()
    private var line = JSONLineWriter()
    private let ring: LogRing

    /// The ring must have no other producer.
    package init(ring: LogRing) { self.ring = ring }

    /// The name of a request that has just begun.
    package mutating func nextRequestID(at now: WallTime) -> RequestID { names.next(at: now) }

    /// Writes the entry's line; false when the ring was full and the line was dropped and counted.
    @discardableResult
    package mutating func record(_ entry: borrowing AccessLogEntry) -> Bool {
        line.write(entry)
        return ring.write(line.bytes.span)
    }
}
