import ControlPlane
import Testing

@Suite("Readiness")
struct ReadinessTests {
    @Test("waits at the start until every issuer's keys are there, or the wait is over")
    func awaitsKeysAtTheStart() {
        let readiness = Readiness()
        #expect(readiness.obstacle == "starting")
        readiness.awaitKeys(of: ["https://a", "https://b"])
        readiness.serving()
        #expect(readiness.obstacle == "no key set yet of https://a, https://b")
        readiness.keysArrived(of: "https://a")
        #expect(readiness.obstacle == "no key set yet of https://b")
        readiness.stopAwaitingKeys()
        #expect(readiness.obstacle == nil)
    }

    @Test("is not taken back by a reload, whether its keys are known or not")
    func aReloadAwaitsNothing() {
        let readiness = Readiness()
        readiness.awaitKeys(of: ["https://a"])
        readiness.serving()
        readiness.keysArrived(of: "https://a")
        readiness.awaitKeys(of: ["https://a", "https://new"])
        #expect(readiness.obstacle == nil)
    }

    @Test("ends with a drain, whatever else holds")
    func aDrainEndsIt() {
        let readiness = Readiness()
        readiness.serving()
        readiness.draining()
        #expect(readiness.obstacle == "draining")
    }
}
