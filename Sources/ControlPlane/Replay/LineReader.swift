internal import Glibc
internal import Proxy

/// Reads a file line by line in bounded memory; `-` is standard input.
struct LineReader: ~Copyable {
    private let descriptor: Int32
    private let owns: Bool
    private let bytesMax: Int
    private var buffer: [UInt8] = []
    private var start = 0
    private var isAtEnd = false

    /// - Parameter bytesMax: of a line; a longer one is given as `tooLong` and skipped.
    init(path: String, bytesMax: Int) throws(SystemError) {
        owns = path != "-"
        descriptor = owns ? unsafe open(path, O_RDONLY | O_CLOEXEC) : STDIN_FILENO
        guard descriptor >= 0 else { throw SystemError(errno) }
        self.bytesMax = bytesMax
    }

    deinit { if owns { close(descriptor) } }

    enum Line { case bytes([UInt8]), tooLong, failed(String) }

    /// `nil` at the end.
    mutating func next() -> Line? {
        var isTooLong = false
        while true {
            if let end = buffer[start...].firstIndex(of: UInt8(ascii: "\n")) {
                defer { start = end + 1 }
                return isTooLong ? .tooLong : .bytes(Array(buffer[start..<end]))
            }
            if isAtEnd {
                guard start < buffer.count || isTooLong else { return nil }
                defer { start = buffer.count }
                return isTooLong ? .tooLong : .bytes(Array(buffer[start...]))
            }
            buffer.removeSubrange(..<start)
            start = 0
            if buffer.count > bytesMax {
                isTooLong = true
                buffer.removeAll(keepingCapacity: true)
            }
            if let reason = fill() { return .failed(reason) }
        }
    }

    /// Why nothing could be read; `nil` also at the end.
    private mutating func fill() -> String? {
        var piece = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = unsafe read(descriptor, &piece, piece.count)
            if count > 0 { buffer += piece[..<count] } else if count == 0 { isAtEnd = true } else if errno == EINTR { continue } else {
                isAtEnd = true
                return SystemError.text(errno)
            }
            return nil
        }
    }
}
