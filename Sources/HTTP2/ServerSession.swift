internal import CNghttp2

/// The server's side of one HTTP/2 connection (RFC 9113): the one owner of an `nghttp2_session`. Bytes in, events out; actions in, bytes out.
/// No sockets, no clock, no threads.
///
///     bytes ─► receive ─► nextEvent … ─► submitHead, submitData, endStream, consume, reset … ─► send ─► bytes
///
/// What a client sends is held to RFC 9113 and RFC 7541 by libnghttp2; what it may send too much of, by ``SessionLimits``.
@safe package struct ServerSession: ~Copyable {
    private let session: OpaquePointer
    private let context: SessionContext
    /// What libnghttp2 gave and the caller had no room for.
    private var leftover: [UInt8] = []
    private var pairs: [nghttp2_nv] = unsafe []
    private var nextEventIndex = 0
    private var isShuttingDown = false

    /// Pending body bytes of a stream at which `isFull` becomes true, and below which `drained` comes.
    package static let pendingHigh = 64 * 1024
    package static let pendingLow = 12 * 1024
    /// Over so many in all streams together a stream is full at `pendingFloor`, so that many slow streams do not add up.
    package static let pendingTotalMax = 1024 * 1024
    package static let pendingFloor = 16 * 1024
    /// Room that `send` needs to make progress with a whole frame.
    package static let sendRoomMin = 16_384 + 9

    package init(limits: SessionLimits = SessionLimits()) throws(SessionFault) {
        let context = SessionContext(limits: limits)
        let session = unsafe try Self.open(context, limits)
        unsafe self.init(session, context)
    }

    private init(_ session: OpaquePointer, _ context: SessionContext) {
        unsafe self.session = session
        self.context = context
    }

    private static func open(_ context: SessionContext, _ limits: SessionLimits) throws(SessionFault) -> OpaquePointer {
        var option: OpaquePointer?
        let memoryFault = SessionFault.library(code: NGHTTP2_ERR_NOMEM.rawValue)
        guard unsafe nghttp2_option_new(&option) == 0, let option = unsafe option else { throw memoryFault }
        defer { unsafe nghttp2_option_del(option) }
        unsafe nghttp2_option_set_no_auto_window_update(option, 1)
        unsafe nghttp2_option_set_no_closed_streams(option, 1)
        unsafe nghttp2_option_set_max_outbound_ack(option, max(1, limits.acknowledgementsMax))
        unsafe nghttp2_option_set_max_settings(option, max(1, limits.settingsMax))
        unsafe nghttp2_option_set_max_continuations(option, max(1, limits.continuationsMax) &* 10)
        unsafe nghttp2_option_set_max_send_header_block_length(option, sentHeadBytesMax)
        // Far behind our own budget, which follows the clock that it is given.
        unsafe nghttp2_option_set_stream_reset_rate_limit(option, 1_000_000, 1_000_000)
        var session: OpaquePointer?
        let me = unsafe Unmanaged.passUnretained(context).toOpaque()
        let outcome = unsafe nghttp2_session_server_new2(&session, SessionCallbacks.shared.pointer, me, option)
        guard outcome == 0, let session = unsafe session else { throw .library(code: outcome) }
        let settings = [
            nghttp2_settings_entry(settings_id: Int32(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS.rawValue), value: limits.streamsMax),
            nghttp2_settings_entry(settings_id: Int32(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE.rawValue), value: limits.streamWindow),
            nghttp2_settings_entry(settings_id: Int32(NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE.rawValue), value: UInt32(clamping: limits.headBytesMax)),
            // RFC 9218 §2.1: no tree of priorities to keep.
            nghttp2_settings_entry(settings_id: Int32(NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES.rawValue), value: 1),
        ]
        guard unsafe nghttp2_submit_settings(session, flagNone, settings, settings.count) == 0,
              unsafe nghttp2_session_set_local_window_size(session, flagNone, 0, limits.connectionWindow) == 0 else {
            unsafe nghttp2_session_del(session)
            throw memoryFault
        }
        return unsafe session
    }

    deinit { unsafe nghttp2_session_del(session) }

    private static let sentHeadBytesMax = 512 * 1024

    // MARK: What is known

    /// There are bytes to be sent, as far as the windows allow.
    package var wantsToSend: Bool { unsafe !leftover.isEmpty || !context.chores.isEmpty || nghttp2_session_want_write(session) != 0 }

    /// Nothing will be sent or received any more: the connection can be closed.
    package var isFinished: Bool {
        guard !wantsToSend else { return false }
        return unsafe context.fault != nil || nghttp2_session_want_read(session) == 0
    }

    package var streamCount: Int { context.streams.count }
    /// Since when a head is incomplete, by the clock that `receive` was given.
    package var headBegan: UInt64? { context.headBegan }
    /// The client's preface with its SETTINGS has come.
    package var hasGreeted: Bool { context.hasGreeted }
    /// Body bytes of the stream that were submitted and not yet sent.
    package func pendingCount(_ stream: Int32) -> Int { context.streams[stream]?.pending.count ?? 0 }
    /// No more bytes should be submitted until `drained` comes.
    package func isFull(_ stream: Int32) -> Bool { context.streams[stream]?.isFull ?? false }
    /// Body bytes of the stream that have been sent.
    package func sentCount(_ stream: Int32) -> UInt64 { context.streams[stream]?.sentCount ?? 0 }
    /// Our side of the stream has been sent whole.
    package func hasEnded(_ stream: Int32) -> Bool { context.streams[stream]?.hasEnded ?? true }

    // MARK: Bytes in, events out

    /// Takes in bytes from the client. Events that tell of body bytes point into them: read all events before `bytes` go.
    /// - Parameter now: nanoseconds of any clock that does not run backwards.
    package mutating func receive(_ bytes: UnsafeRawBufferPointer, at now: UInt64) {
        guard context.fault == nil, unsafe !bytes.isEmpty else { return }
        context.now = now
        unsafe context.lend(bytes)
        let outcome = unsafe nghttp2_session_mem_recv(session, bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), bytes.count)
        context.reclaimInput()
        if outcome < 0 { receiveFailed(Int32(truncatingIfNeeded: outcome)) }
        doChores()
    }

    private func receiveFailed(_ code: Int32) {
        let fault: SessionFault
        switch code {
        case NGHTTP2_ERR_BAD_CLIENT_MAGIC.rawValue: fault = .prefaceInvalid
        case NGHTTP2_ERR_FLOODED.rawValue: fault = .flood(.acknowledgements)
        case NGHTTP2_ERR_TOO_MANY_CONTINUATIONS.rawValue: fault = .flood(.continuations)
        default: fault = .library(code: code)
        }
        context.fail(fault)
        let answer = switch context.fault {
        case .flood: ErrorCode.enhanceYourCalm.rawValue
        case .prefaceInvalid: ErrorCode.protocolError.rawValue
        case .violation(let code): code
        case .library, nil: ErrorCode.internalError.rawValue
        }
        unsafe _ = nghttp2_session_terminate_session(session, answer)
    }

    /// The next event in the order in which things happened; `nil` when there is none left.
    package mutating func nextEvent() -> SessionEvent? {
        guard nextEventIndex < context.events.count else {
            if !context.events.isEmpty { context.events.removeAll(keepingCapacity: true) }
            nextEventIndex = 0
            return nil
        }
        defer { nextEventIndex += 1 }
        return context.events[nextEventIndex]
    }

    // MARK: Actions

    /// The other side has taken so many body bytes of the stream: the client may send as many more.
    package mutating func consume(_ stream: Int32, _ count: Int) {
        guard let unconsumed = context.streams[stream]?.unconsumed, count > 0 else { return }
        let count = min(count, unconsumed)
        guard count > 0 else { return }
        context.streams[stream]?.unconsumed -= count
        unsafe _ = nghttp2_session_consume(session, stream, count)
    }

    /// The final head of a response; `fields` begins with `:status`.
    /// - Parameter endsStream: no body follows.
    package mutating func submitHead(_ stream: Int32, _ fields: borrowing HeadFields, endsStream: Bool) {
        guard let state = context.streams[stream], !state.hasSentHead else { return }
        context.streams[stream]?.hasSentHead = true
        if endsStream { context.streams[stream]?.isEnding = true }
        let session = unsafe session
        let outcome = unsafe withPairs(fields) { pairs in
            if endsStream { return unsafe nghttp2_submit_response(session, stream, pairs.baseAddress, pairs.count, nil) }
            var provider = unsafe nghttp2_data_provider(source: nghttp2_data_source(), read_callback: SessionCallbacks.readData)
            return unsafe nghttp2_submit_response(session, stream, pairs.baseAddress, pairs.count, &provider)
        }
        if outcome != 0 { reset(stream, .internalError) }
    }

    /// A 1xx head; `fields` begins with `:status`.
    package mutating func submitInformational(_ stream: Int32, _ fields: borrowing HeadFields) {
        guard let state = context.streams[stream], !state.hasSentHead else { return }
        let session = unsafe session
        unsafe _ = withPairs(fields) { unsafe nghttp2_submit_headers(session, flagNone, stream, nil, $0.baseAddress, $0.count, nil) }
    }

    /// Body bytes behind a head that did not end the stream. They are copied; when the stream `isFull`, wait for `drained`.
    package mutating func submitData(_ stream: Int32, _ bytes: Span<UInt8>) {
        guard let state = context.streams[stream], state.hasSentHead, !state.isEnding, bytes.count > 0 else { return }
        context.streams[stream]?.pending.append(bytes)
        context.pendingTotal += bytes.count
        let limit = context.pendingTotal < Self.pendingTotalMax ? Self.pendingHigh : Self.pendingFloor
        if state.pending.count + bytes.count >= limit { context.streams[stream]?.isFull = true }
        resume(stream)
    }

    /// The body ends here, with trailers or without.
    package mutating func endStream(_ stream: Int32, trailers: HeadFields? = nil) {
        guard let state = context.streams[stream], state.hasSentHead, !state.isEnding else { return }
        context.streams[stream]?.isEnding = true
        if let trailers, !trailers.lines.isEmpty { context.streams[stream]?.trailers = trailers }
        resume(stream)
    }

    private func resume(_ stream: Int32) {
        guard context.streams[stream]?.isDeferred == true else { return }
        context.streams[stream]?.isDeferred = false
        unsafe _ = nghttp2_session_resume_data(session, stream)
    }

    /// Ends the stream at once, whatever is still to be sent on it.
    package mutating func reset(_ stream: Int32, _ code: ErrorCode) {
        guard context.streams[stream] != nil else { return }
        context.ownResets.insert(stream)
        unsafe _ = nghttp2_submit_rst_stream(session, flagNone, stream, code.rawValue)
    }

    /// The response is whole and the rest of the request is not wanted: resets the stream once our side has been sent (RFC 9113 §8.1).
    package mutating func resetAfterEnd(_ stream: Int32, _ code: ErrorCode = .noError) {
        guard let state = context.streams[stream] else { return }
        if state.hasEnded { reset(stream, code) } else { context.streams[stream]?.resetAfterEnd = code }
    }

    package mutating func ping() { unsafe _ = nghttp2_submit_ping(session, flagNone, nil) }

    /// Announces that the connection will end: the client opens no more streams once it has read it, and those that it opens until then are
    /// served (RFC 9113 §6.8).
    package mutating func announceGoAway() {
        guard !isShuttingDown, context.fault == nil else { return }
        isShuttingDown = true
        unsafe _ = nghttp2_submit_shutdown_notice(session)
    }

    /// No stream after those that have come is served; the connection is finished when these are.
    package mutating func goAway() {
        guard context.fault == nil else { return }
        isShuttingDown = true
        let last = unsafe nghttp2_session_get_last_proc_stream_id(session)
        unsafe _ = nghttp2_submit_goaway(session, flagNone, last, ErrorCode.noError.rawValue, nil, 0)
    }

    /// Ends the connection with what `send` still gives.
    package mutating func terminate(_ code: ErrorCode) { unsafe _ = nghttp2_session_terminate_session(session, code.rawValue) }

    // MARK: Bytes out

    /// Writes frames that are due, as many as fit and as the windows allow.
    /// - Parameter room: ``sendRoomMin`` bytes or more.
    /// - Returns: how many bytes were written; 0 when nothing is due.
    package mutating func send(into room: UnsafeMutableRawBufferPointer, at now: UInt64) -> Int {
        context.now = now
        unsafe context.lend(room)
        if !leftover.isEmpty {
            let count = min(leftover.count, room.count)
            unsafe leftover.withUnsafeBytes { unsafe context.write(UnsafeRawBufferPointer(rebasing: $0[0..<count])) }
            leftover.removeFirst(count)
        }
        while leftover.isEmpty {
            doChores()
            var bytes: UnsafePointer<UInt8>?
            let count = unsafe nghttp2_session_mem_send(session, &bytes)
            if count < 0 {
                context.fail(.library(code: Int32(truncatingIfNeeded: count)))
                break
            }
            if count == 0 {
                // Done, or a frame does not fit; what callbacks found to be done may make more.
                if context.chores.isEmpty { break }
                continue
            }
            let frame = unsafe UnsafeRawBufferPointer(start: bytes, count: count)
            if count <= context.roomLeft { unsafe context.write(frame) } else { unsafe leftover = Array(frame) }
        }
        terminateForFault()
        return context.reclaimRoom()
    }
    private var isTerminated = false

    /// What was sent has shown that the client breaks a rule. Nothing new where libnghttp2 has ended the connection for it already.
    private mutating func terminateForFault() {
        guard !isTerminated else { return }
        let code: UInt32
        switch context.fault {
        case .flood: code = ErrorCode.enhanceYourCalm.rawValue
        case .violation(let violated): code = violated
        case .prefaceInvalid, .library, nil: return
        }
        isTerminated = true
        unsafe _ = nghttp2_session_terminate_session(session, code)
    }

    /// What callbacks found to be done.
    private mutating func doChores() {
        while !context.chores.isEmpty {
            var chores: [SessionContext.Chore] = []
            swap(&chores, &context.chores)
            for chore in chores {
                switch chore {
                case .consumeConnection(let count): unsafe _ = nghttp2_session_consume_connection(session, count)
                case .reset(let stream, let code): reset(stream, code)
                case .submitTrailers(let stream): submitTrailers(stream)
                case .refuseClosed(let stream): unsafe _ = nghttp2_submit_rst_stream(session, flagNone, stream, ErrorCode.streamClosed.rawValue)
                }
            }
        }
    }

    private mutating func submitTrailers(_ stream: Int32) {
        guard let trailers = context.streams[stream]?.trailers else { return }
        let session = unsafe session
        let outcome = unsafe withPairs(trailers) { unsafe nghttp2_submit_trailer(session, stream, $0.baseAddress, $0.count) }
        if outcome != 0 { reset(stream, .internalError) }
    }

    // MARK: Fields

    /// Lends the fields in libnghttp2's form, which copies them.
    private mutating func withPairs(_ fields: borrowing HeadFields, _ body: (UnsafeBufferPointer<nghttp2_nv>) -> Int32) -> Int32 {
        var pairs: [nghttp2_nv] = unsafe []
        unsafe swap(&pairs, &self.pairs)
        defer { unsafe swap(&pairs, &self.pairs) }
        unsafe pairs.removeAll(keepingCapacity: true)
        return unsafe fields.bytes.withUnsafeBufferPointer { bytes in
            guard let base = unsafe UnsafeMutablePointer(mutating: bytes.baseAddress) else { return NGHTTP2_ERR_INVALID_ARGUMENT.rawValue }
            for line in fields.lines {
                let isSecret = unsafe isNeverIndexed(UnsafeBufferPointer(rebasing: bytes[line.name]))
                unsafe pairs.append(nghttp2_nv(
                    name: base + line.name.lowerBound, value: base + line.value.lowerBound, namelen: line.name.count, valuelen: line.value.count,
                    flags: UInt8(isSecret ? NGHTTP2_NV_FLAG_NO_INDEX.rawValue : NGHTTP2_NV_FLAG_NONE.rawValue)))
            }
            return unsafe pairs.withUnsafeBufferPointer { unsafe body($0) }
        }
    }

    /// Fields that are secret (RFC 7541 §7.1.3), or whose value never comes twice and would only push others out of the table.
    private func isNeverIndexed(_ name: UnsafeBufferPointer<UInt8>) -> Bool {
        switch name.count {
        case 10: unsafe name.elementsEqual("set-cookie".utf8)
        case 12: unsafe name.elementsEqual("x-request-id".utf8)
        default: false
        }
    }
}

private let flagNone = UInt8(NGHTTP2_FLAG_NONE.rawValue)
