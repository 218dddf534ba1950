import Authentication
import COpenSSL
import GatewayTerms

// libFuzzer's entry for what a token, a provider or a revocation file can bring: the strict readers, and the whole path of a
// token up to its signature. The first byte of an input chooses the reader, so that each seed exercises one.
//
// Built with -sanitize=fuzzer; the seeds are in Tests/Fuzz/corpus/token.

/// What does not change from input to input: one stage, one key that nobody holds, one moment.
enum Surroundings {
    static let issuer = "https://issuer.example"
    static let moment = WallTime(seconds: 1_795_521_600)
    static let limits = StrictJSON.Limits(bytesMax: 16 * 1024, valuesMax: 2048)
    static let stage = StageRules(
        stage: "alpha", host: Hostname("alpha.example.com")!, publicURL: "https://alpha.example.com",
        issuers: [IssuerRules(issuer: issuer, clients: [ClientRule(id: "client", name: "client", tokenUse: [.access, .id])])]
    )
    /// Made anew for each run: what it signs reaches the claims' reader and libjwt, which see verified bytes only.
    nonisolated(unsafe) static let key: OpaquePointer = {
        var key: OpaquePointer?
        let context = EVP_PKEY_CTX_new_from_name(nil, "RSA", nil)
        EVP_PKEY_keygen_init(context)
        EVP_PKEY_CTX_set_rsa_keygen_bits(context, 2048)
        guard EVP_PKEY_generate(context, &key) == 1, let key else { fatalError("no key") }
        return key
    }()
    static let keySets: KeySets = {
        var number: OpaquePointer?
        EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &number)
        var modulus = [UInt8](repeating: 0, count: 256)
        BN_bn2bin(number, &modulus)
        let text = String(decoding: Base64URL.encode(modulus.span), as: UTF8.self)
        let document = "{\"keys\":[{\"kty\":\"RSA\",\"kid\":\"k\",\"n\":\"\(text)\",\"e\":\"AQAB\"}]}"
        guard let set = try? KeySet(document: Array(document.utf8), issuer: issuer, generation: 1) else { fatalError("the fuzzer's own key is refused") }
        return KeySets([set])
    }()

    static func signature(_ message: [UInt8]) -> [UInt8] {
        let context = EVP_MD_CTX_new()
        defer { EVP_MD_CTX_free(context) }
        var count = 256
        var signature = [UInt8](repeating: 0, count: count)
        EVP_DigestSignInit_ex(context, nil, "SHA256", nil, nil, key, nil)
        EVP_DigestSign(context, &signature, &count, message, message.count)
        return signature
    }
}

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    guard let start, count > 0 else { return 0 }
    let rest = Array(UnsafeBufferPointer(start: start + 1, count: count - 1))
    switch start[0] {
    case UInt8(ascii: "b"): base64URL(rest)
    case UInt8(ascii: "j"): _ = try? StrictJSON.read(rest.span, limits: Surroundings.limits)
    case UInt8(ascii: "k"): keySet(rest)
    case UInt8(ascii: "r"): revocation(rest)
    case UInt8(ascii: "h"): parts(header: rest, claims: Array("{\"iss\":\"\(Surroundings.issuer)\"}".utf8))
    case UInt8(ascii: "c"): parts(header: Array("{\"alg\":\"RS256\",\"kid\":\"k\"}".utf8), claims: rest)
    default: decide(rest)
    }
    return 0
}

/// What decodes must encode to the very same text.
func base64URL(_ text: [UInt8]) {
    guard let bytes = Base64URL.decode(text.span) else { return }
    guard Base64URL.encode(bytes.span) == text else { fatalError("two texts decode to the same bytes") }
}

func keySet(_ document: [UInt8]) {
    guard let set = try? KeySet(document: document, issuer: Surroundings.issuer, generation: 1) else { return }
    guard !set.keys.isEmpty, set.keys.allSatisfy({ (2048...4096).contains($0.bits) }) else { fatalError("an unusable key was accepted") }
}

/// What is read must be read again from what is written.
func revocation(_ document: [UInt8]) {
    guard let revocation = try? Revocation(document: document.span) else { return }
    let past = WallTime(seconds: 0)
    let written = Array(revocation.document(at: past).utf8)
    guard let again = try? Revocation(document: written.span), again.entries == revocation.entries.filter({ past < $0.until }) else {
        fatalError("a revocation file does not survive being written")
    }
}

func parts(header: [UInt8], claims: [UInt8]) {
    let signed = Base64URL.encode(header.span) + [UInt8(ascii: ".")] + Base64URL.encode(claims.span)
    decide(Array("Bearer ".utf8) + signed + [UInt8(ascii: ".")] + Base64URL.encode(Surroundings.signature(signed).span), isSigned: true)
}

func decide(_ field: [UInt8], isSigned: Bool = false) {
    guard let authenticator = try? BearerAuthenticator() else { return }
    let decision = authenticator.decide(
        authorization: field.span, stage: Surroundings.stage, route: RoutePolicy(name: "open"), keySets: Surroundings.keySets,
        revocation: .none, now: Surroundings.moment
    )
    switch decision {
    case .allowed(let identity):
        guard isSigned else { fatalError("an unsigned token was allowed") }
        checkLines(identity.forwardedFields)
    case .refused(let refusal):
        _ = refusal.message(on: Surroundings.stage)
        _ = refusal.challenge(on: Surroundings.stage)
        _ = refusal.logReason
    case .needsKeys: break
    }
}

/// Whatever the claims say, the upstream sees lines of the one family, in visible ASCII.
func checkLines(_ fields: [UInt8]) {
    guard fields.suffix(2) == [13, 10] else { fatalError("a field without its end") }
    for line in String(decoding: fields, as: UTF8.self).split(separator: "\r\n") {
        guard line.hasPrefix("x-auth-"), line.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7f }) else { fatalError("a claim made a line of its own") }
    }
}

/// The fuzzer's own loop, from the sanitizer's runtime; the package manager names this file's entry point itself, so the
/// runtime's `main` cannot be used.
@_silgen_name("LLVMFuzzerRunDriver")
func runFuzzer(
    _ count: UnsafeMutablePointer<CInt>,
    _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
    _ body: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
) -> CInt

var count = CommandLine.argc
var arguments = CommandLine.unsafeArgv
if runFuzzer(&count, &arguments, { fuzzOneInput($0, $1) }) != 0 { fatalError("The fuzzer could not run.") }
