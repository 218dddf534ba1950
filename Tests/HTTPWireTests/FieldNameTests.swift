import GatewayTerms
import Testing

@Suite("FieldName by its bytes")
struct FieldNameTests {
    private func field(_ name: String) -> FieldName {
        let bytes = Array(name.utf8)
        return FieldName(bytes.span)
    }

    @Test("Every name is told in every case", arguments: FieldName.allCases.filter { $0 != .other && $0 != .forwardedFamily })
    func allNames(expected: FieldName) {
        let name = expected.text.description
        #expect(field(name) == expected)
        #expect(field(name.uppercased()) == expected)
        #expect(field(name.prefix(1).uppercased() + name.dropFirst()) == expected)
    }

    @Test("A name that differs in one byte is another name", arguments: FieldName.allCases.filter { $0 != .other && $0 != .forwardedFamily })
    func neighbours(known: FieldName) {
        let name = Array(known.text.description.utf8)
        for index in name.indices {
            for byte in UInt8.min...UInt8.max where byte | 0x20 != name[index] || byte < 0x20 {
                var other = name
                other[index] = byte
                let found = FieldName(other.span)
                if found != .other, found != .forwardedFamily { #expect(found.text.description.utf8.elementsEqual(other.map { (65...90).contains($0) ? $0 | 0x20 : $0 })) }
                if byte < 0x20 || byte >= 0x80 { #expect(found == .other) }
            }
        }
        #expect(field(known.text.description + "s") != known)
        #expect(field("x" + known.text.description) != known)
        #expect(field(String(known.text.description.dropLast())) != known)
    }

    @Test("A family is told by its prefixes and names, whatever follows", arguments: FieldName.forwardedPrefixes.map(\.description) + FieldName.forwardedNames.map(\.description))
    func families(name: String) {
        #expect(field(name) == .forwardedFamily)
        #expect(field(name.uppercased()) == .forwardedFamily)
        guard FieldName.forwardedPrefixes.map(\.description).contains(name) else { return }
        for count in 1...40 { #expect(field(name.uppercased() + String(repeating: "q", count: count)) == .forwardedFamily) }
        #expect(field(String(name.dropLast())) == .other)
    }

    @Test("Other names are other names", arguments: [
        "", "x", "x-", "xx-forwarded-for", "x-forward", "y-forwarded-for", "x-author", "x-envoy", "x-amzn", "accept-language", "referer", "pragma", "x-custom", "x_forwarded_for", "forwardedx", "x-real-ipx", "hos", "hosts",
        "content-lengt", "content-lengths", "transfer-encodings", "a-name-of-more-than-twenty-four-bytes", "a-name-of-more-than-thirty-two-bytes", "content-length-content-length", "access-control-allow-headers", "access-control-bllow-origin", "te-", "\u{d}",
    ])
    func others(name: String) {
        #expect(field(name) == .other)
    }

    @Test("Equality tells every two fields apart")
    func equality() {
        for left in FieldName.allCases {
            for right in FieldName.allCases { #expect((left == right) == (left.rawValue == right.rawValue)) }
        }
        #expect(Set(FieldName.allCases).count == FieldName.allCases.count)
    }
}
