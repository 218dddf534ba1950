/// A property that does not count when two values are compared: two configurations are equal when they mean the same,
/// wherever their parts stand. What a reload must touch is decided by that equality (F5).
@propertyWrapper
package struct Incidental<Value: Sendable>: Sendable, Equatable {
    package var wrappedValue: Value

    package init(wrappedValue: Value) { self.wrappedValue = wrappedValue }

    package static func == (left: Incidental, right: Incidental) -> Bool { true }
}
