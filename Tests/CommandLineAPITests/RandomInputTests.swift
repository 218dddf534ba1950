@testable import CommandLineAPI
import GatewayTerms
import Testing

/// What clients can write, at random, from seeds that can be tried again.
@Suite struct RandomInputTests {
    /// SplitMix64.
    struct Generator: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state &+= 0x9e37_79b9_7f4a_7c15
            var value = state
            value = (value ^ value >> 30) &* 0xbf58_476d_1ce4_e5b9
            value = (value ^ value >> 27) &* 0x94d0_49bb_1331_11eb
            return value ^ value >> 31
        }

        mutating func text(of pieces: [String], upTo count: Int) -> String {
            (0..<Int.random(in: 0...count, using: &self)).map { _ in pieces.randomElement(using: &self) ?? "" }.joined()
        }
    }

    @Test("No query shows more than one code of the narrow alphabet and its state", arguments: [UInt64(1), 2, 3, 4])
    func boundsQueries(seed: UInt64) {
        let pieces = ["code", "state", "error", "=", "=", "&", "%", "%3", "%3C", "%00", "%FF", "+", "a", "Z9", "<b>", "#", "\"", "access_denied", ".", "ä", "%20", "&code=x&state=y", "&state=s"]
        let alphabet = Set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~+/=:*".utf8)
        var generator = Generator(state: seed)
        var shown = 0
        for _ in 0..<20_000 {
            let query = generator.text(of: pieces, upTo: 12)
            guard case .code(let text) = LoginCallback(query: Array(query.utf8)) else { continue }
            shown += 1
            let parts = text.utf8.split(separator: UInt8(ascii: "#"), omittingEmptySubsequences: false)
            #expect(parts.count == 2 && parts.allSatisfy { !$0.isEmpty && $0.allSatisfy(alphabet.contains) }, "\(query)")
        }
        #expect(shown > 100, "The seed makes codes too.")
    }

    @Test("No field value and no path traps, and only a tag that stands there whole matches", arguments: [UInt64(5), 6])
    func boundsFields(seed: UInt64) {
        let tags = ["\"", "W/", ",", " ", "\t", "a", "*", "\"a\"", "\"b\"", "\u{fc}", "w/"]
        let types = ["text/html", "application/json", ";", ",", "q=", "0", "1", ".", "5", " ", "*/*", "Q=1", "99999999999999999999"]
        let paths = ["/", "config", "whoami", ".", "..", "%2F", "metaflow_gateway_extension-", "1.2.0", "-py3-none-any.whl", "\0"]
        let service = Scene.service()
        var generator = Generator(state: seed)
        for _ in 0..<20_000 {
            let value = generator.text(of: tags, upTo: 8)
            if EntityTags.isMatch(value, "\"a\"") { #expect(value.contains("\"a\"") || value.contains("*"), "\(value)") }
            if MediaRanges.preferPage(generator.text(of: types, upTo: 10)) { continue }
            let status = service.get(generator.text(of: paths, upTo: 6), method: GatewayTerms.Method.allCases.randomElement(using: &generator) ?? .get).status
            #expect([200, 400, 401, 404, 405].contains(status))
        }
    }
}
