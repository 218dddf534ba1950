internal import GatewayTerms

/// Finds the stage of an authority, and remembers the last answer: on a connection that is kept alive it is always the same.
struct StageLookup {
    private(set) var authority: [UInt8] = []
    private var snapshot: Snapshot?
    private var stage: Stage?

    /// - Parameter authority: `host[:port]`, found well-formed by the parser.
    mutating func stage(of authority: Span<UInt8>, in snapshot: Snapshot) -> Stage? {
        if snapshot === self.snapshot, authority.isEqual(to: self.authority) { return stage }
        self.authority = Array(copying: authority)
        self.snapshot = snapshot
        stage = StageLookup.host(of: authority).flatMap { snapshot.stage(for: $0) }
        return stage
    }

    private static func host(of authority: Span<UInt8>) -> Hostname? {
        var end = authority.count
        // A colon behind the last bracket begins the port.
        var index = authority.count - 1
        while index >= 0, authority[index] != UInt8(ascii: "]") {
            if authority[index] == UInt8(ascii: ":") {
                end = index
                break
            }
            index -= 1
        }
        return Hostname(authority.extracting(0..<end))
    }
}

extension Span<UInt8> {
    func isEqual(to bytes: [UInt8]) -> Bool {
        guard count == bytes.count else { return false }
        for index in indices where self[index] != bytes[index] { return false }
        return true
    }
}
