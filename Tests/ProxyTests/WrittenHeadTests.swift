import HTTP2
@testable import Proxy
import Testing

@Suite("Heads written for HTTP/1.1, sent in HTTP/2")
struct WrittenHeadTests {
    private func lines(_ fields: HeadFields) -> [String] {
        fields.lines.map { "\(String(decoding: fields.bytes[$0.name], as: UTF8.self)): \(String(decoding: fields.bytes[$0.value], as: UTF8.self))" }
    }

    @Test("The status and every field pass, in order, with names in small letters and without what belongs to an HTTP/1.1 connection", arguments: [
        ("HTTP/1.1 200 OK\r\n\r\n", [":status: 200"]),
        ("HTTP/1.1 503 \r\nRetry-After: 1\r\n\r\n", [":status: 503", "retry-after: 1"]),
        ("HTTP/1.1 200 OK\r\nX-A: b: c\r\nx-empty: \r\nSet-Cookie: a=b\r\nset-cookie: c=d\r\n\r\n", [":status: 200", "x-a: b: c", "x-empty: ", "set-cookie: a=b", "set-cookie: c=d"]),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nConnection: close\r\nconnections: 2\r\n\r\n", [":status: 200", "connections: 2"]),
        ("HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n", [":status: 103", "link: </a>"]),
    ])
    func head(text: String, expected: [String]) {
        var fields = HeadFields()
        WrittenHead.read(Array(text.utf8), into: &fields)
        #expect(lines(fields) == expected)
    }

    @Test("Trailer lines are read likewise")
    func trailers() {
        var fields = HeadFields()
        WrittenHead.readLines(Array("X-Sum: 7\r\netag: \"a\"\r\n".utf8), into: &fields)
        #expect(lines(fields) == ["x-sum: 7", "etag: \"a\""])
    }

    @Test("Text that is cut anywhere is read without a trap", arguments: 0..<40)
    func cut(count: Int) {
        var fields = HeadFields()
        WrittenHead.read(Array("HTTP/1.1 200 OK\r\na: b\r\ntransfer-encoding: c\r\n\r\n".utf8.prefix(count)), into: &fields)
        #expect(lines(fields).first?.hasPrefix(":status: ") == true)
    }
}
