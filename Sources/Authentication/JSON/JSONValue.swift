/// One JSON value (RFC 8259 §3), as `StrictJSON` reads it.
package enum JSONValue: Sendable, Equatable {
    case null
    case bool(Bool)
    /// A number without fraction and exponent that fits 64 bits.
    case integer(Int64)
    /// Any other number; always finite.
    case number(Double)
    case string(String)
    case array([JSONValue])
    case object(JSONObject)

    package var string: String? {
        if case .string(let text) = self { text } else { nil }
    }
    package var integer: Int64? {
        if case .integer(let number) = self { number } else { nil }
    }
    package var array: [JSONValue]? {
        if case .array(let values) = self { values } else { nil }
    }
    package var object: JSONObject? {
        if case .object(let object) = self { object } else { nil }
    }
    /// The members of an array of texts; nil where anything else stands in it.
    package var strings: [String]? {
        guard case .array(let values) = self else { return nil }
        var texts: [String] = []
        texts.reserveCapacity(values.count)
        for value in values {
            guard case .string(let text) = value else { return nil }
            texts.append(text)
        }
        return texts
    }
}

/// A JSON object whose names are all different, in the order in which they were written.
package struct JSONObject: Sendable, Equatable {
    package struct Member: Sendable, Equatable {
        package let name: String
        package let value: JSONValue
    }

    package let members: [Member]

    package subscript(_ name: String) -> JSONValue? {
        for index in members.indices where members[index].name.hasSameBytes(as: name) { return members[index].value }
        return nil
    }

    package func has(_ name: String) -> Bool { self[name] != nil }
}
