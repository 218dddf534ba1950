/// Chooses an endpoint of an upstream by its index. Pure.
///
/// Ejected endpoints are passed over; when all are, all count again, since a wrong ejection must not turn an upstream off (B7).
struct Balancer {
    private var next = 0

    /// In turn.
    /// - Parameters:
    ///   - count: endpoints of the upstream, at least one.
    ///   - avoiding: the endpoint of the last try, so that a retry goes elsewhere where there is an elsewhere.
    mutating func roundRobin(_ count: Int, avoiding: Int? = nil, isEjected: (Int) -> Bool) -> Int {
        for isStrict in [true, false] {
            for offset in 0..<count {
                let index = (next &+ offset) % count
                if (index == avoiding && count > 1) || (isStrict && isEjected(index)) { continue }
                next = (index + 1) % count
                return index
            }
        }
        return 0
    }

    /// The one with the fewest requests on this loop; in turn among equals.
    mutating func leastRequests(_ count: Int, avoiding: Int? = nil, isEjected: (Int) -> Bool, load: (Int) -> Int) -> Int {
        var best: Int?
        for offset in 0..<count {
            let index = (next &+ offset) % count
            if (index == avoiding && count > 1) || isEjected(index) { continue }
            if best.map({ load(index) < load($0) }) ?? true { best = index }
        }
        guard let best else { return roundRobin(count, avoiding: avoiding, isEjected: { _ in false }) }
        next = (best + 1) % count
        return best
    }

    /// The same endpoint for the same key, on every loop and every replica; when an endpoint goes, only its keys move (highest
    /// random weight).
    /// - Parameter names: of the endpoints, the same everywhere.
    static func hash(_ key: some Sequence<UInt8>, names: [String], avoiding: Int? = nil, isEjected: (Int) -> Bool) -> Int {
        for isStrict in [true, false] {
            var best: (index: Int, weight: UInt64)?
            for index in names.indices where !((index == avoiding && names.count > 1) || (isStrict && isEjected(index))) {
                let weight = weight(key, names[index].utf8)
                if best.map({ weight > $0.weight }) ?? true { best = (index, weight) }
            }
            if let best { return best.index }
        }
        return 0
    }

    /// FNV-1a over both, then mixed (splitmix64's finaliser), since FNV's high bits depend too little on the last bytes.
    private static func weight(_ key: some Sequence<UInt8>, _ name: some Sequence<UInt8>) -> UInt64 {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in key { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        for byte in name { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        hash = (hash ^ (hash >> 30)) &* 0xbf58_476d_1ce4_e5b9
        hash = (hash ^ (hash >> 27)) &* 0x94d0_49bb_1331_11eb
        return hash ^ (hash >> 31)
    }
}
