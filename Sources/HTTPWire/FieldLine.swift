package import GatewayTerms

/// One field line of a head (RFC 9112 §5): what it is, and where its name and value stand.
package struct FieldLine: Sendable, Equatable {
    package var field: FieldName
    package var name: Slice
    /// Without the blanks around it.
    package var value: Slice
    /// Meant for this connection only: by its name, or because `Connection` names it (RFC 9110 §7.6.1). Never forwarded.
    package var isHopByHop: Bool

    package init(field: FieldName, name: Slice, value: Slice, isHopByHop: Bool) {
        self.field = field
        self.name = name
        self.value = value
        self.isHopByHop = isHopByHop
    }
}

/// Which bytes a field name may hold.
package enum FieldNameRule: Sendable {
    /// Letters, digits and hyphens: what no program downstream can take for another name (B10). For requests.
    case strict
    /// Every token (RFC 9110 §5.6.2). For responses.
    case token
}
