internal import CNghttp2

/// What libnghttp2's callbacks write to: one object with a stable address for each session, their `user_data`.
///
/// Callbacks note what has happened, and nothing else: they never call into the session that calls them. What is then to be done stands in
/// ``chores`` and is done by ``ServerSession`` when the library has returned.
@safe final class SessionContext {
    /// What a callback found to be done.
    enum Chore {
        case submitTrailers(stream: Int32)
        case reset(stream: Int32, ErrorCode)
        /// Gives back to the connection's window what a closed stream did not consume.
        case consumeConnection(Int)
        /// Says STREAM_CLOSED on a stream that is over.
        case refuseClosed(stream: Int32)
    }

    let limits: SessionLimits
    var now: UInt64 = 0
    var events: [SessionEvent] = []
    var chores: [Chore] = []
    var streams: [Int32: StreamState] = [:]
    /// Body bytes that wait in all streams together.
    var pendingTotal = 0
    /// Streams that we have reset of our own accord.
    var ownResets: Set<Int32> = []
    /// Ends the connection.
    private(set) var fault: SessionFault?

    /// The bytes that are being received.
    private var inputStart: UnsafeRawPointer?
    private var inputCount = 0
    /// Where bytes to be sent go.
    private(set) var room = unsafe UnsafeMutableRawBufferPointer(start: nil, count: 0)
    private(set) var roomUsed = 0

    private var head = HeadFields()
    private var cookie: [UInt8] = []
    private var hasCookie = false
    private var fieldCount = 0
    private var headBytes = 0
    /// Since when a head is incomplete.
    private(set) var headBegan: UInt64?
    private var continuationCount = 0
    private var highestStream: Int32 = -1
    /// The streams that the client has left out last.
    private var passedOver: [Range<Int32>] = []
    private static let passedOverMax = 16
    private var endedByClient = EndedStreams()
    private var frameHeaders = FrameHeaders()
    /// The streams of the DATA frames that begin in the bytes that are being received, and how many of them have been accounted for.
    private var dataFrames: [Int32] = []
    private var dataFramesSeen = 0
    /// The client's SETTINGS_INITIAL_WINDOW_SIZE, and whether it has been raised while streams were open.
    private var clientWindow: UInt32 = 65_535
    private var clientWindowHasGrown = false
    /// A whole SETTINGS frame has come.
    var hasGreeted = false

    private var resets: Budget
    private var pings: Budget
    private var settings: Budget
    private var emptyFrames: Budget
    private var priorities: Budget
    private var windowUpdates: Budget

    init(limits: SessionLimits) {
        self.limits = limits
        resets = Budget(limits.resets)
        pings = Budget(limits.pings)
        settings = Budget(limits.settings)
        emptyFrames = Budget(limits.emptyFrames)
        priorities = Budget(limits.priorities)
        windowUpdates = Budget(limits.windowUpdates)
    }

    func fail(_ fault: SessionFault) {
        guard self.fault == nil else { return }
        self.fault = fault
        events.append(.failed(fault))
    }

    // MARK: Received

    func lend(_ input: UnsafeRawBufferPointer) {
        unsafe inputStart = input.baseAddress
        inputCount = input.count
        dataFrames.removeAll(keepingCapacity: true)
        dataFramesSeen = 0
        unsafe frameHeaders.read(input) { type, stream in
            if UInt32(type) == NGHTTP2_DATA.rawValue { dataFrames.append(stream) }
        }
    }

    func reclaimInput() {
        passOverData(upTo: nil)
        if let code = frameHeaders.settings.violation { fail(.violation(code: code.rawValue)) }
        unsafe inputStart = nil
        inputCount = 0
    }

    /// A frame begins.
    /// - Returns: `false` when the client has sent too many of its kind.
    func frameBegan(_ header: nghttp2_frame_hd) -> Bool {
        let isAcknowledgement = UInt32(header.flags) & NGHTTP2_FLAG_ACK.rawValue != 0
        let flood: SessionFault.Flood
        // Whatever comes next, the head before it is whole, though it may have been one that nobody is told of.
        if UInt32(header.type) != NGHTTP2_CONTINUATION.rawValue { headBegan = nil }
        switch UInt32(header.type) {
        case NGHTTP2_DATA.rawValue:
            passOverData(upTo: header.stream_id)
            // Padding hides an empty frame, so that a short padded one counts too.
            let isPadded = UInt32(header.flags) & NGHTTP2_FLAG_PADDED.rawValue != 0
            let ends = UInt32(header.flags) & NGHTTP2_FLAG_END_STREAM.rawValue != 0
            guard !ends, header.length == 0 || (isPadded && header.length < 257) else { return true }
            guard !emptyFrames.take(at: now) else { return true }
            flood = .emptyFrames
        case NGHTTP2_HEADERS.rawValue:
            continuationCount = 0
            refuseIfOver(header.stream_id)
            return streamIsExpected(header.stream_id)
        case NGHTTP2_CONTINUATION.rawValue:
            // The one frame whose size libnghttp2 does not check (RFC 9113 §4.2).
            guard header.length <= Self.framePayloadMax else {
                fail(.violation(code: ErrorCode.frameSizeError.rawValue))
                return false
            }
            // libnghttp2 counts too, but a frame whose header comes in pieces once for each piece.
            continuationCount += 1
            guard continuationCount > limits.continuationsMax else { return true }
            flood = .continuations
        case NGHTTP2_PRIORITY.rawValue:
            // Which libnghttp2 does not look at once there is no tree of priorities (RFC 9113 §6.3).
            guard header.stream_id != 0 else {
                fail(.violation(code: ErrorCode.protocolError.rawValue))
                return false
            }
            guard !priorities.take(at: now) else { return true }
            flood = .priorities
        case NGHTTP2_RST_STREAM.rawValue:
            guard !resets.take(at: now) else { return true }
            flood = .resets
        case NGHTTP2_SETTINGS.rawValue where !isAcknowledgement:
            guard !settings.take(at: now) else { return true }
            flood = .settings
        case NGHTTP2_PING.rawValue:
            guard !pings.take(at: now) else { return true }
            flood = .pings
        case NGHTTP2_WINDOW_UPDATE.rawValue:
            guard !windowUpdates.take(at: now) else { return true }
            flood = .windowUpdates
        default:
            return true
        }
        fail(.flood(flood))
        return false
    }

    /// HEADERS on a stream that the client has passed over is a connection error (RFC 9113 §5.1.1); libnghttp2 takes them for trailers that were
    /// late, since it does not remember closed streams.
    private func streamIsExpected(_ stream: Int32) -> Bool {
        guard stream > 0, stream % 2 == 1 else { return true }
        if stream > highestStream {
            let first = highestStream + 2
            highestStream = stream
            guard first < stream else { return true }
            if passedOver.count >= Self.passedOverMax { passedOver.removeFirst() }
            passedOver.append(first..<stream)
        } else if !passedOver.isEmpty, passedOver.contains(where: { $0.contains(stream) }) {
            fail(.violation(code: ErrorCode.protocolError.rawValue))
            return false
        }
        return true
    }

    /// The DATA frames before the next one of this stream are those that libnghttp2 has dropped.
    private func passOverData(upTo stream: Int32?) {
        while dataFramesSeen < dataFrames.count {
            let next = dataFrames[dataFramesSeen]
            dataFramesSeen += 1
            if next == stream { return }
            refuseIfOver(next)
        }
    }

    /// HEADERS or DATA on a stream that the client has ended and that is over (RFC 9113 §5.1, §6.1): libnghttp2 does not remember it.
    private func refuseIfOver(_ stream: Int32) {
        if streams[stream] == nil, endedByClient.remove(stream) { chores.append(.refuseClosed(stream: stream)) }
    }

    /// SETTINGS_MAX_FRAME_SIZE, which we leave at its first value.
    private static let framePayloadMax = 16_384

    /// A head comes in that somebody will be told of; libnghttp2 reads those of streams that are over without a word.
    func headersBegan() {
        if headBegan == nil { headBegan = now }
        head.removeAll()
        cookie.removeAll(keepingCapacity: true)
        hasCookie = false
        fieldCount = 0
        headBytes = 0
    }

    /// - Returns: `false` when the block is an attack and the connection must end.
    func fieldArrived(_ name: UnsafeBufferPointer<UInt8>, _ value: UnsafeBufferPointer<UInt8>) -> Bool {
        guard countField(name.count, value.count) else { return false }
        guard head.refusal == nil else { return true }
        if unsafe isCookie(name) {
            if hasCookie { cookie.append(contentsOf: [UInt8(ascii: ";"), UInt8(ascii: " ")]) }
            hasCookie = true
            unsafe cookie.append(contentsOf: value)
        } else {
            unsafe head.append(name, value)
        }
        return true
    }

    /// A field whose name or value libnghttp2 finds to be invalid: the head is refused whole.
    func invalidFieldArrived(_ name: UnsafeBufferPointer<UInt8>, _ valueCount: Int) -> Bool {
        guard countField(name.count, valueCount) else { return false }
        let isNameValid = unsafe nghttp2_check_header_name(name.baseAddress, name.count) != 0
        if head.refusal == nil { head.refusal = isNameValid ? .valueInvalid : .nameInvalid }
        return true
    }

    private func countField(_ nameCount: Int, _ valueCount: Int) -> Bool {
        fieldCount += 1
        guard fieldCount <= limits.fieldsBeforeClosing else {
            fail(.flood(.fields))
            return false
        }
        headBytes += nameCount + valueCount + 32
        if head.refusal == nil {
            if fieldCount > limits.fieldsMax { head.refusal = .tooManyFields } else if headBytes > limits.headBytesMax { head.refusal = .tooLarge }
        }
        return true
    }

    private func isCookie(_ name: UnsafeBufferPointer<UInt8>) -> Bool {
        guard name.count == 6, unsafe name[0] == UInt8(ascii: "c") else { return false }
        let text: StaticString = "cookie"
        return text.withUTF8Buffer { text in
            for index in 0..<6 where unsafe text[index] != name[index] { return false }
            return true
        }
    }

    private func takeHead() -> HeadFields {
        headBegan = nil
        if hasCookie, head.refusal == nil { head.append(cookie: cookie) }
        var taken = HeadFields()
        swap(&taken, &head)
        return taken
    }

    func frameArrived(_ frame: borrowing nghttp2_frame) {
        let header = unsafe frame.hd
        let stream = header.stream_id
        let ends = UInt32(header.flags) & NGHTTP2_FLAG_END_STREAM.rawValue != 0
        switch UInt32(header.type) {
        case NGHTTP2_HEADERS.rawValue:
            let fields = takeHead()
            if unsafe frame.headers.cat == NGHTTP2_HCAT_REQUEST {
                streams[stream] = StreamState(clientHasEnded: ends)
                events.append(.requestHead(stream: stream, fields: fields, endsStream: ends))
            } else if streams[stream] != nil, ends {
                streams[stream]?.clientHasEnded = true
                events.append(.requestEnded(stream: stream, trailers: fields))
            }
        case NGHTTP2_DATA.rawValue:
            guard ends, streams[stream] != nil else { return }
            streams[stream]?.clientHasEnded = true
            events.append(.requestEnded(stream: stream, trailers: nil))
        case NGHTTP2_RST_STREAM.rawValue:
            streams[stream]?.clientHasEnded = true
        case NGHTTP2_SETTINGS.rawValue:
            hasGreeted = true
            unsafe noteWindow(frame.settings)
        case NGHTTP2_PING.rawValue:
            if UInt32(header.flags) & NGHTTP2_FLAG_ACK.rawValue != 0 { events.append(.pingAcknowledged) }
        case NGHTTP2_GOAWAY.rawValue:
            events.append(.goAway(code: unsafe frame.goaway.error_code))
        default:
            break
        }
    }

    private func noteWindow(_ settings: nghttp2_settings) {
        for index in unsafe 0..<settings.niv {
            guard let setting = unsafe settings.iv?[index], setting.settings_id == Int32(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE.rawValue) else { continue }
            if setting.value > clientWindow, !streams.isEmpty { clientWindowHasGrown = true }
            clientWindow = setting.value
        }
    }

    func invalidFrameArrived(_ header: nghttp2_frame_hd) {
        guard UInt32(header.type) == NGHTTP2_HEADERS.rawValue else { return }
        headBegan = nil
        // Trailers of a stream that is known: its close tells.
        if streams[header.stream_id] == nil { events.append(.requestMalformed(stream: header.stream_id)) }
    }

    func dataArrived(_ stream: Int32, _ data: UnsafePointer<UInt8>, _ count: Int) {
        guard count > 0, let start = unsafe inputStart else { return }
        let offset = unsafe UnsafeRawPointer(data) - start
        guard streams[stream] != nil, offset >= 0, offset + count <= inputCount else {
            chores.append(.consumeConnection(count))
            return
        }
        streams[stream]?.unconsumed += count
        events.append(.data(stream: stream, range: offset..<offset + count))
    }

    func streamClosed(_ stream: Int32, _ code: UInt32) {
        guard let state = streams.removeValue(forKey: stream) else { return }
        if state.clientHasEnded { endedByClient.insert(stream) }
        pendingTotal -= state.pending.count
        if state.unconsumed > 0 { chores.append(.consumeConnection(state.unconsumed)) }
        events.append(.streamClosed(stream: stream, code: code))
    }

    // MARK: Sent

    func lend(_ room: UnsafeMutableRawBufferPointer) {
        unsafe self.room = room
        roomUsed = 0
    }

    func reclaimRoom() -> Int {
        unsafe room = UnsafeMutableRawBufferPointer(start: nil, count: 0)
        return roomUsed
    }

    var roomLeft: Int { unsafe room.count - roomUsed }

    /// Writes bytes that fit.
    func write(_ bytes: UnsafeRawBufferPointer) {
        guard let base = bytes.baseAddress, bytes.count <= roomLeft, let target = unsafe room.baseAddress else { return }
        unsafe (target + roomUsed).copyMemory(from: base, byteCount: bytes.count)
        roomUsed += bytes.count
    }

    enum DataAnswer { case bytes(Int, isLast: Bool, hasTrailers: Bool), none, failed }

    /// libnghttp2 asks how much of `wanted` bytes may be sent.
    func dataIsWanted(_ stream: Int32, _ wanted: Int) -> DataAnswer {
        guard let state = streams[stream] else { return .failed }
        let count = min(wanted, state.pending.count)
        let isLast = state.isEnding && count == state.pending.count
        guard count > 0 || isLast else {
            streams[stream]?.isDeferred = true
            return .none
        }
        return .bytes(count, isLast: isLast, hasTrailers: state.trailers != nil)
    }

    /// Writes a DATA frame. False when it does not fit now.
    func writeData(_ stream: Int32, header: UnsafePointer<UInt8>, count: Int, isLast: Bool) -> Bool {
        guard count >= 0, roomLeft >= count + Self.frameHeaderCount, let target = unsafe room.baseAddress else { return false }
        unsafe write(UnsafeRawBufferPointer(start: header, count: Self.frameHeaderCount))
        windowUpdates.earn(10)
        guard count > 0 else { return true }
        unsafe streams[stream]?.pending.take(count, into: target + roomUsed)
        roomUsed += count
        pendingTotal -= count
        streams[stream]?.sentCount &+= UInt64(count)
        if let state = streams[stream], state.isFull, state.pending.count < ServerSession.pendingLow {
            streams[stream]?.isFull = false
            events.append(.drained(stream: stream))
        }
        return true
    }

    static let frameHeaderCount = 9

    func frameSent(_ frame: borrowing nghttp2_frame) {
        let header = unsafe frame.hd
        let stream = header.stream_id
        switch UInt32(header.type) {
        case NGHTTP2_RST_STREAM.rawValue:
            // A stream that we had to reset costs the client as much as one that it resets itself.
            let code = unsafe frame.rst_stream.error_code
            guard ownResets.remove(stream) == nil, code != ErrorCode.noError.rawValue else { return }
            if !resets.take(at: now) { fail(.flood(.resets)) }
            // libnghttp2 resets the stream whose window a larger first window overflows; it has to end the connection (RFC 9113 §6.9.2).
            if code == ErrorCode.flowControlError.rawValue, clientWindowHasGrown { fail(.violation(code: code)) }
        case NGHTTP2_GOAWAY.rawValue:
            let code = unsafe frame.goaway.error_code
            if code != ErrorCode.noError.rawValue { fail(.violation(code: code)) }
        case NGHTTP2_DATA.rawValue, NGHTTP2_HEADERS.rawValue:
            guard streams[stream] != nil else { return }
            if UInt32(header.flags) & NGHTTP2_FLAG_END_STREAM.rawValue != 0 {
                streams[stream]?.hasEnded = true
                if let code = streams[stream]?.resetAfterEnd { chores.append(.reset(stream: stream, code)) }
            }
        default:
            break
        }
    }

    func frameNotSent(_ header: nghttp2_frame_hd) {
        // A head too long for one frame and its continuations, say: the client must not wait for it.
        guard UInt32(header.type) == NGHTTP2_HEADERS.rawValue, streams[header.stream_id] != nil else { return }
        chores.append(.reset(stream: header.stream_id, .internalError))
    }

    func trailersAreDue(_ stream: Int32) { chores.append(.submitTrailers(stream: stream)) }
}
