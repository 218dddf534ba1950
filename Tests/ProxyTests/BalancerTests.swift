import Testing
@testable import Proxy

@Suite("Balancer")
struct BalancerTests {
    @Test("Endpoints take turns")
    func turns() {
        var balancer = Balancer()
        let chosen = (0..<7).map { _ in balancer.roundRobin(3, isEjected: { _ in false }) }
        #expect(chosen == [0, 1, 2, 0, 1, 2, 0])
    }

    @Test("Ejected endpoints are passed over, and used when all are ejected")
    func ejected() {
        var balancer = Balancer()
        let healthy = (0..<4).map { _ in balancer.roundRobin(3, isEjected: { $0 == 1 }) }
        #expect(healthy == [0, 2, 0, 2])
        var panicking = Balancer()
        let all = Set((0..<6).map { _ in panicking.roundRobin(3, isEjected: { _ in true }) })
        #expect(all == [0, 1, 2])
    }

    @Test("A retry goes elsewhere where there is an elsewhere")
    func avoids() {
        var balancer = Balancer()
        for _ in 0..<8 {
            let choice = balancer.roundRobin(2, avoiding: 0, isEjected: { _ in false })
            #expect(choice == 1)
        }
        var only = Balancer()
        let choice = only.roundRobin(1, avoiding: 0, isEjected: { _ in false })
        #expect(choice == 0)
    }

    @Test("The endpoint with the fewest requests is chosen")
    func leastRequests() {
        var balancer = Balancer()
        let choice = balancer.leastRequests(4, isEjected: { $0 == 2 }) { [5, 3, 0, 4][$0] }
        #expect(choice == 1)
    }

    @Test("One key always finds the same endpoint, and losing one endpoint moves only its keys")
    func hashing() {
        let names = ["a:1", "b:1", "c:1", "d:1"]
        var moved = 0
        var counts = [0, 0, 0, 0]
        for number in 0..<4000 {
            let key = "user-\(number)".utf8
            let before = Balancer.hash(key, names: names, isEjected: { _ in false })
            #expect(before == Balancer.hash(key, names: names, isEjected: { _ in false }))
            counts[before] += 1
            let after = Balancer.hash(key, names: names, isEjected: { $0 == 2 })
            if before != 2 { #expect(after == before) } else { moved += 1 }
        }
        #expect(moved == counts[2])
        for count in counts { #expect((800...1200).contains(count)) }
    }
}
