/// Where something stands in a configuration file: what every diagnostic begins with.
package struct SourceLocation: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// The file as it was named: the command line's path, or one resolved against the file that names it.
    package let file: String
    /// Counted from 1; 0 when the file as a whole is meant (it is missing, say).
    package let line: Int
    /// Counted from 1, in Unicode scalars; 0 when the file as a whole is meant.
    package let column: Int

    package init(file: String, line: Int, column: Int) {
        (self.file, self.line, self.column) = (file, line, column)
    }

    package static func < (left: SourceLocation, right: SourceLocation) -> Bool {
        (left.file, left.line, left.column) < (right.file, right.line, right.column)
    }

    package var description: String { line == 0 ? file : "\(file):\(line):\(column)" }
}

/// A value and the place that said it, for the faults that can be found only later (a key that does not match its
/// certificate, a name that does not resolve). Two are equal when their values are, wherever they stand.
package struct Located<Value: Sendable & Equatable>: Sendable, Equatable {
    package let value: Value
    package let location: SourceLocation

    package init(_ value: Value, at location: SourceLocation) {
        (self.value, self.location) = (value, location)
    }

    package static func == (left: Located, right: Located) -> Bool { left.value == right.value }
}
