import Authentication
import Testing

@Suite struct TokenHeaderTests {
    @Test("A token signed through libjwt is accepted")
    func libjwtToken() throws {
        let bench = try Bench()
        let token = Fixture.tokenFromLibJWT()
        #expect(token.split(separator: ".").count == 3)
        let identity = bench.decide(token).identity
        #expect(identity?.subject == "a1b2c3")
        #expect(identity?.keyID == "key-1")
        #expect(bench.decide(Fixture.tokenFromLibJWT(key: Fixture.second)).identity?.keyID == "key-2")
    }

    @Test("A header may be written in these ways", arguments: [
        #"{"alg":"RS256","kid":"key-1"}"#, #"{"kid":"key-1","alg":"RS256"}"#, #" { "alg" : "RS256" , "kid" : "key-1" } "#,
        #"{"alg":"RS256","kid":"key-1","typ":"JWT"}"#, #"{"alg":"RS256","kid":"key-1","typ":"jwt"}"#, #"{"alg":"RS256","kid":"key-1","typ":"at+jwt"}"#,
        #"{"alg":"RS256","kid":"key-1","typ":"AT+JWT"}"#, #"{"alg":"RS256","kid":"key-1","typ":"application/at+jwt"}"#,
        #"{"alg":"\u0052S256","kid":"\u006bey-1"}"#, #"{"alg":"RS256","kid":"key-1","x5t":"abc","cty":"x","foo":{"bar":[1]}}"#,
    ])
    func accepted(header: String) throws {
        #expect(try Bench().decide(Fixture.token(header: header)).identity != nil)
    }

    @Test("Any algorithm but RS256 is refused, also where the signature would verify", arguments: [
        "none", "None", "NONE", "nOnE", "HS256", "HS384", "HS512", "RS384", "RS512", "PS256", "PS384", "ES256", "ES384", "ES512", "EdDSA", "RSA-OAEP",
        "rs256", "Rs256", "rS256", "RS256 ", " RS256", "RS-256", "RS256\\u0020", "SHA256", "RS25", "RS2566", "dir",
    ])
    func otherAlgorithms(algorithm: String) throws {
        let token = Fixture.token(header: "{\"alg\":\"\(algorithm)\",\"kid\":\"key-1\"}")
        #expect(try Bench().refusal(token) == .wrongAlgorithm)
    }

    @Test("RS384 and RS512 signatures under an RS256 header do not verify", arguments: ["SHA384", "SHA512", "SHA1"])
    func otherDigests(digest: String) throws {
        #expect(try Bench().refusal(Fixture.token(digest: digest)) == .badSignature)
    }

    @Test("alg none with an empty or missing signature is refused", arguments: ["", ".", "..", ".e30"])
    func unsigned(ending: String) throws {
        let token = "\(base64URL(#"{"alg":"none","kid":"key-1"}"#)).\(base64URL(Fixture.claims()))\(ending)"
        let refusal = try Bench().refusal(token)
        #expect(refusal?.status == 401)
    }

    @Test("HS256 keyed with the public key is refused, in every form of that key", arguments: [0, 1, 2])
    func publicKeyAsSecret(form: Int) throws {
        let pem = Fixture.first.publicPEM
        let secret = form == 0 ? pem : form == 1 ? Array(pem.dropLast()) : Fixture.first.modulus
        let token = hmacToken(header: #"{"alg":"HS256","kid":"key-1"}"#, claims: Fixture.claims(), secret: secret)
        #expect(try Bench().refusal(token) == .wrongAlgorithm)
        let lying = hmacToken(header: #"{"alg":"RS256","kid":"key-1"}"#, claims: Fixture.claims(), secret: secret)
        #expect(try Bench().refusal(lying) == .badSignature)
    }

    @Test("A header that tells how to verify it is refused, whatever it says", arguments: ["crit", "jku", "jwk", "x5u", "x5c", "zip", "b64"], ["null", "\"x\"", "[]", "true", "{}"])
    func forbidden(member: String, value: String) throws {
        let token = Fixture.token(header: "{\"alg\":\"RS256\",\"kid\":\"key-1\",\"\(member)\":\(value)}")
        #expect(try Bench().refusal(token) == .malformed(.forbiddenHeader(member: member)))
    }

    @Test("A header member of the wrong type, size or content is refused", arguments: [
        (#"{"alg":"RS256"}"#, "kid"), (#"{"alg":"RS256","kid":""}"#, "kid"), (#"{"alg":"RS256","kid":1}"#, "kid"), (#"{"alg":"RS256","kid":null}"#, "kid"),
        (#"{"alg":"RS256","kid":["key-1"]}"#, "kid"), ("{\"alg\":\"RS256\",\"kid\":\"\(String(repeating: "k", count: 257))\"}", "kid"),
        (#"{"kid":"key-1"}"#, "alg"), (#"{"alg":"","kid":"key-1"}"#, "alg"), (#"{"alg":null,"kid":"key-1"}"#, "alg"), (#"{"alg":["RS256"],"kid":"key-1"}"#, "alg"),
        (#"{"alg":256,"kid":"key-1"}"#, "alg"), (#"{"ALG":"RS256","kid":"key-1"}"#, "alg"),
        (#"{"alg":"RS256","kid":"key-1","typ":"JWE"}"#, "typ"), (#"{"alg":"RS256","kid":"key-1","typ":""}"#, "typ"), (#"{"alg":"RS256","kid":"key-1","typ":null}"#, "typ"),
        (#"{"alg":"RS256","kid":"key-1","typ":1}"#, "typ"), (#"{"alg":"RS256","kid":"key-1","typ":"dpop+jwt"}"#, "typ"), (#"{"alg":"RS256","kid":"key-1","typ":"logout+jwt"}"#, "typ"),
        (#"{"alg":"RS256","kid":"key-1","typ":"application/"}"#, "typ"), (#"{"alg":"RS256","kid":"key-1","typ":"JWT "}"#, "typ"),
    ])
    func malformedMember(header: String, member: String) throws {
        #expect(try Bench().refusal(Fixture.token(header: header)) == .malformed(.header(member: member)))
    }

    @Test("A header that is not one strict JSON object is refused", arguments: [
        "", "null", "[]", "\"RS256\"", "{", #"{"alg":"RS256","alg":"none","kid":"key-1"}"#, #"{"alg":"none","alg":"RS256","kid":"key-1"}"#,
        #"{"alg":"RS256","kid":"key-1","kid":"key-2"}"#, #"{"alg":"RS256","\u0061lg":"none","kid":"key-1"}"#, #"{"alg":"RS256","kid":"key-1"}x"#,
        #"{"alg":"RS256","kid":"key-1",}"#, #"{'alg':'RS256','kid':'key-1'}"#, "\u{feff}{\"alg\":\"RS256\",\"kid\":\"key-1\"}", #"{"alg":"RS256","kid":"key-1\u0000"}"#,
        "{\"alg\":\"RS256\",\"kid\":\"key-1\",\"x\":\"\(String(repeating: "x", count: 2048))\"}",
        "{\"alg\":\"RS256\",\"kid\":\"key-1\",\"x\":\(String(repeating: "[", count: 40))\(String(repeating: "]", count: 40))}",
    ])
    func noObject(header: String) throws {
        let refusal = try Bench().refusal(Fixture.token(header: header))
        guard case .malformed = refusal else {
            Issue.record("\(String(describing: refusal))")
            return
        }
    }

    @Test("A kid that the set lacks asks for keys; one that differs in letter case or by a look-alike is another kid", arguments: [
        "key-3", "KEY-1", "key-1 ", " key-1", "key\u{2010}1", "\u{212a}ey-1", "../key-1", "key-1\\u0009", "key-1' OR '1'='1",
    ])
    func unknownKey(keyID: String) throws {
        let decision = try Bench().decide(Fixture.token(header: "{\"alg\":\"RS256\",\"kid\":\"\(keyID)\"}"))
        #expect(decision.keysNeeded?[0] == Fixture.issuer)
    }

    @Test("A signature by another key under a known kid does not verify")
    func foreignKey() throws {
        #expect(try Bench().refusal(Fixture.token(key: Fixture.foreign)) == .badSignature)
        let crossed = Fixture.token(header: #"{"alg":"RS256","kid":"key-2"}"#, key: Fixture.first)
        #expect(try Bench().refusal(crossed) == .badSignature)
    }
}
