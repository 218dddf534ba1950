internal import CNghttp2

/// The functions that libnghttp2 calls, made once for all sessions. Each hands what it is told to the session's context.
@safe struct SessionCallbacks: @unchecked Sendable {
    let pointer: OpaquePointer?

    /// Never changed after it is made.
    static let shared = SessionCallbacks()

    private init() {
        var callbacks: OpaquePointer?
        guard unsafe nghttp2_session_callbacks_new(&callbacks) == 0, let callbacks = unsafe callbacks else {
            unsafe pointer = nil
            return
        }
        unsafe nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks) { _, header, context in
            guard let header = unsafe header?.pointee, let context = unsafe SessionCallbacks.context(context) else { return failure }
            return context.frameBegan(header) ? 0 : failure
        }
        unsafe nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks) { _, _, context in
            guard let context = unsafe SessionCallbacks.context(context) else { return failure }
            context.headersBegan()
            return 0
        }
        unsafe nghttp2_session_callbacks_set_on_header_callback(callbacks) { _, _, name, nameCount, value, valueCount, _, context in
            guard let context = unsafe SessionCallbacks.context(context) else { return failure }
            let name = unsafe UnsafeBufferPointer(start: name, count: nameCount)
            let value = unsafe UnsafeBufferPointer(start: value, count: valueCount)
            return unsafe context.fieldArrived(name, value) ? 0 : failure
        }
        unsafe nghttp2_session_callbacks_set_on_invalid_header_callback(callbacks) { _, _, name, nameCount, _, valueCount, _, context in
            guard let context = unsafe SessionCallbacks.context(context) else { return failure }
            return unsafe context.invalidFieldArrived(UnsafeBufferPointer(start: name, count: nameCount), valueCount) ? 0 : failure
        }
        unsafe nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks) { _, frame, context in
            guard let frame = unsafe frame, let context = unsafe SessionCallbacks.context(context) else { return failure }
            unsafe context.frameArrived(frame.pointee)
            return 0
        }
        unsafe nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks) { _, frame, _, context in
            guard let header = unsafe frame?.pointee.hd, let context = unsafe SessionCallbacks.context(context) else { return failure }
            context.invalidFrameArrived(header)
            return 0
        }
        unsafe nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks) { _, _, stream, data, count, context in
            guard let data = unsafe data, let context = unsafe SessionCallbacks.context(context) else { return failure }
            unsafe context.dataArrived(stream, data, count)
            return 0
        }
        unsafe nghttp2_session_callbacks_set_on_stream_close_callback(callbacks) { _, stream, code, context in
            guard let context = unsafe SessionCallbacks.context(context) else { return failure }
            context.streamClosed(stream, code)
            return 0
        }
        unsafe nghttp2_session_callbacks_set_on_frame_send_callback(callbacks) { _, frame, context in
            guard let frame = unsafe frame, let context = unsafe SessionCallbacks.context(context) else { return failure }
            unsafe context.frameSent(frame.pointee)
            return 0
        }
        unsafe nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks) { _, frame, _, context in
            guard let header = unsafe frame?.pointee.hd, let context = unsafe SessionCallbacks.context(context) else { return failure }
            context.frameNotSent(header)
            return 0
        }
        unsafe nghttp2_session_callbacks_set_send_data_callback(callbacks) { _, frame, header, count, _, context in
            guard let frame = unsafe frame, let header = unsafe header, let context = unsafe SessionCallbacks.context(context) else { return failure }
            let isLast = unsafe UInt32(frame.pointee.hd.flags) & NGHTTP2_FLAG_END_STREAM.rawValue != 0
            let fits = unsafe context.writeData(frame.pointee.hd.stream_id, header: header, count: count, isLast: isLast)
            return fits ? 0 : NGHTTP2_ERR_WOULDBLOCK.rawValue
        }
        unsafe pointer = callbacks
    }

    /// Asked for each DATA frame of a response.
    static let readData: nghttp2_data_source_read_callback = { _, stream, _, wanted, flags, _, context in
        guard let flags = unsafe flags, let context = unsafe SessionCallbacks.context(context) else { return Int(failure) }
        switch context.dataIsWanted(stream, wanted) {
        case .none:
            return Int(NGHTTP2_ERR_DEFERRED.rawValue)
        case .failed:
            return Int(NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue)
        case .bytes(let count, let isLast, let hasTrailers):
            unsafe flags.pointee |= NGHTTP2_DATA_FLAG_NO_COPY.rawValue
            if isLast {
                unsafe flags.pointee |= NGHTTP2_DATA_FLAG_EOF.rawValue
                if hasTrailers {
                    unsafe flags.pointee |= NGHTTP2_DATA_FLAG_NO_END_STREAM.rawValue
                    context.trailersAreDue(stream)
                }
            }
            return count
        }
    }

    private static func context(_ pointer: UnsafeMutableRawPointer?) -> SessionContext? {
        guard let pointer = unsafe pointer else { return nil }
        return unsafe Unmanaged<SessionContext>.fromOpaque(pointer).takeUnretainedValue()
    }
}

private let failure = NGHTTP2_ERR_CALLBACK_FAILURE.rawValue
