import HTTPWire
import Testing

@Suite("RequestParser refuses")
struct RequestRefusalTests {
    @Test("A malformed request line is refused by name", arguments: [
        ("GET /\r\n", RequestError.requestLineMalformed), ("GET\r\n\r\n", .requestLineMalformed), (" GET / HTTP/1.1\r\n", .requestLineMalformed),
        ("GET  / HTTP/1.1\r\n", .requestLineMalformed), ("GET /  HTTP/1.1\r\n", .requestLineMalformed), ("GET / HTTP/1.1 \r\n", .requestLineMalformed),
        ("GET\t/ HTTP/1.1\r\n", .requestLineMalformed), ("GET /\tHTTP/1.1\r\n", .requestLineMalformed), ("G\u{7f}T / HTTP/1.1\r\n", .requestLineMalformed),
        ("GET / http/1.1\r\n", .requestLineMalformed), ("GET / HTTP/1.\r\n", .requestLineMalformed), ("GET / HTTP/11\r\n", .requestLineMalformed),
        ("GET / HTTP/1.10\r\n", .requestLineMalformed), ("GET / HTTP/01.1\r\n", .requestLineMalformed), ("GET / HTTP/1,1\r\n", .requestLineMalformed),
        ("GET / HTTP /1.1\r\n", .requestLineMalformed), ("GET / HTTP/1.1x\r\n", .requestLineMalformed), ("GET / ICY/1.1\r\n", .requestLineMalformed),
        ("GET / foo HTTP/1.1\r\n", .requestLineMalformed), ("GET / HTTP/+1.1\r\n", .requestLineMalformed), ("GET / HTTP/1.1\t\r\n", .requestLineMalformed),
        ("\u{16}\u{3}\u{1}\u{2}\u{0}", .requestLineMalformed), ("/ HTTP/1.1\r\n", .requestLineMalformed), ("GE(T / HTTP/1.1\r\n", .requestLineMalformed),
        ("GET: / HTTP/1.1\r\n", .requestLineMalformed), ("\r\n\r\nGET / HTTP/1.1\r\n", .requestLineMalformed), ("G\u{0}T / HTTP/1.1\r\n", .requestLineMalformed),
        ("\nGET / HTTP/1.1\r\n", .bareLineFeed), ("GET / HTTP/1.1\nHost: h\r\n\r\n", .bareLineFeed), ("GET /\nHTTP/1.1\r\n", .bareLineFeed),
        ("GET\n", .bareLineFeed), ("\rGET / HTTP/1.1\r\n", .bareCarriageReturn), ("GET / HTTP/1.1\rHost: h\r\n", .bareCarriageReturn),
        ("GET / HTTP/1.1\r\rHost: h\r\n", .bareCarriageReturn),
        ("GET / HTTP/2.0\r\n", .versionUnsupported), ("GET / HTTP/0.9\r\n", .versionUnsupported), ("GET / HTTP/1.2\r\n", .versionUnsupported),
        ("GET / HTTP/1.9\r\n", .versionUnsupported), ("GET / HTTP/3.0\r\n", .versionUnsupported), ("GET / HTTP/0.0\r\n", .versionUnsupported),
        ("GET / HTTP/9.9\r\n", .versionUnsupported), ("GET / HTTP/2.1\r\n", .versionUnsupported),
    ])
    func malformedRequestLine(text: String, error: RequestError) {
        #expect(readRequest(text).fault == error)
    }

    @Test("A method that no policy knows is refused before anything else of the request is read", arguments: [
        ("PROPFIND / ", RequestError.methodUnknown), ("get / ", .methodUnknown), ("Get / ", .methodUnknown), ("GETT / ", .methodUnknown),
        ("GE / ", .methodUnknown), ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", .methodUnknown), ("X / ", .methodUnknown), ("PUSH / ", .methodUnknown),
        ("PAT / ", .methodUnknown), ("POSTS / ", .methodUnknown), ("HELO / ", .methodUnknown), ("TRACK / ", .methodUnknown), ("DELETED / ", .methodUnknown),
        ("!#$%&'*+-.^_`|~ / ", .methodUnknown), ("OPTIONZ / ", .methodUnknown), ("DELETA / ", .methodUnknown), ("PATCh / ", .methodUnknown),
        ("TRACE / ", .methodTrace), ("CONNECT h:443 ", .methodConnect), ("CONNECT ", .methodConnect),
        ("ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG", .methodTooLong), ("ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEF ", .methodUnknown),
    ])
    func unknownMethod(text: String, error: RequestError) {
        #expect(readRequest(text).fault == error)
    }

    @Test("A target that is no origin-form or absolute-form is refused", arguments: [
        ("GET * HTTP/1.1", RequestError.targetForm), ("POST * HTTP/1.1", .targetForm), ("OPTIONS ** HTTP/1.1", .targetForm), ("OPTIONS *? HTTP/1.1", .targetForm),
        ("GET foo HTTP/1.1", .targetForm), ("GET h:443 HTTP/1.1", .targetForm), ("GET h/ HTTP/1.1", .targetForm), ("GET ? HTTP/1.1", .targetForm),
        ("GET ftp://h/ HTTP/1.1", .targetForm), ("GET http:/h/ HTTP/1.1", .targetForm), ("GET http:// HTTP/1.1", .targetForm), ("GET http:///x HTTP/1.1", .targetForm),
        ("GET https://?x HTTP/1.1", .targetForm), ("GET file:///etc HTTP/1.1", .targetForm), ("GET http HTTP/1.1", .targetForm), ("GET ws://h/ HTTP/1.1", .targetForm),
        ("GET \\a HTTP/1.1", .targetForm), ("GET %2f HTTP/1.1", .targetForm), ("GET .. HTTP/1.1", .targetForm), ("GET http:h HTTP/1.1", .targetForm),
        ("GET http://u@h/ HTTP/1.1", .targetUserinfo), ("GET http://u:p@h/ HTTP/1.1", .targetUserinfo), ("GET https://h@evil/ HTTP/1.1", .targetUserinfo),
        ("GET http://h\\@evil/ HTTP/1.1", .targetUserinfo), ("GET http://@h/ HTTP/1.1", .targetUserinfo), ("GET http://u@h?x HTTP/1.1", .targetUserinfo),
        ("GET /a#b HTTP/1.1", .targetFragment), ("GET /# HTTP/1.1", .targetFragment), ("GET /?a#b HTTP/1.1", .targetFragment), ("GET # HTTP/1.1", .targetFragment),
        ("OPTIONS *# HTTP/1.1", .targetFragment), ("GET http://h/#x HTTP/1.1", .targetFragment), ("GET http://h#@evil/ HTTP/1.1", .targetFragment),
        ("GET /a\u{0} HTTP/1.1", .targetInvalidByte), ("GET /a\u{1f} HTTP/1.1", .targetInvalidByte), ("GET /a\u{7f} HTTP/1.1", .targetInvalidByte),
        ("GET /é HTTP/1.1", .targetInvalidByte), ("GET /?é HTTP/1.1", .targetInvalidByte), ("GET /?\u{b} HTTP/1.1", .targetInvalidByte),
        ("GET /aaaaaaaaaaaaaaaa\u{1} HTTP/1.1", .targetInvalidByte), ("GET \u{e0}/ HTTP/1.1", .targetInvalidByte),
    ])
    func invalidTarget(line: String, error: RequestError) {
        #expect(readRequest(line + "\r\nHost: h\r\n\r\n").fault == error)
    }

    @Test("A malformed field line is refused by name", arguments: [
        (" X: y", RequestError.obsoleteFold), ("\tX: y", .obsoleteFold), ("A: b\r\n c", .obsoleteFold), ("A: b\r\n\tc: d", .obsoleteFold), ("A:\r\n b", .obsoleteFold),
        ("X-Host: h\r\n evil", .obsoleteFold), ("Transfer-Encoding:\r\n chunked", .transferEncodingInvalid),
        (": y", .fieldNameEmpty), (":", .fieldNameEmpty), ("::", .fieldNameEmpty),
        ("X : y", .fieldNameBlank), ("X\t: y", .fieldNameBlank), ("X Y: z", .fieldNameBlank), ("Content-Length : 5", .fieldNameBlank), ("Transfer-Encoding : chunked", .fieldNameBlank),
        ("X_Y: z", .fieldNameUnderscore), ("X_Forwarded_For: 1.2.3.4", .fieldNameUnderscore), ("Content_Length: 5", .fieldNameUnderscore), ("_: z", .fieldNameUnderscore),
        ("X.Y: z", .fieldNameInvalid), ("X!: z", .fieldNameInvalid), ("X'Y: z", .fieldNameInvalid), ("X~: z", .fieldNameInvalid), ("X(: z", .fieldNameInvalid),
        ("X/: z", .fieldNameInvalid), ("\"X\": z", .fieldNameInvalid), ("X\u{0}: z", .fieldNameInvalid), ("é: z", .fieldNameInvalid), ("X\u{7f}: z", .fieldNameInvalid),
        ("Content-Length\u{b}: 5", .fieldNameInvalid), ("X{: z", .fieldNameInvalid), ("X[]: z", .fieldNameInvalid), ("X@Y: z", .fieldNameInvalid), ("X`: z", .fieldNameInvalid),
        ("a,b: z", .fieldNameInvalid), ("x;y: z", .fieldNameInvalid), ("X=Y", .fieldNameInvalid), ("$x: y", .fieldNameInvalid),
        ("X", .fieldWithoutColon), ("GET", .fieldWithoutColon), ("Content-Length", .fieldWithoutColon),
        ("X\ny: z", .bareLineFeed), ("X: y\nZ: w", .bareLineFeed), ("X: \n", .bareLineFeed), ("\nX: y", .bareLineFeed), ("X: y\n\r\nGET / HTTP/1.1", .bareLineFeed),
        ("X: y\rZ: w", .bareCarriageReturn), ("X: \r\r\n", .bareCarriageReturn), ("X: y\r", .bareCarriageReturn), ("\rX: y", .bareCarriageReturn), ("A: b\r\n\rX", .bareCarriageReturn),
        ("X: a\u{0}b", .fieldValueControl), ("X: \u{1}", .fieldValueControl), ("X: a\u{b}b", .fieldValueControl), ("X: a\u{c}b", .fieldValueControl),
        ("X: a\u{1b}[0m", .fieldValueControl), ("X: a\u{7f}b", .fieldValueControl), ("X: aaaaaaaaaaaaaaaaaaaaaa\u{8}", .fieldValueControl), ("Content-Length: 5\u{0}", .fieldValueControl),
    ])
    func malformedFieldLine(lines: String, error: RequestError) {
        #expect(readRequest("GET / HTTP/1.1\r\nHost: h\r\n" + lines + "\r\n\r\n").fault == error)
        #expect(readRequest("GET / HTTP/1.1\r\n" + lines + "\r\nHost: h\r\n\r\n").fault == error)
    }

    @Test("Every control byte but HTAB is refused in a value, wherever it stands", arguments: Array(0...31) + [127])
    func controlInValue(byte: UInt8) {
        for place in [0, 1, 7, 8, 9, 16, 23] {
            var value = [UInt8](repeating: UInt8(ascii: "a"), count: 24)
            value[place] = byte
            let reading = readRequest(Array("GET / HTTP/1.1\r\nHost: h\r\nX: ".utf8) + value + Array("\r\n\r\n".utf8))
            switch byte {
            case 9: #expect(reading.message != nil)
            case 10: #expect(reading.fault == .bareLineFeed)
            case 13: #expect(reading.fault == .bareCarriageReturn)
            default: #expect(reading.fault == .fieldValueControl)
            }
        }
    }

    @Test("Only letters, digits and hyphens can stand in a name", arguments: Array(UInt8.min...UInt8.max))
    func byteInName(byte: UInt8) {
        let isAllowed = (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte) || byte == 45
        for place in [0, 1, 7, 8, 15] where !(byte == 58 || (place == 0 && [9, 32].contains(byte))) {
            var name = [UInt8](repeating: UInt8(ascii: "n"), count: 16)
            name[place] = byte
            let reading = readRequest(Array("GET / HTTP/1.1\r\nHost: h\r\n".utf8) + name + Array(": v\r\n\r\n".utf8))
            #expect((reading.message != nil) == isAllowed)
            #expect(reading != .incomplete)
        }
    }

    @Test("Only visible ASCII without a fragment can stand in a target", arguments: Array(UInt8.min...UInt8.max))
    func byteInTarget(byte: UInt8) {
        let isAllowed = (0x21...0x7E).contains(byte) && byte != 0x23
        for place in [1, 2, 8, 9, 15] {
            var target = [UInt8](repeating: UInt8(ascii: "a"), count: 16)
            target[0] = UInt8(ascii: "/")
            target[place] = byte
            let reading = readRequest(Array("GET ".utf8) + target + Array(" HTTP/1.1\r\nHost: h\r\n\r\n".utf8))
            #expect((reading.message != nil) == isAllowed)
            #expect(reading != .incomplete)
        }
    }

    @Test("Host is required once, and is a name or an address with an optional port", arguments: [
        ("", RequestError.hostMissing), ("Hos: h", .hostMissing), ("Hostt: h", .hostMissing), ("X-Host: h", .hostMissing),
        ("Host: h\r\nHost: h", .hostDuplicate), ("Host: h\r\nhost: evil", .hostDuplicate), ("Host: h\r\nX: y\r\nHOST: h", .hostDuplicate),
        ("Host:", .hostInvalid), ("Host: ", .hostInvalid), ("Host: h h", .hostInvalid), ("Host: h, i", .hostInvalid), ("Host: h/", .hostInvalid),
        ("Host: h:", .hostInvalid), ("Host: h:x", .hostInvalid), ("Host: h:123456", .hostInvalid), ("Host: h:65536", .hostInvalid), ("Host: h:80:80", .hostInvalid),
        ("Host: h:-1", .hostInvalid), ("Host: :80", .hostInvalid), ("Host: u@h", .hostInvalid), ("Host: http://h", .hostInvalid), ("Host: h_i", .hostInvalid),
        ("Host: [::1", .hostInvalid), ("Host: []", .hostInvalid), ("Host: [::1]x", .hostInvalid), ("Host: [::1]:", .hostInvalid), ("Host: ::1", .hostInvalid),
        ("Host: [::g]", .hostInvalid), ("Host: [fe80::1%25eth0]", .hostInvalid), ("Host: h%2e", .hostInvalid), ("Host: h\\i", .hostInvalid), ("Host: h?x", .hostInvalid),
        ("Host: h#x", .hostInvalid), ("Host: *", .hostInvalid), ("Host: h\ti", .hostInvalid), ("Host: h;i", .hostInvalid), ("Host: (h)", .hostInvalid), ("Host: h :80", .hostInvalid),
        ("Host: [::1]]", .hostInvalid), ("Host: [[::1]]", .hostInvalid), ("Host: 'h'", .hostInvalid), ("Host: h:8 0", .hostInvalid), ("Host: h:80.", .hostInvalid),
        ("Host: hé", .fieldValueNotASCII),
    ])
    func host(lines: String, error: RequestError) {
        #expect(readRequest("GET / HTTP/1.1\r\n" + (lines.isEmpty ? "" : lines + "\r\n") + "\r\n").fault == error)
        #expect(readRequest("GET / HTTP/1.0\r\n" + (lines.isEmpty ? "" : lines + "\r\n") + "\r\n").fault == error)
    }

    @Test("An absolute-form target must name the host that Host names", arguments: [
        ("http://h/", "i"), ("http://h:80/", "h"), ("http://h/", "h:80"), ("https://h.evil/", "h"), ("http://h./", "h"), ("http://hh/", "h"), ("http://[::1]/", "[::2]"), ("http://h\\/", "h"),
    ])
    func hostMismatch(target: String, host: String) {
        #expect(readRequest("GET \(target) HTTP/1.1\r\nHost: \(host)\r\n\r\n").fault == .hostMismatch)
    }

    @Test("Framing that could be read in two ways is refused", arguments: [
        ("Content-Length: 5\r\nTransfer-Encoding: chunked", RequestError.framingAmbiguous), ("Transfer-Encoding: chunked\r\nContent-Length: 5", .framingAmbiguous),
        ("Content-Length: 0\r\nTransfer-Encoding: chunked", .framingAmbiguous), ("transfer-encoding: chunked\r\nX: y\r\ncontent-length: 0", .framingAmbiguous),
        ("Content-Length: 5\r\nContent-Length: 5", .contentLengthDuplicate), ("Content-Length: 5\r\nContent-Length: 6", .contentLengthDuplicate),
        ("content-length: 0\r\nCONTENT-LENGTH: 0", .contentLengthDuplicate),
        ("Content-Length:", .contentLengthInvalid), ("Content-Length: ", .contentLengthInvalid), ("Content-Length: 5, 5", .contentLengthInvalid), ("Content-Length: 5,6", .contentLengthInvalid),
        ("Content-Length: +5", .contentLengthInvalid), ("Content-Length: -5", .contentLengthInvalid), ("Content-Length: 0x5", .contentLengthInvalid), ("Content-Length: 5a", .contentLengthInvalid),
        ("Content-Length: 5.0", .contentLengthInvalid), ("Content-Length: 5 5", .contentLengthInvalid), ("Content-Length: 1e3", .contentLengthInvalid), ("Content-Length: 1_000", .contentLengthInvalid),
        ("Content-Length: 0000000000000000005", .contentLengthInvalid), ("Content-Length: 9999999999999999999", .contentLengthInvalid), ("Content-Length: 18446744073709551617", .contentLengthInvalid),
        ("Content-Length: \"5\"", .contentLengthInvalid), ("Content-Length: ;5", .contentLengthInvalid), ("Content-Length: ٥", .fieldValueNotASCII), ("Content-Length: 5\u{a0}", .fieldValueNotASCII),
        ("Transfer-Encoding: gzip", .transferEncodingInvalid), ("Transfer-Encoding: gzip, chunked", .transferEncodingInvalid), ("Transfer-Encoding: chunked, gzip", .transferEncodingInvalid),
        ("Transfer-Encoding: chunked, chunked", .transferEncodingInvalid), ("Transfer-Encoding: chunked,", .transferEncodingInvalid), ("Transfer-Encoding: ,chunked", .transferEncodingInvalid),
        ("Transfer-Encoding: xchunked", .transferEncodingInvalid), ("Transfer-Encoding: chunkedx", .transferEncodingInvalid), ("Transfer-Encoding: chunked;q=1", .transferEncodingInvalid),
        ("Transfer-Encoding: \"chunked\"", .transferEncodingInvalid), ("Transfer-Encoding: identity", .transferEncodingInvalid), ("Transfer-Encoding:", .transferEncodingInvalid),
        ("Transfer-Encoding: chunke", .transferEncodingInvalid), ("Transfer-Encoding: chun ked", .transferEncodingInvalid), ("Transfer-Encoding: 'chunked'", .transferEncodingInvalid),
        ("Transfer-Encoding: cow\r\nTransfer-Encoding: chunked", .transferEncodingInvalid), ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", .transferEncodingDuplicate),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", .transferEncodingDuplicate), ("Transfer-Encoding: chunked\u{b}", .fieldValueControl),
        ("Transfer-Encoding: chun\u{212a}ed", .fieldValueNotASCII), ("Transfer-Encoding: \u{a0}chunked", .fieldValueNotASCII),
    ])
    func framing(lines: String, error: RequestError) {
        #expect(readRequest("POST / HTTP/1.1\r\nHost: h\r\n" + lines + "\r\n\r\n").fault == error)
    }

    @Test("HTTP/1.0 knows no Transfer-Encoding")
    func transferEncodingInHTTP10() {
        #expect(readRequest("POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n").fault == .transferEncodingInHTTP10)
    }

    @Test("A field that a decision reads comes once and in ASCII", arguments: [
        ("Authorization: Bearer a\r\nAuthorization: Bearer b", RequestError.authorizationDuplicate), ("authorization: a\r\nX: y\r\nAUTHORIZATION: a", .authorizationDuplicate),
        ("Content-Type: a/b\r\nContent-Type: a/b", .contentTypeDuplicate), ("Expect: 100-continue\r\nExpect: 100-continue", .expectDuplicate),
        ("Authorization: Bearer é", .fieldValueNotASCII), ("Cookie: a=é", .fieldValueNotASCII), ("Content-Type: é", .fieldValueNotASCII), ("Origin: https://é", .fieldValueNotASCII),
        ("Connection: é", .fieldValueNotASCII), ("X-Forwarded-For: é", .fieldValueNotASCII), ("X-Auth-Subject: é", .fieldValueNotASCII), ("X-Api-Key: é", .fieldValueNotASCII),
        ("X-Request-Id: é", .fieldValueNotASCII), ("Upgrade: é", .fieldValueNotASCII), ("Expect: é", .fieldValueNotASCII), ("Sec-Fetch-Mode: é", .fieldValueNotASCII), ("Forwarded: é", .fieldValueNotASCII),
        ("Expect: 200-ok", .expectationUnsupported), ("Expect: ", .expectationUnsupported), ("Expect: 100-continue, x", .expectationUnsupported), ("Expect: 100-continue;x", .expectationUnsupported),
    ])
    func decisiveField(lines: String, error: RequestError) {
        #expect(readRequest("POST / HTTP/1.1\r\nHost: h\r\n" + lines + "\r\n\r\n").fault == error)
    }

    @Test("Connection cannot take a protected field away, in whatever case or place", arguments: [
        "host", "Host", "authorization", "Authorization", "cookie", "content-length", "transfer-encoding", "content-type", "origin", "x-request-id", "X-Forwarded-For", "x-forwarded-proto",
        "x-forwarded-host", "X-FORWARDED", "x-auth-subject", "x-auth-groups", "forwarded", "x-real-ip", "x-envoy-original-path", "x-original-url", "x-amzn-trace-id", "true-client-ip",
        "close, authorization", "keep-alive,\tx-auth-email", ", ,cookie,", "close\r\nConnection: x-auth-subject", "upgrade, X-Real-IP",
    ])
    func connectionNamesProtected(value: String) {
        #expect(readRequest("GET / HTTP/1.1\r\nHost: h\r\nConnection: \(value)\r\n\r\n").fault == .connectionNamesProtected)
    }

    @Test("Connection is a list of at most 32 tokens", arguments: [
        "a b", "close;x", "\"close\"", "close, (x)", "a/b", "x=y", Array(repeating: "x", count: 33).joined(separator: ","), "close\r\nConnection: a b",
    ])
    func connectionInvalid(value: String) {
        #expect(readRequest("GET / HTTP/1.1\r\nHost: h\r\nConnection: \(value)\r\n\r\n").fault == .connectionInvalid)
    }

    @Test("An upgrade is one list of protocols, and comes without a body", arguments: [
        ("Upgrade: ", RequestError.upgradeInvalid), ("Upgrade: ,", .upgradeInvalid), ("Upgrade: web socket", .upgradeInvalid), ("Upgrade: a/b/c", .upgradeInvalid), ("Upgrade: /1", .upgradeInvalid),
        ("Upgrade: a/", .upgradeInvalid), ("Upgrade: \"a\"", .upgradeInvalid), ("Upgrade: websocket\r\nUpgrade: websocket", .upgradeInvalid), ("Upgrade: websocket, a b", .upgradeInvalid),
        ("Upgrade: h2c, a b", .upgradeInvalid), ("Upgrade: websocket\r\nContent-Length: 1", .upgradeWithBody), ("Upgrade: websocket\r\nTransfer-Encoding: chunked", .upgradeWithBody),
    ])
    func upgrade(lines: String, error: RequestError) {
        #expect(readRequest("GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\n\(lines)\r\n\r\n").fault == error)
    }

    @Test("Each error has the status of its kind, and its own name for the log")
    func statuses() {
        let statuses: Set = [400, 405, 414, 417, 431, 501, 505]
        for error in RequestError.allCases { #expect(statuses.contains(error.status)) }
        #expect(Set(RequestError.allCases.map(\.rawValue)).count == RequestError.allCases.count)
        #expect(RequestError.methodTrace.status == 405)
        #expect(RequestError.methodConnect.status == 501)
        #expect(RequestError.methodUnknown.status == 501)
        #expect(RequestError.versionUnsupported.status == 505)
        #expect(RequestError.targetTooLong.status == 414)
        #expect(RequestError.expectationUnsupported.status == 417)
        #expect([RequestError.fieldTooLarge, .tooManyFields, .headTooLarge].allSatisfy { $0.status == 431 })
        #expect(RequestError.framingAmbiguous.status == 400)
    }

    @Test("A refused connection stays refused until it is reset")
    func failureStays() throws {
        var parser = RequestParser(limits: RequestLimits())
        var head = RequestHead()
        let bad = Array("GET  ".utf8)
        let good = Array("GET / HTTP/1.1\r\nHost: h\r\n\r\n".utf8)
        #expect(throws: RequestError.requestLineMalformed) { try parser.parse(bad.span, into: &head) }
        #expect(throws: RequestError.requestLineMalformed) { try parser.parse(good.span, into: &head) }
        parser.reset()
        #expect(try parser.parse(good.span, into: &head))
    }
}
