import CNghttp2
import HTTP2

/// A session under test: frames go in, what the session tells and sends comes out.
final class Server {
    /// An event with the body bytes that it points to.
    enum Told: Equatable {
        case event(SessionEvent)
        case data(Int32, [UInt8])
    }

    var session: ServerSession
    var now: UInt64 = 1_000_000_000
    private(set) var told: [Told] = []
    private var inflater: OpaquePointer?

    init(_ limits: SessionLimits = SessionLimits(), greets: Bool = true) throws {
        session = try ServerSession(limits: limits)
        nghttp2_hd_inflate_new(&inflater)
        guard greets else { return }
        receive(Frame.preface + Frame.settings().bytes)
        _ = sent()
        receive([.settingsAcknowledgement])
        told = []
    }

    deinit { nghttp2_hd_inflate_del(inflater) }

    // The session cannot be copied, so that expectations ask here.
    var isFinished: Bool { session.isFinished }
    var wantsToSend: Bool { session.wantsToSend }
    var streamCount: Int { session.streamCount }
    var headBegan: UInt64? { session.headBegan }
    func pendingCount(_ stream: Int32) -> Int { session.pendingCount(stream) }
    func isFull(_ stream: Int32) -> Bool { session.isFull(stream) }

    /// Gives bytes to the session, cut where `cuts` says; collects the events.
    func receive(_ bytes: [UInt8], pieces: Int? = nil) {
        var position = 0
        while position < bytes.count {
            let end = min(bytes.count, position + (pieces ?? bytes.count))
            let piece = Array(bytes[position..<end])
            piece.withUnsafeBytes { session.receive($0, at: now) }
            collect(piece)
            position = end
        }
    }

    func receive(_ frames: [Frame]) { receive(frames.flatMap(\.bytes)) }

    private func collect(_ bytes: [UInt8]) {
        while let event = session.nextEvent() {
            if case .data(let stream, let range) = event { told.append(.data(stream, Array(bytes[range]))) } else { told.append(.event(event)) }
        }
    }

    /// All bytes that the session wants to send.
    func sentBytes(room: Int = ServerSession.sendRoomMin) -> [UInt8] {
        var all: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: room)
        while session.wantsToSend {
            let count = buffer.withUnsafeMutableBytes { session.send(into: $0, at: now) }
            all += buffer[0..<count]
            if count == 0 { break }
        }
        collect([])
        return all
    }

    func sent() -> [Frame] { Frame.read(sentBytes()) }

    /// The events since the last call.
    func events() -> [SessionEvent] {
        defer { told = [] }
        return told.compactMap { if case .event(let event) = $0 { event } else { nil } }
    }

    var body: [UInt8] { told.flatMap { if case .data(_, let bytes) = $0 { bytes } else { [UInt8]() } } }

    /// The heads of requests that came, as `name: value` lines.
    func heads() -> [[String]] {
        events().compactMap { if case .requestHead(_, let fields, _) = $0 { Self.lines(fields) } else { nil } }
    }

    static func lines(_ fields: HeadFields) -> [String] {
        fields.lines.map { "\(String(decoding: fields.bytes[$0.name], as: UTF8.self)): \(String(decoding: fields.bytes[$0.value], as: UTF8.self))" }
    }

    /// Decodes the header block of a frame that the session has sent.
    func decode(_ frame: Frame) -> [String] {
        var lines: [String] = []
        frame.payload.withUnsafeBufferPointer { bytes in
            var position = bytes.baseAddress
            var left = bytes.count
            while true {
                var pair = nghttp2_nv()
                var flags: Int32 = 0
                let count = nghttp2_hd_inflate_hd2(inflater, &pair, &flags, position, left, 1)
                guard count >= 0 else { return lines.append("error \(count)") }
                position = position.map { $0 + count }
                left -= count
                if UInt32(flags) & NGHTTP2_HD_INFLATE_EMIT.rawValue != 0 {
                    let name = String(decoding: UnsafeBufferPointer(start: pair.name, count: pair.namelen), as: UTF8.self)
                    let value = String(decoding: UnsafeBufferPointer(start: pair.value, count: pair.valuelen), as: UTF8.self)
                    lines.append("\(name): \(value)")
                }
                if UInt32(flags) & NGHTTP2_HD_INFLATE_FINAL.rawValue != 0 {
                    nghttp2_hd_inflate_end_headers(inflater)
                    return
                }
                if UInt32(flags) & NGHTTP2_HD_INFLATE_EMIT.rawValue == 0, left == 0 { return }
            }
        }
        return lines
    }

    func respond(_ stream: Int32, status: Int = 200, _ fields: [(String, String)] = [], body: [UInt8]? = nil, endsStream: Bool = true, trailers: [(String, String)] = []) {
        var head = HeadFields()
        head.begin(status: status)
        for (name, value) in fields { head.append(name: Array(name.utf8).span, value: Array(value.utf8).span) }
        session.submitHead(stream, head, endsStream: body == nil && endsStream)
        if let body { session.submitData(stream, body.span) }
        guard endsStream, body != nil else { return }
        var end = HeadFields()
        for (name, value) in trailers { end.append(name: Array(name.utf8).span, value: Array(value.utf8).span) }
        session.endStream(stream, trailers: trailers.isEmpty ? nil : end)
    }
}

extension [Frame] {
    /// The code of the GOAWAY that ends the connection.
    var goAwayCode: ErrorCode? {
        let codes = filter { $0.kind == .goAway }.compactMap { ErrorCode(rawValue: $0.number(at: 4)) }
        return codes.last
    }
    func resetCode(_ stream: UInt32) -> ErrorCode? {
        first { $0.kind == .resetStream && $0.stream == stream }.flatMap { ErrorCode(rawValue: $0.number()) }
    }
    func dataCount(_ stream: UInt32) -> Int { filter { $0.kind == .data && $0.stream == stream }.reduce(0) { $0 + $1.payload.count } }
}
