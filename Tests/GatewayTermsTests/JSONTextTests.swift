import Foundation
import GatewayTerms
import Testing

@Suite struct JSONTextTests {
    @Test("Members keep their order and their kind")
    func writesMembers() {
        let text = JSONText.object { object in
            object.member("b", "x")
            object.member("a", 1)
            object.member("none", nil)
            object.member("words", ["x", "\""])
            object.member("numbers", [1, 65_535] as [UInt16])
            object.member("empty", [String]())
            object.member("object", json: JSONText.object { $0.member("c", Int64.min) })
            object.member("nothing", json: JSONText.object { _ in })
        }
        #expect(text == #"{"b":"x","a":1,"none":null,"words":["x","\""],"numbers":[1,65535],"empty":[],"object":{"c":-9223372036854775808},"nothing":{}}"#)
    }

    @Test("Every character comes back from another reader, and none that a terminal or a script acts on is written raw")
    func roundTrips() throws {
        for value in UInt32(0)...0x2fff {
            guard let scalar = UnicodeScalar(value) else { continue }
            let original = "a\(Character(scalar))b"
            let quoted = JSONText.quoted(original)
            #expect(try JSONSerialization.jsonObject(with: Data(quoted.utf8), options: .fragmentsAllowed) as? String == original)
            if scalar.properties.generalCategory == .control || value == 0x2028 || value == 0x2029 { #expect(quoted.utf8.allSatisfy { (32...126).contains($0) }) }
        }
        #expect(JSONText.quoted("🦋") == "\"🦋\"")
    }
}
