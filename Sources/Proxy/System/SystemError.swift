internal import Glibc

/// What a call of the system's refused, by its number (errno(3)).
package struct SystemError: Error, Equatable, Sendable, CustomStringConvertible {
    package let number: Int32

    package init(_ number: Int32) { self.number = number }

    /// In the system's words, such as "No space left on device".
    package var description: String { SystemError.text(number) }

    package static func text(_ number: Int32) -> String {
        var buffer = [CChar](repeating: 0, count: 128)
        return unsafe buffer.withUnsafeMutableBufferPointer { buffer in
            guard let base = buffer.baseAddress, unsafe strerror_r(number, base, buffer.count) == 0 else { return "error \(number)" }
            return unsafe String(cString: base)
        }
    }
}
