internal import DequeModule

/// Decides which connection to one endpoint a request gets. Pure: connections and requests are numbers here, `EndpointPool` acts.
///
/// The most recently used connection is leased first, so that those too many grow old and are closed. A request that finds none
/// waits, and has a connection dialled for it as long as the limit allows; it gets whichever becomes free first.
package struct ConnectionPool {
    package typealias Connection = Int
    package typealias Request = Int

    package enum ArrivalAction: Equatable {
        case lease(Connection)
        /// Wait, and dial this new connection.
        case waitAndDial(Connection)
        case wait
        /// Too many wait already: 503 UO.
        case refuse
    }
    package enum FreeAction: Equatable {
        case lease(Connection, Request)
        case park(Connection)
        /// The pool is closing: nothing is kept.
        case close(Connection)
    }
    package enum LossAction: Equatable {
        case dial(Connection)
        case none
    }

    private let connectionsMax: Int
    private let waitingMax: Int
    private var idle: [Connection] = []
    private var dialling = 0
    private var open = 0
    private var waiting: Deque<Request> = []
    /// Numbers count from 0 and are used again, so that they can be indices.
    private var nextConnection = 0
    private var freeNumbers: [Connection] = []
    private var isClosing = false

    package init(connectionsMax: Int, waitingMax: Int) {
        self.connectionsMax = connectionsMax
        self.waitingMax = waitingMax
    }

    package var waitingCount: Int { waiting.count }
    package var idleCount: Int { idle.count }
    /// Open, leased and dialling ones together.
    package var connectionCount: Int { open + dialling }
    package var isEmpty: Bool { connectionCount == 0 && waiting.isEmpty }

    package mutating func requestArrived(_ request: Request) -> ArrivalAction {
        if let connection = idle.popLast() { return .lease(connection) }
        guard waiting.count < waitingMax else { return .refuse }
        waiting.append(request)
        // One dial for each that waits; more would only pile up.
        guard dialling < waiting.count, connectionCount < connectionsMax else { return .wait }
        return .waitAndDial(startDial())
    }

    /// A request no longer waits: its client left or its time is up. True if it was waiting.
    package mutating func requestLeft(_ request: Request) -> Bool {
        guard let index = waiting.firstIndex(of: request) else { return false }
        waiting.remove(at: index)
        return true
    }

    package mutating func dialSucceeded(_ connection: Connection) -> FreeAction {
        dialling -= 1
        open += 1
        return connectionFreed(connection)
    }

    /// Gives the request that is to hear of it, the one that waited longest, and a new dial if others still wait without one.
    package mutating func dialFailed(_ connection: Connection) -> (request: Request?, dial: Connection?) {
        dialling -= 1
        freeNumbers.append(connection)
        let request = waiting.popFirst()
        return (request, dialling < waiting.count && connectionCount < connectionsMax ? startDial() : nil)
    }

    /// A leased connection is whole and ready for the next request.
    package mutating func connectionFreed(_ connection: Connection) -> FreeAction {
        if let request = waiting.popFirst() { return .lease(connection, request) }
        if isClosing {
            open -= 1
            freeNumbers.append(connection)
            return .close(connection)
        }
        idle.append(connection)
        return .park(connection)
    }

    /// An open connection is gone, leased or idle.
    package mutating func connectionLost(_ connection: Connection) -> LossAction {
        open -= 1
        freeNumbers.append(connection)
        if let index = idle.lastIndex(of: connection) { idle.remove(at: index) }
        guard dialling < waiting.count, connectionCount < connectionsMax else { return .none }
        return .dial(startDial())
    }

    /// No route leads here any more: gives the idle connections to close; leased ones are closed when they come back.
    package mutating func close() -> [Connection] {
        isClosing = true
        defer {
            open -= idle.count
            freeNumbers += idle
            idle = []
        }
        return idle
    }

    private mutating func startDial() -> Connection {
        dialling += 1
        if let number = freeNumbers.popLast() { return number }
        nextConnection += 1
        return nextConnection - 1
    }
}
