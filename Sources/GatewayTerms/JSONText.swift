/// Writes JSON (RFC 8259) whose members stand in the order in which they are added, so that the same facts give the same
/// bytes: entity tags, tests and people rely on it.
package struct JSONText: Sendable {
    package private(set) var text = "{"
    private var isFirst = true

    private init() {}

    /// One object; `members` adds what is in it.
    package static func object(_ members: (inout JSONText) -> Void) -> String {
        var object = JSONText()
        members(&object)
        return object.text + "}"
    }

    /// `null` when there is no value.
    package mutating func member(_ name: String, _ value: String?) {
        member(name, json: value.map(JSONText.quoted) ?? "null")
    }

    package mutating func member(_ name: String, _ value: some BinaryInteger) {
        member(name, json: String(value))
    }

    package mutating func member(_ name: String, _ values: [String]) {
        member(name, json: "[" + values.map(JSONText.quoted).joined(separator: ",") + "]")
    }

    package mutating func member(_ name: String, _ values: [some BinaryInteger]) {
        member(name, json: "[" + values.map { String($0) }.joined(separator: ",") + "]")
    }

    /// `value` is JSON already: an object, or `null`.
    package mutating func member(_ name: String, json value: String) {
        if !isFirst { text += "," }
        isFirst = false
        text += JSONText.quoted(name) + ":" + value
    }

    /// A string with its quotation marks. Control characters are escaped, also those above ASCII and the two line separators,
    /// which terminals, logs and scripts would act on.
    package static func quoted(_ text: String) -> String {
        var result = "\""
        let scalars = text.unicodeScalars
        // What needs no escape is copied run by run.
        var plain = scalars.startIndex
        var index = plain
        while index < scalars.endIndex {
            if let escape = escape(scalars[index]) {
                result += text[plain..<index]
                result += escape
                plain = scalars.index(after: index)
            }
            scalars.formIndex(after: &index)
        }
        result += text[plain...]
        return result + "\""
    }

    private static func escape(_ scalar: Unicode.Scalar) -> String? {
        switch scalar {
        case "\"": return "\\\""
        case "\\": return "\\\\"
        case "\n": return "\\n"
        case "\r": return "\\r"
        case "\t": return "\\t"
        case "\u{0}"..."\u{1f}", "\u{7f}"..."\u{9f}", "\u{2028}", "\u{2029}":
            let digits = String(scalar.value, radix: 16)
            return "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
        default: return nil
        }
    }
}
