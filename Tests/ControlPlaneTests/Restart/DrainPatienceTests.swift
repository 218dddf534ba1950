import ControlPlane
import Testing

@Suite("A drain's patience")
struct DrainPatienceTests {
    private let start = ContinuousClock.now

    /// Each look: at which second, how many connections, and at which second the last probe came.
    private func ends(_ looks: [(at: Int, connections: Int, probe: Int?)]) -> Int? {
        var patience = DrainPatience(quietFor: .seconds(30))
        for look in looks where patience.isOver(connections: look.connections, lastProbe: look.probe.map { start + .seconds($0) }, now: start + .seconds(look.at)) {
            return look.at
        }
        return nil
    }

    @Test("is over when neither a client nor a probe has been there for so long")
    func ends() {
        #expect(ends([(0, 0, 0), (29, 0, 0), (30, 0, 0)]) == 30)
        #expect(ends([(0, 1, -5), (10, 0, -5), (39, 0, -5), (40, 0, -5)]) == 40)
        #expect(ends([(0, 0, -100), (29, 0, -100), (30, 0, -100)]) == 30)
    }

    @Test("lasts while probes come")
    func lastsWithProbes() {
        #expect(ends((0..<300).map { ($0, 0, $0 / 10 * 10) }) == nil)
    }

    @Test("lasts while a client is there, and begins anew when one has come")
    func lastsWithClients() {
        #expect(ends((0..<300).map { ($0, 1, 0) }) == nil)
        #expect(ends([(0, 0, 0), (20, 1, 0), (21, 0, 0), (50, 0, 0), (51, 0, 0)]) == 51)
    }

    @Test("lasts where no probe has ever come, since then nobody can tell when the load balancer has left")
    func lastsWithoutProbes() {
        #expect(ends((0..<300).map { ($0, 0, nil) }) == nil)
    }
}
