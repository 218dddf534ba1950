import Authentication
import Testing

@Suite struct TokenShapeTests {
    static let good = Fixture.token()

    @Test("The scheme is Bearer in any letter case, one space, the token", arguments: ["Bearer ", "bearer ", "BEARER ", "bEaReR "])
    func schemeCase(prefix: String) throws {
        #expect(try Bench().decide(field: prefix + Self.good).identity != nil)
    }

    @Test("No credential at all is `missing`", arguments: [nil, "", "Bearer", "bearer", "Bearer "] as [String?])
    func missing(field: String?) throws {
        #expect(try Bench().decide(field: field).refusal == .missing)
    }

    @Test("Another scheme is refused, and Basic is recognised", arguments: [
        ("Basic YTpi", true), ("basic YTpi", true), ("BASIC YTpi", true), ("Basic", true), ("Basic ", true), ("Basically x", false),
        ("Digest username=x", false), ("Negotiate abc", false), ("Bearer:x", false), ("Bearerx y", false), ("Token x", false), ("AWS4-HMAC-SHA256 Credential=x", false),
        ("\tBearer x", false), ("Bearer\tx", false), ("DPoP x", false), ("e30.e30.e30", false), ("Bea", false),
    ])
    func otherScheme(field: String, isBasic: Bool) throws {
        #expect(try Bench().decide(field: field).refusal == .wrongScheme(isBasic: isBasic))
    }

    @Test("A token is three parts of base64url and nothing else")
    func decorated() throws {
        let bench = try Bench()
        for field in [
            "Bearer  \(Self.good)", "Bearer \(Self.good) ", "Bearer \(Self.good),x", "Bearer \(Self.good), Bearer \(Self.good)", "Bearer \"\(Self.good)\"",
            "Bearer \(Self.good)=", "Bearer \(Self.good)==", "Bearer .\(Self.good)", "Bearer \(Self.good).", "Bearer \(Self.good)\u{0}", "Bearer \(Self.good)\n",
            "Bearer \(Self.good)é", "Bearer \(Self.good).AAAA", "Bearer \(Self.good).AAAA.AAAA", "Bearer token=\(Self.good)",
        ] {
            guard case .malformed? = bench.decide(field: field).refusal else {
                Issue.record("\(field.prefix(12))…\(field.suffix(6)): \(String(describing: bench.decide(field: field).refusal))")
                continue
            }
        }
    }

    @Test("Fewer or more than three parts, or an empty one, is refused", arguments: [
        "a", "a.b", "a.b.", ".b.c", "a..c", "..", "...", ".", "a.b.c.d", "a.b.c.d.e", "eyJhbGciOiJub25lIn0", "eyJhbGciOiJub25lIn0.e30", "eyJhbGciOiJub25lIn0.e30.",
    ])
    func parts(token: String) throws {
        #expect(try Bench().refusal(token) == .malformed(.notThreeParts))
    }

    @Test("Each part must be canonical base64url", arguments: [0, 1, 2], ["+", "/", "=", " ", "%3D", "\u{0}", "\u{80}"])
    func notBase64(part: Int, foreign: String) throws {
        var parts = Self.good.split(separator: ".").map(String.init)
        parts[part] = foreign + parts[part].dropFirst()
        let refusal = try Bench().refusal(parts.joined(separator: "."))
        #expect(refusal == .malformed(.notBase64URL(part: [.header, .claims, .signature][part])))
    }

    @Test("A second spelling of the signature's last letter is refused: one token, one text")
    func malleable() throws {
        let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
        let bench = try Bench()
        var accepted = 0
        for letter in letters {
            if bench.decide(Self.good.dropLast() + String(UnicodeScalar(letter))).identity != nil { accepted += 1 }
        }
        #expect(accepted == 1)
    }

    @Test("The size limit is the issuer's: at the limit accepted, one byte over refused")
    func sizeLimit() throws {
        let token = Fixture.token(claims: Fixture.claims([("pad", "\"\(String(repeating: "x", count: 3000))\"")]))
        let atLimit = try Bench(stage: Fixture.stage(issuers: [Fixture.rules(tokenBytesMax: token.utf8.count)]))
        #expect(atLimit.decide(token).identity != nil)
        let below = try Bench(stage: Fixture.stage(issuers: [Fixture.rules(tokenBytesMax: token.utf8.count - 1)]))
        #expect(below.refusal(token) == .tooLarge(bytesMax: token.utf8.count - 1))
        let other = Fixture.rules(Fixture.prodIssuer, tokenBytesMax: 16_384)
        let mixed = try Bench(stage: Fixture.stage(issuers: [other, Fixture.rules(tokenBytesMax: token.utf8.count - 1)], otherStages: []))
        #expect(mixed.refusal(token) == .tooLarge(bytesMax: token.utf8.count - 1))
    }

    @Test("No limit above 16 KiB can be set")
    func ceiling() throws {
        let bench = try Bench(stage: Fixture.stage(issuers: [Fixture.rules(tokenBytesMax: .max)]))
        #expect(bench.refusal(String(repeating: "a", count: 16_385)) == .tooLarge(bytesMax: 16_384))
    }

    @Test("Any one flipped bit of a token is refused")
    func flippedBits() throws {
        let bench = try Bench()
        let bytes = Array(Self.good.utf8)
        for index in stride(from: 0, to: bytes.count, by: 7) {
            for bit in [0, 1, 5] {
                var changed = bytes
                changed[index] ^= 1 << bit
                let token = String(decoding: changed, as: UTF8.self)
                #expect(bench.decide(token).identity == nil)
            }
        }
        #expect(bench.decide(Self.good).identity != nil)
    }

    @Test("Parts of two good tokens do not make a third")
    func spliced() throws {
        let bench = try Bench()
        let one = Self.good.split(separator: ".")
        let two = Fixture.token(claims: Fixture.claims([("sub", "\"mallory\"")])).split(separator: ".")
        #expect(bench.refusal([one[0], two[1], one[2]].joined(separator: ".")) == .badSignature)
        #expect(bench.refusal([one[0], one[1], two[2]].joined(separator: ".")) == .badSignature)
    }

    @Test("A signature of the wrong length is refused", arguments: [0, 1, 128, 255, 257, 512])
    func signatureLength(count: Int) throws {
        let parts = Self.good.split(separator: ".")
        let signature = base64URL([UInt8](repeating: 0x5a, count: count))
        let refusal = try Bench().refusal("\(parts[0]).\(parts[1]).\(signature)")
        #expect(refusal == (count == 0 ? .malformed(.notThreeParts) : .badSignature))
    }

    @Test("A bare token, as an API key carries it, is decided by the same rules")
    func bareToken() throws {
        let bench = try Bench()
        func decide(_ token: String) -> BearerDecision {
            let bytes = Array(token.utf8)
            return bench.authenticator.decide(token: bytes.span, stage: bench.stage, route: bench.route, keySets: bench.keySets, revocation: .none, now: bench.now)
        }
        #expect(decide(Self.good).identity?.subject == "a1b2c3")
        #expect(decide("Bearer \(Self.good)").refusal == .malformed(.notBase64URL(part: .header)))
    }
}
