import Foundation
import Synchronization

/// An HTTP/1.1 server on loopback that answers each request by a script of raw bytes and mishaps, and records what it was sent.
package final class ScriptedServer: Sendable {
    package enum Step: Sendable {
        case send(String)
        case sendBytes([UInt8])
        /// So many bytes of `x`, as fast as the peer takes them.
        case flood(Int)
        /// Waits until the gate opens or the server stops.
        case await(Gate)
        /// Says nothing more until the server stops or the peer leaves.
        case hold
        case close
        /// Ends the connection with RST instead of FIN.
        case reset
    }

    package struct Request: Sendable, Equatable {
        /// Which connection it came on, from 0.
        package let connection: Int
        package let method: String
        package let target: String
        package let fields: [String]
        package let body: String
    }

    /// Opened once, from the test.
    package final class Gate: Sendable {
        private let isOpened = Atomic<Bool>(false)
        package init() {}
        package func open() { isOpened.store(true, ordering: .sequentiallyConsistent) }
        package var isOpen: Bool { isOpened.load(ordering: .sequentiallyConsistent) }
    }

    private struct State {
        var requests: [Request] = []
        var connections: [Int32] = []
        var accepted = 0
        var isStopped = false
    }

    package let port: UInt16
    private let listener: Int32
    private let state = Mutex(State())
    private let script: @Sendable (Request) -> [Step]

    /// - Parameters:
    ///   - port: 0 for any that is free.
    ///   - script: what to do for a request; the connection stays open for the next one unless a step ends it.
    package init(port: UInt16 = 0, script: @escaping @Sendable (Request) -> [Step]) throws {
        self.script = script
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var one: Int32 = 1
        setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, socklen_t(MemoryLayout<Int32>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let listener = listener
        let isBound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                bind(listener, address, length) == 0 && listen(listener, 128) == 0 && getsockname(listener, address, &length) == 0
            }
        }
        guard isBound else {
            Foundation.close(listener)
            throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EADDRINUSE)
        }
        self.port = UInt16(bigEndian: address.sin_port)
        Thread.detachNewThread { [self] in acceptAll() }
    }

    package var url: String { "http://127.0.0.1:\(port)" }
    package var requests: [Request] { state.withLock(\.requests) }
    package var connectionsAccepted: Int { state.withLock(\.accepted) }

    /// Closes the port and all connections.
    package func stop() {
        let connections: [Int32] = state.withLock { state in
            guard !state.isStopped else { return [] }
            state.isStopped = true
            // Wakes `accept`, which then closes the descriptor.
            shutdown(listener, Int32(SHUT_RDWR))
            return state.connections
        }
        for connection in connections { shutdown(connection, Int32(SHUT_RDWR)) }
    }

    package static func answer(_ status: String = "200 OK", fields: [String] = [], _ body: String) -> Step {
        .send((["HTTP/1.1 \(status)", "Content-Length: \(body.utf8.count)"] + fields).joined(separator: "\r\n") + "\r\n\r\n" + body)
    }

    package static func answer(_ body: String) -> Step { answer("200 OK", fields: [], body) }

    private var isStopped: Bool { state.withLock(\.isStopped) }

    private func acceptAll() {
        while true {
            let connection = accept(listener, nil, nil)
            guard connection >= 0, !isStopped else {
                if connection >= 0 { Foundation.close(connection) }
                break
            }
            let number = state.withLock { state in
                state.connections.append(connection)
                state.accepted += 1
                return state.accepted - 1
            }
            Thread.detachNewThread { [self] in
                serve(connection, number: number)
                state.withLock { state in
                    state.connections.removeAll { $0 == connection }
                    Foundation.close(connection)
                }
            }
        }
        Foundation.close(listener)
    }

    private func serve(_ connection: Int32, number: Int) {
        var buffer: [UInt8] = []
        while let request = read(connection, &buffer, number: number) {
            state.withLock { $0.requests.append(request) }
            for step in script(request) {
                guard perform(step, on: connection) else { return }
            }
        }
    }

    /// False when the connection is over.
    private func perform(_ step: Step, on connection: Int32) -> Bool {
        switch step {
        case .send(let text): return write(Array(text.utf8), to: connection)
        case .sendBytes(let bytes): return write(bytes, to: connection)
        case .flood(let count):
            let piece = [UInt8](repeating: UInt8(ascii: "x"), count: 16 * 1024)
            var rest = count
            while rest > 0 {
                guard write(Array(piece.prefix(rest)), to: connection) else { return false }
                rest -= min(rest, piece.count)
            }
            return true
        case .await(let gate):
            while !gate.isOpen, !isStopped { usleep(1000) }
            return !isStopped
        case .hold:
            var byte: UInt8 = 0
            while recv(connection, &byte, 1, 0) > 0 {}
            return false
        case .close:
            return false
        case .reset:
            var linger = linger(l_onoff: 1, l_linger: 0)
            setsockopt(connection, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout.size(ofValue: linger)))
            return false
        }
    }

    private func write(_ bytes: [UInt8], to connection: Int32) -> Bool {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes { send(connection, $0.baseAddress! + sent, bytes.count - sent, Int32(MSG_NOSIGNAL)) }
            guard count > 0 else { return false }
            sent += count
        }
        return true
    }

    private func read(_ connection: Int32, _ buffer: inout [UInt8], number: Int) -> Request? {
        var piece = [UInt8](repeating: 0, count: 16 * 1024)
        while true {
            if let request = Self.parse(&buffer, number: number) { return request }
            let count = recv(connection, &piece, piece.count, 0)
            guard count > 0 else { return nil }
            buffer += piece[..<count]
        }
    }

    private static func parse(_ buffer: inout [UInt8], number: Int) -> Request? {
        let text = String(decoding: buffer, as: UTF8.self)
        guard let end = text.range(of: "\r\n\r\n") else { return nil }
        let lines = text[..<end.lowerBound].components(separatedBy: "\r\n")
        let length = lines.lazy.compactMap { line -> Int? in
            let parts = line.split(separator: ":", maxSplits: 1)
            return parts.count == 2 && parts[0].lowercased() == "content-length" ? Int(parts[1].trimmingCharacters(in: .whitespaces)) : nil
        }.first ?? 0
        let headCount = text[..<end.upperBound].utf8.count
        guard buffer.count >= headCount + length else { return nil }
        let body = String(decoding: buffer[headCount..<headCount + length], as: UTF8.self)
        buffer.removeFirst(headCount + length)
        let words = lines[0].split(separator: " ").map(String.init)
        return Request(connection: number, method: words.first ?? "", target: words.dropFirst().first ?? "", fields: Array(lines.dropFirst()), body: body)
    }
}
