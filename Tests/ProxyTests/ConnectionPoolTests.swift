import Proxy
import Testing

@Suite("ConnectionPool")
struct ConnectionPoolTests {
    @Test("The connection used last is leased first")
    func lifo() {
        var pool = ConnectionPool(connectionsMax: 4, waitingMax: 4)
        let first = pool.requestArrived(1)
        let second = pool.requestArrived(2)
        #expect(first == .waitAndDial(0))
        #expect(second == .waitAndDial(1))
        let leasedFirst = pool.dialSucceeded(0)
        let leasedSecond = pool.dialSucceeded(1)
        #expect(leasedFirst == .lease(0, 1))
        #expect(leasedSecond == .lease(1, 2))
        _ = pool.connectionFreed(0)
        _ = pool.connectionFreed(1)
        let next = pool.requestArrived(3)
        #expect(next == .lease(1))
    }

    @Test("Over the limit of connections a request waits, over the limit of waiting it is refused")
    func limits() {
        var pool = ConnectionPool(connectionsMax: 1, waitingMax: 2)
        let actions = (1...3).map { pool.requestArrived($0) }
        #expect(actions == [.waitAndDial(0), .wait, .refuse])
    }

    @Test("A waiting request gets whichever connection becomes free first, in the order of arrival")
    func order() {
        var pool = ConnectionPool(connectionsMax: 1, waitingMax: 8)
        for request in 1...3 { _ = pool.requestArrived(request) }
        let first = pool.dialSucceeded(0)
        let second = pool.connectionFreed(0)
        let third = pool.connectionFreed(0)
        let last = pool.connectionFreed(0)
        #expect([first, second, third, last] == [.lease(0, 1), .lease(0, 2), .lease(0, 3), .park(0)])
    }

    @Test("A request that leaves is not served")
    func leaving() {
        var pool = ConnectionPool(connectionsMax: 1, waitingMax: 8)
        _ = pool.requestArrived(1)
        _ = pool.requestArrived(2)
        let left = pool.requestLeft(1)
        #expect(left)
        let again = pool.requestLeft(1)
        #expect(!again)
        let action = pool.dialSucceeded(0)
        #expect(action == .lease(0, 2))
    }

    @Test("A failed dial is told to the request that waited longest, and the others get another dial")
    func failedDial() {
        var pool = ConnectionPool(connectionsMax: 1, waitingMax: 8)
        _ = pool.requestArrived(1)
        _ = pool.requestArrived(2)
        let (request, dial) = pool.dialFailed(0)
        #expect(request == 1)
        #expect(dial == 0)
    }

    @Test("A connection that is lost while requests wait is dialled anew")
    func lost() {
        var pool = ConnectionPool(connectionsMax: 1, waitingMax: 8)
        _ = pool.requestArrived(1)
        _ = pool.dialSucceeded(0)
        _ = pool.requestArrived(2)
        let action = pool.connectionLost(0)
        #expect(action == .dial(0))
        var idle = ConnectionPool(connectionsMax: 1, waitingMax: 8)
        _ = idle.requestArrived(1)
        _ = idle.dialSucceeded(0)
        _ = idle.connectionFreed(0)
        let none = idle.connectionLost(0)
        #expect(none == .none)
        #expect(idle.isEmpty)
    }

    @Test("A pool that closes gives its idle connections at once and the leased ones when they come back")
    func closing() {
        var pool = ConnectionPool(connectionsMax: 2, waitingMax: 8)
        _ = pool.requestArrived(1)
        _ = pool.requestArrived(2)
        _ = pool.dialSucceeded(0)
        _ = pool.dialSucceeded(1)
        _ = pool.connectionFreed(1)
        let idle = pool.close()
        #expect(idle == [1])
        let action = pool.connectionFreed(0)
        #expect(action == .close(0))
        #expect(pool.isEmpty)
    }

    @Test("In any order of events no connection has two requests, no limit is passed, and no request is forgotten")
    func anyOrder() {
        var random = SplitMix(state: 42)
        for _ in 0..<300 {
            var pool = ConnectionPool(connectionsMax: 3, waitingMax: 5)
            var dialling: Set<Int> = [], leased: [Int: Int] = [:], parked: Set<Int> = [], waiting: [Int] = []
            var nextRequest = 0
            func settle(_ action: ConnectionPool.FreeAction) {
                switch action {
                case .lease(let connection, let request):
                    #expect(waiting.first == request)
                    waiting.removeAll { $0 == request }
                    #expect(leased[connection] == nil)
                    leased[connection] = request
                case .park(let connection): parked.insert(connection)
                case .close: Issue.record("nothing closes here")
                }
            }
            for _ in 0..<120 {
                switch random.next() % 6 {
                case 0, 1:
                    nextRequest += 1
                    switch pool.requestArrived(nextRequest) {
                    case .lease(let connection):
                        #expect(parked.remove(connection) != nil)
                        leased[connection] = nextRequest
                    case .waitAndDial(let connection):
                        let isNew = dialling.insert(connection).inserted && leased[connection] == nil && !parked.contains(connection)
                        #expect(isNew)
                        waiting.append(nextRequest)
                    case .wait: waiting.append(nextRequest)
                    case .refuse: #expect(waiting.count == 5)
                    }
                case 2:
                    guard let connection = dialling.min() else { continue }
                    dialling.remove(connection)
                    settle(pool.dialSucceeded(connection))
                case 3:
                    guard let connection = dialling.min() else { continue }
                    dialling.remove(connection)
                    let (request, dial) = pool.dialFailed(connection)
                    #expect(request == waiting.first)
                    if request != nil { waiting.removeFirst() }
                    if let dial { dialling.insert(dial) }
                case 4:
                    guard let connection = leased.keys.min() else { continue }
                    leased[connection] = nil
                    settle(pool.connectionFreed(connection))
                default:
                    guard let connection = leased.keys.max() ?? parked.max() else { continue }
                    leased[connection] = nil
                    parked.remove(connection)
                    if case .dial(let number) = pool.connectionLost(connection) { dialling.insert(number) }
                }
                #expect(dialling.count + leased.count + parked.count <= 3)
                #expect(pool.connectionCount == dialling.count + leased.count + parked.count)
                #expect(pool.waitingCount == waiting.count)
                // Whoever waits has a dial or a lease to wait for.
                #expect(waiting.isEmpty || !dialling.isEmpty || !leased.isEmpty)
            }
        }
    }
}
