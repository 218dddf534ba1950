import Authentication
import Testing

@Suite struct StrictJSONTests {
    static let limits = StrictJSON.Limits(bytesMax: 65_536, valuesMax: 1000)

    static func read(_ text: String, limits: StrictJSON.Limits = limits) -> Result<JSONValue, StrictJSON.Fault> {
        read(Array(text.utf8), limits: limits)
    }
    static func read(_ bytes: [UInt8], limits: StrictJSON.Limits = limits) -> Result<JSONValue, StrictJSON.Fault> {
        do { return .success(try StrictJSON.read(bytes.span, limits: limits)) } catch { return .failure(error) }
    }

    @Test("A JSON text is read to its value", arguments: [
        ("null", JSONValue.null), ("true", .bool(true)), ("false", .bool(false)), (" \t\r\n1 \n", .integer(1)),
        ("0", .integer(0)), ("-0", .integer(0)), ("-1", .integer(-1)), ("42", .integer(42)),
        ("9223372036854775807", .integer(.max)), ("-9223372036854775808", .integer(.min)),
        ("9223372036854775808", .number(9.223372036854775808e18)), ("-9223372036854775809", .number(-9.223372036854775808e18)),
        ("1.5", .number(1.5)), ("1e2", .number(100)), ("1E+2", .number(100)), ("1e-2", .number(0.01)), ("0.0", .number(0)), ("-0.5e1", .number(-5)),
        ("\"\"", .string("")), ("\"a\"", .string("a")), ("\"é€😀\"", .string("é€😀")),
        (#""\"\\\/\b\f\n\r\t""#, .string("\"\\/\u{8}\u{c}\n\r\t")), (#""\u0041\u00e9\u20AC""#, .string("Aé€")),
        (#""\ud83d\ude00""#, .string("😀")), (#""\uD800\uDC00""#, .string("\u{10000}")), (#""\udbff\udfff""#, .string("\u{10ffff}")),
        (#""a\nb""#, .string("a\nb")), ("\"\u{7f}\"", .string("\u{7f}")),
        ("[]", .array([])), ("[ ]", .array([])), ("[1,2]", .array([.integer(1), .integer(2)])), ("[[]]", .array([.array([])])),
        ("[ \"a\" , null ]", .array([.string("a"), .null])),
    ])
    func reads(text: String, value: JSONValue) {
        #expect(Self.read(text) == .success(value))
    }

    @Test("An object keeps its members in order and gives them by exact name")
    func objects() throws {
        let object = try Self.read(#"{"b":1,"a":{"c":[true]},"":"x"}"#).get().object
        #expect(object?.members.map(\.name) == ["b", "a", ""])
        #expect(object?["b"] == .integer(1))
        #expect(object?["a"]?.object?["c"]?.array == [.bool(true)])
        #expect(object?[""] == .string("x"))
        #expect(object?["B"] == nil)
        #expect(try Self.read("{}").get().object?.members.isEmpty == true)
    }

    @Test("What is not JSON is refused, with its kind", arguments: [
        ("", StrictJSON.Fault.Kind.unexpectedEnd), (" ", .unexpectedEnd), ("[", .unexpectedEnd), ("[1", .unexpectedEnd), ("[1,", .unexpectedEnd),
        ("{", .unexpectedEnd), ("{\"a\"", .unexpectedEnd), ("{\"a\":", .unexpectedEnd), ("{\"a\":1", .unexpectedEnd), ("{\"a\":1,", .unexpectedEnd),
        ("\"", .unexpectedEnd), ("\"a", .unexpectedEnd), ("\"\\", .unexpectedEnd), ("\"\\u12", .unexpectedEnd), ("\"\\n", .unexpectedEnd), ("tru", .unexpectedEnd),
        ("truE", .unexpectedByte), ("True", .unexpectedByte), ("nul1", .unexpectedByte), ("undefined", .unexpectedByte), ("NaN", .unexpectedByte),
        ("Infinity", .unexpectedByte), ("+1", .unexpectedByte), (".5", .unexpectedByte), ("'a'", .unexpectedByte), ("a", .unexpectedByte),
        ("[1 2]", .unexpectedByte), ("[,1]", .unexpectedByte), ("[1,]", .unexpectedByte), ("[1}", .unexpectedByte), ("{]", .unexpectedByte),
        ("{\"a\":1,}", .unexpectedByte), ("{,}", .unexpectedByte), ("{a:1}", .unexpectedByte), ("{\"a\" 1}", .unexpectedByte), ("{\"a\"=1}", .unexpectedByte),
        ("{1:1}", .unexpectedByte), ("{\"a\":1 \"b\":2}", .unexpectedByte), ("{\"a\":}", .unexpectedByte),
        ("1 1", .unexpectedByte), ("{}{}", .unexpectedByte), ("{}x", .unexpectedByte), ("[]]", .unexpectedByte), ("null,", .unexpectedByte),
        ("/* */1", .unexpectedByte), ("1//", .unexpectedByte), ("\u{feff}1", .unexpectedByte), ("\u{a0}1", .unexpectedByte), ("\u{b}1", .unexpectedByte),
        ("01", .malformedNumber), ("-01", .malformedNumber), ("00", .malformedNumber), ("-", .malformedNumber), ("--1", .malformedNumber),
        ("1.", .malformedNumber), ("1.e1", .malformedNumber), ("1e", .malformedNumber), ("1e+", .malformedNumber), ("-a", .malformedNumber),
        ("1e999", .malformedNumber), ("-1e999", .malformedNumber), ("0x10", .unexpectedByte), ("1_000", .unexpectedByte), ("1e1.5", .unexpectedByte),
        ("\"\n\"", .malformedString), ("\"\t\"", .malformedString), ("\"\u{0}\"", .malformedString), ("\"\u{1f}\"", .malformedString),
        ("\"\\a\"", .malformedString), ("\"\\'\"", .malformedString), ("\"\\x41\"", .malformedString), ("\"\\U0041\"", .malformedString),
        ("\"\\u00g0\"", .malformedString), ("\"\\u 041\"", .malformedString), ("\"\\u+041\"", .malformedString),
        ("\"a\\n\u{1}\"", .malformedString),
        (#""\ud800""#, .malformedString), (#""\ud800x""#, .malformedString), (#""\ud800\n""#, .malformedString), (#""\ud800\ud800""#, .malformedString),
        (#""\ud800\u0041""#, .malformedString), (#""\udc00""#, .malformedString), (#""\udc00\ud800""#, .malformedString),
        (#""\u0000""#, .malformedString), (#""a\u0000b""#, .malformedString),
    ])
    func refuses(text: String, kind: StrictJSON.Fault.Kind) {
        guard case .failure(let fault) = Self.read(text) else {
            Issue.record("accepted")
            return
        }
        #expect(fault.kind == kind)
        #expect(fault.offset >= 0 && fault.offset <= text.utf8.count)
    }

    @Test("A name that stands twice is refused, however it is written", arguments: [
        #"{"a":1,"a":1}"#, #"{"a":1,"b":2,"a":3}"#, #"{"iss":"x","\u0069ss":"y"}"#, #"{"\u0061":1,"\u0061":2}"#, #"{"":1,"":2}"#,
        #"{"x":{"a":1,"a":2}}"#, #"[{"a":1,"a":2}]"#, #"{"é":1,"\u00e9":2}"#, "{\"e\u{301}\":1,\"\u{e9}\":2}", #"{"😀":1,"\ud83d\ude00":2}"#,
        "{" + (0..<60).map { "\"n\($0)\":\($0)" }.joined(separator: ",") + ",\"n0\":1}",
        "{" + (0..<60).map { "\"n\($0)\":\($0)" }.joined(separator: ",") + ",\"n59\":1}",
        "{" + (0..<24).map { "\"n\($0)\":\($0)" }.joined(separator: ",") + ",\"n23\":1}",
        "{" + (0..<25).map { "\"n\($0)\":\($0)" }.joined(separator: ",") + ",\"n24\":1}",
    ])
    func duplicateNames(text: String) {
        guard case .failure(let fault) = Self.read(text) else {
            Issue.record("accepted")
            return
        }
        #expect(fault.kind == .duplicateName)
    }

    @Test("Bytes that are not UTF-8 are refused, inside and outside strings", arguments: [
        [0x22, 0x80, 0x22], [0x22, 0xc0, 0xaf, 0x22], [0x22, 0xe0, 0x80, 0x80, 0x22], [0x22, 0xed, 0xa0, 0x80, 0x22],
        [0x22, 0xf4, 0x90, 0x80, 0x80, 0x22], [0x22, 0xc3, 0x22], [0x22, 0xff, 0x22], [0xff], [0x31, 0xff], [0x22, 0xf8, 0x88, 0x80, 0x80, 0x80, 0x22],
    ] as [[UInt8]])
    func notUTF8(bytes: [UInt8]) {
        guard case .failure(let fault) = Self.read(bytes) else {
            Issue.record("accepted")
            return
        }
        #expect(fault.kind == .notUTF8)
    }

    @Test("Nesting is allowed up to 32 and refused from 33 on", arguments: ["[", "{\"a\":"])
    func depth(opening: String) {
        let closing = opening == "[" ? "]" : "}"
        func nested(_ depth: Int) -> String {
            String(repeating: opening, count: depth) + "1" + String(repeating: closing, count: depth)
        }
        #expect(throws: Never.self) { try Self.read(nested(32)).get() }
        guard case .failure(let fault) = Self.read(nested(33)) else {
            Issue.record("accepted")
            return
        }
        #expect(fault.kind == .tooDeep)
        guard case .failure(let bomb) = Self.read(String(repeating: opening, count: 10_000)) else {
            Issue.record("accepted")
            return
        }
        #expect(bomb.kind == .tooDeep)
    }

    @Test("Bytes and values have their limits")
    func sizes() {
        let small = StrictJSON.Limits(bytesMax: 8, valuesMax: 3)
        #expect(Self.read("[1,2]   ", limits: small) == .success(.array([.integer(1), .integer(2)])))
        guard case .failure(let long) = Self.read("[1,2]    ", limits: small), case .failure(let many) = Self.read("[1,2,3]", limits: small) else {
            Issue.record("accepted")
            return
        }
        #expect(long.kind == .tooLong)
        #expect(many.kind == .tooManyValues)
    }

    @Test("A number of hundreds of digits neither traps nor passes", arguments: [
        String(repeating: "9", count: 400), "-" + String(repeating: "1", count: 400), "1." + String(repeating: "0", count: 400), "1e" + String(repeating: "9", count: 100),
    ])
    func longNumbers(text: String) {
        guard case .failure(let fault) = Self.read(text) else {
            Issue.record("accepted")
            return
        }
        #expect(fault.kind == .malformedNumber)
    }

    @Test("Every prefix of a good text is refused without a trap")
    func prefixes() {
        let text = Array(#"{"kid":"k\u00e9\ud83d\ude00","n":[1,-2.5e+3,true,false,null,{}],"o":{"p":""}}"#.utf8)
        #expect(throws: Never.self) { try Self.read(text).get() }
        for count in 0..<text.count {
            guard case .failure = Self.read(Array(text.prefix(count))) else {
                Issue.record("a prefix of \(count) bytes was accepted")
                continue
            }
        }
    }
}
