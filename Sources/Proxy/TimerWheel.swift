internal import NIOCore

/// What the wheel can wake.
protocol TimedConnection: AnyObject {
    /// When it wants to be woken; `.distantFuture` for never.
    var deadline: NIODeadline { get }
    /// The slot that the wheel last gave it.
    var timerTick: Int64 { get set }
    /// Its deadline has passed.
    func deadlineReached(_ now: NIODeadline)
}

/// The name of a live connection on its loop: an index with a generation, so that a late answer to one that is gone finds nobody.
package struct ConnectionID: Hashable, Sendable {
    let index: Int32
    let generation: UInt32
}

/// The connections of one loop and their deadlines, looked at every 100 ms (DESIGN §5).
///
/// A connection is looked at at least every two seconds; moving its deadline costs nothing unless the new one is due before the
/// next look. That suits deadlines that move with every request and almost never pass.
struct TimerWheel {
    static let tick = TimeAmount.milliseconds(100)
    private static let slotCount = 32
    /// Ticks between two looks at a connection; less than `slotCount`.
    private static let lookAfter: Int64 = 20

    private struct Entry {
        var id: ConnectionID
        var tick: Int64
    }
    private struct Place {
        var connection: (any TimedConnection)?
        var generation: UInt32
    }

    private var slots: [[Entry]] = Array(repeating: [], count: TimerWheel.slotCount)
    private var places: [Place] = []
    private var free: [Int32] = []
    private var now: Int64
    private let origin: NIODeadline

    init(origin: NIODeadline) {
        self.origin = origin
        now = 0
    }

    private(set) var count = 0

    mutating func add(_ connection: any TimedConnection) -> ConnectionID {
        count += 1
        let id: ConnectionID
        if let index = free.popLast() {
            places[Int(index)].connection = connection
            id = ConnectionID(index: index, generation: places[Int(index)].generation)
        } else {
            id = ConnectionID(index: Int32(places.count), generation: 0)
            places.append(Place(connection: connection, generation: 0))
        }
        insert(id, connection, now + Self.lookAfter)
        return id
    }

    mutating func remove(_ id: ConnectionID) {
        guard connection(id) != nil else { return }
        count -= 1
        places[Int(id.index)].connection = nil
        places[Int(id.index)].generation &+= 1
        free.append(id.index)
    }

    func connection(_ id: ConnectionID) -> (any TimedConnection)? {
        guard id.index < places.count, places[Int(id.index)].generation == id.generation else { return nil }
        return places[Int(id.index)].connection
    }

    /// To be called when a deadline was moved nearer than two seconds.
    mutating func tighten(_ id: ConnectionID) {
        guard let connection = connection(id) else { return }
        let tick = tick(of: connection.deadline)
        if tick < connection.timerTick { insert(id, connection, tick) }
    }

    /// Turns the wheel to `time`; gives the connections whose deadline has passed.
    mutating func advance(to time: NIODeadline) -> [any TimedConnection] {
        let target = Int64((time - origin).nanoseconds / Self.tick.nanoseconds)
        var due: [any TimedConnection] = []
        var dueIDs: [ConnectionID] = []
        // After a pause longer than one turn every slot is looked at once.
        let first = max(now + 1, target - Int64(Self.slotCount) + 1)
        guard first <= target else { return [] }
        for tick in first...target {
            now = tick
            let slot = Int(tick % Int64(Self.slotCount))
            guard !slots[slot].isEmpty else { continue }
            var entries: [Entry] = []
            swap(&entries, &slots[slot])
            for entry in entries {
                guard let connection = connection(entry.id), connection.timerTick == entry.tick else { continue }
                if connection.deadline <= time {
                    due.append(connection)
                    dueIDs.append(entry.id)
                } else {
                    insert(entry.id, connection, min(tick + Self.lookAfter, self.tick(of: connection.deadline)))
                }
            }
        }
        // Behind the turn, so that one that is due is given once, however many slots this turn went through.
        for (id, connection) in zip(dueIDs, due) { insert(id, connection, now + 1) }
        return due
    }

    /// Every live connection, for drains and counts.
    var connections: [any TimedConnection] { places.compactMap(\.connection) }

    private mutating func insert(_ id: ConnectionID, _ connection: any TimedConnection, _ wanted: Int64) {
        let tick = min(max(wanted, now + 1), now + Self.lookAfter)
        connection.timerTick = tick
        slots[Int(tick % Int64(Self.slotCount))].append(Entry(id: id, tick: tick))
    }

    /// The first tick at or after a deadline.
    private func tick(of deadline: NIODeadline) -> Int64 {
        guard deadline < .distantFuture else { return .max / 2 }
        return (deadline - origin).nanoseconds / Self.tick.nanoseconds + 1
    }
}
