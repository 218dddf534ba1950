/// Every limit of one connection, with what the client sees when it is hit.
package struct SessionLimits: Sendable, Equatable {
    /// A sustained rate and what may come at once on top of it.
    package struct Rate: Sendable, Equatable {
        package var burst: Int
        package var perSecond: Int

        package init(burst: Int, perSecond: Int) {
            self.burst = burst
            self.perSecond = perSecond
        }
    }

    /// Streams open at once (SETTINGS_MAX_CONCURRENT_STREAMS). Over it: REFUSED_STREAM, or a connection error once our SETTINGS are acknowledged.
    package var streamsMax: UInt32 = 100
    /// Body bytes that one stream may send before we have taken them (SETTINGS_INITIAL_WINDOW_SIZE). Over it: FLOW_CONTROL_ERROR.
    package var streamWindow: UInt32 = 65_536
    /// The same for all streams together. Over it: FLOW_CONTROL_ERROR.
    package var connectionWindow: Int32 = 1_048_576
    /// Names and values of a head, 32 bytes added for each field (SETTINGS_MAX_HEADER_LIST_SIZE, RFC 9113 §6.5.2). Over it the head comes out
    /// as refused: 431.
    package var headBytesMax = 65_536
    /// Fields of a head, every `cookie` crumb counted (CVE-2026-47774). Over it the head comes out as refused: 431.
    package var fieldsMax = 100
    /// Fields in one block, counted or refused, before the connection ends with ENHANCE_YOUR_CALM: an indexed field is one byte to send and
    /// up to 4 KiB to look at.
    package var fieldsBeforeClosing = 2_000
    /// CONTINUATION frames behind one HEADERS frame (CVE-2024-28182). Over it: ENHANCE_YOUR_CALM.
    package var continuationsMax = 8
    /// Settings in one SETTINGS frame. Over it: ENHANCE_YOUR_CALM.
    package var settingsMax = 32
    /// Acknowledgements of PING and SETTINGS that wait to be sent. Over it: ENHANCE_YOUR_CALM.
    package var acknowledgementsMax = 100

    // What follows ends the connection with ENHANCE_YOUR_CALM when it is exceeded.

    /// Streams that the client resets (CVE-2023-44487), and streams that we have to reset because of what it sends (CVE-2025-8671).
    package var resets = Rate(burst: 100, perSecond: 10)
    package var pings = Rate(burst: 50, perSecond: 5)
    package var settings = Rate(burst: 20, perSecond: 1)
    /// DATA without a byte that does not end its stream, also with padding (CVE-2019-9518).
    package var emptyFrames = Rate(burst: 100, perSecond: 10)
    /// PRIORITY, which has no meaning any more (RFC 9113 §5.3.2).
    package var priorities = Rate(burst: 500, perSecond: 50)
    /// WINDOW_UPDATE; each DATA frame that we send earns ten more.
    package var windowUpdates = Rate(burst: 1_000, perSecond: 100)

    package init() {}
}
