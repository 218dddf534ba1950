/// The last streams that the client has ended, by END_STREAM or by RST_STREAM, and that are over: neither HEADERS nor DATA may come on
/// them any more (RFC 9113 §5.1), while on one that we have reset some may still be under way.
struct EndedStreams: Sendable {
    private var numbers: [Int32] = []
    private var next = 0

    /// What comes on a stream that has been forgotten is passed over, as RFC 9113 §5.1 allows for all that are closed.
    private static let countMax = 32

    mutating func insert(_ stream: Int32) {
        if numbers.count < Self.countMax {
            numbers.append(stream)
        } else {
            numbers[next] = stream
            next = (next + 1) % Self.countMax
        }
    }

    /// Forgets the stream, so that each is answered once.
    /// - Returns: whether it was there.
    mutating func remove(_ stream: Int32) -> Bool {
        guard let place = numbers.firstIndex(of: stream) else { return false }
        // No stream has this number.
        numbers[place] = 0
        return stream != 0
    }
}
