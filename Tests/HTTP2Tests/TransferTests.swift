import CNghttp2
import HTTP2
import Testing

/// A client of libnghttp2's own, so that both sides of a transfer keep the protocol's books.
private final class Client {
    private(set) var session: OpaquePointer?
    var received: [Int32: Int] = [:]
    var statuses: [Int32: String] = [:]
    var closed: [Int32: UInt32] = [:]
    var toSend: [Int32: Int] = [:]

    init() {
        var callbacks: OpaquePointer?
        nghttp2_session_callbacks_new(&callbacks)
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks) { _, _, stream, _, count, me in
            Client.of(me).received[stream, default: 0] += count
            return 0
        }
        nghttp2_session_callbacks_set_on_header_callback(callbacks) { _, frame, name, nameCount, value, valueCount, _, me in
            if String(decoding: UnsafeBufferPointer(start: name, count: nameCount), as: UTF8.self) == ":status" {
                Client.of(me).statuses[frame!.pointee.hd.stream_id] = String(decoding: UnsafeBufferPointer(start: value, count: valueCount), as: UTF8.self)
            }
            return 0
        }
        nghttp2_session_callbacks_set_on_stream_close_callback(callbacks) { _, stream, code, me in
            Client.of(me).closed[stream] = code
            return 0
        }
        nghttp2_session_client_new(&session, callbacks, Unmanaged.passUnretained(self).toOpaque())
        nghttp2_session_callbacks_del(callbacks)
        nghttp2_submit_settings(session, 0, nil, 0)
    }

    deinit { nghttp2_session_del(session) }

    static func of(_ pointer: UnsafeMutableRawPointer?) -> Client { Unmanaged<Client>.fromOpaque(pointer!).takeUnretainedValue() }

    func request(method: String, bodyCount: Int?) -> Int32 {
        let fields = HeaderBlock.request(method: method)
        let bytes = fields.map { (Array($0.0.utf8), Array($0.1.utf8)) }
        var storage: [UnsafeMutablePointer<UInt8>] = []
        defer { storage.forEach { $0.deallocate() } }
        func copy(_ text: [UInt8]) -> UnsafeMutablePointer<UInt8> {
            let pointer = UnsafeMutablePointer<UInt8>.allocate(capacity: text.count)
            pointer.initialize(from: text, count: text.count)
            storage.append(pointer)
            return pointer
        }
        let pairs = bytes.map { nghttp2_nv(name: copy($0.0), value: copy($0.1), namelen: $0.0.count, valuelen: $0.1.count, flags: 0) }
        guard let bodyCount else { return nghttp2_submit_request(session, nil, pairs, pairs.count, nil, nil) }
        var provider = nghttp2_data_provider(source: nghttp2_data_source()) { _, stream, buffer, room, flags, _, me in
            let client = Client.of(me)
            let count = min(room, client.toSend[stream] ?? 0)
            buffer!.update(repeating: 5, count: count)
            client.toSend[stream, default: 0] -= count
            if client.toSend[stream] == 0 { flags!.pointee |= NGHTTP2_DATA_FLAG_EOF.rawValue }
            return count
        }
        let stream = nghttp2_submit_request(session, nil, pairs, pairs.count, &provider, nil)
        toSend[stream] = bodyCount
        return stream
    }

    func take() -> [UInt8] {
        var all: [UInt8] = []
        while true {
            var bytes: UnsafePointer<UInt8>?
            let count = nghttp2_session_mem_send(session, &bytes)
            guard count > 0 else { return all }
            all += UnsafeBufferPointer(start: bytes, count: count)
        }
    }

    func give(_ bytes: [UInt8]) -> Bool { nghttp2_session_mem_recv(session, bytes, bytes.count) == bytes.count }
}

@Suite("Transfers against libnghttp2's client")
struct TransferTests {
    /// Lets both sides speak until neither has anything to say.
    private func run(_ client: Client, _ server: Server, _ react: (Server) -> Void) -> Bool {
        for _ in 0..<100_000 {
            let up = client.take()
            server.receive(up)
            react(server)
            let down = server.sentBytes()
            if !down.isEmpty, !client.give(down) { return false }
            react(server)
            if up.isEmpty, down.isEmpty, !server.wantsToSend { return true }
        }
        return false
    }

    @Test("A megabyte goes down on each of ten streams, in pieces as there is room")
    func down() throws {
        let client = Client()
        let server = try Server(greets: false)
        let streams = (0..<10).map { _ in client.request(method: "GET", bodyCount: nil) }
        var left: [Int32: Int] = [:]
        var pendingMost = 0
        let piece = [UInt8](repeating: 9, count: 10_000)
        let isQuiet = run(client, server) { server in
            for event in server.events() {
                if case .requestHead(let stream, _, true) = event {
                    left[stream] = 1_000_000
                    server.respond(stream, body: [], endsStream: false)
                }
            }
            for (stream, count) in left {
                var count = count
                while count > 0, !server.isFull(stream) {
                    server.session.submitData(stream, piece.span)
                    count -= piece.count
                }
                pendingMost = max(pendingMost, server.pendingCount(stream))
                left[stream] = count
                if count == 0 {
                    server.session.endStream(stream)
                    left[stream] = nil
                }
            }
        }
        #expect(isQuiet)
        #expect(pendingMost < ServerSession.pendingHigh + piece.count)
        for stream in streams {
            #expect(client.received[stream] == 1_000_000)
            #expect(client.statuses[stream] == "200")
            #expect(client.closed[stream] == 0)
        }
        #expect(server.streamCount == 0)
    }

    @Test("A body goes up as fast as it is consumed, and one that is not consumed stops at its window and leaves the others room")
    func up() throws {
        let client = Client()
        let server = try Server(greets: false)
        let stuck = client.request(method: "POST", bodyCount: 500_000)
        let flowing = client.request(method: "POST", bodyCount: 3_000_000)
        var arrived: [Int32: Int] = [:]
        var counted = 0
        let isQuiet = run(client, server) { server in
            while counted < server.told.count {
                if case .data(let stream, let bytes) = server.told[counted] {
                    arrived[stream, default: 0] += bytes.count
                    if stream == flowing { server.session.consume(stream, bytes.count) }
                }
                counted += 1
            }
        }
        #expect(isQuiet)
        #expect(arrived[stuck] == 65_536)
        #expect(arrived[flowing] == 3_000_000)
        #expect(server.events().contains(.requestEnded(stream: flowing, trailers: nil)))
    }
}
