/// Counts of events that small numbers tell apart: one flat table, searched by one multiplication, without text and, once a series is known,
/// without allocation. Bounded: what comes after ``seriesMax`` different series is counted together.
package struct SeriesCounts: Sendable {
    /// Series of one loop; 16 bytes each at least.
    package static let seriesMax = 20_000

    /// 0 is a free place.
    private var keys: [UInt64]
    private var counts: [UInt64]
    private var shift: UInt64
    package private(set) var seriesCount = 0
    /// Events of series that found no room.
    package private(set) var others: UInt64 = 0

    package init() {
        keys = Array(repeating: 0, count: 64)
        counts = Array(repeating: 0, count: 64)
        shift = 64 - 6
    }

    /// - Parameter key: anything but 0.
    package mutating func add(_ key: UInt64, _ amount: UInt64 = 1) {
        let place = place(of: key)
        if keys[place] == key {
            counts[place] &+= amount
            return
        }
        guard seriesCount < Self.seriesMax else {
            others &+= amount
            return
        }
        seriesCount += 1
        keys[place] = key
        counts[place] = amount
        if seriesCount * 2 > keys.count { grow() }
    }

    /// Where the key stands, or would; at least half of the places are free, so that the walk is short and ends.
    private func place(of key: UInt64) -> Int {
        let mask = keys.count - 1
        var place = Int(truncatingIfNeeded: (key &* 0x9e37_79b9_7f4a_7c15) >> shift)
        while keys[place] != key, keys[place] != 0 { place = (place + 1) & mask }
        return place
    }

    private mutating func grow() {
        let (oldKeys, oldCounts) = (keys, counts)
        keys = Array(repeating: 0, count: oldKeys.count * 2)
        counts = Array(repeating: 0, count: oldKeys.count * 2)
        shift -= 1
        for (index, key) in oldKeys.enumerated() where key != 0 {
            let place = place(of: key)
            keys[place] = key
            counts[place] = oldCounts[index]
        }
    }

    /// Every series, in no order.
    package func forEach(_ body: (_ key: UInt64, _ count: UInt64) -> Void) {
        for (index, key) in keys.enumerated() where key != 0 { body(key, counts[index]) }
    }

    package subscript(_ key: UInt64) -> UInt64 {
        let place = place(of: key)
        return keys[place] == key ? counts[place] : 0
    }

    package mutating func add(_ other: SeriesCounts) {
        other.forEach { add($0, $1) }
        others &+= other.others
    }
}
