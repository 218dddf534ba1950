internal import COpenSSL

/// The memory between libssl and a channel: ciphertext that came in, lent by the caller, and room for ciphertext that goes out.
/// Nothing of it stays allocated while a connection is idle (DESIGN §4.2).
@safe struct CiphertextBuffers {
    var input: UnsafeRawPointer?
    var inputCount = 0
    /// Where `SSL_write` puts its records; `nil` outside of a write.
    var output: UnsafeMutableRawPointer?
    var outputCapacity = 0
    var outputCount = 0
    /// What found no room in `output`: handshake flights, alerts, key updates.
    var overflow: [UInt8] = []
}

/// A BIO over ``CiphertextBuffers``: it never blocks and never fails to write.
enum CiphertextBIO {
    static func make(_ buffers: UnsafeMutablePointer<CiphertextBuffers>) -> OpaquePointer? {
        guard let method = unsafe method, let bio = unsafe BIO_new(method) else { return nil }
        unsafe BIO_set_data(bio, buffers)
        unsafe BIO_set_init(bio, 1)
        return unsafe bio
    }

    private nonisolated(unsafe) static let method: OpaquePointer? = {
        guard let method = unsafe BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "ciphertext") else { return nil }
        unsafe BIO_meth_set_read(method, read)
        unsafe BIO_meth_set_write(method, write)
        unsafe BIO_meth_set_ctrl(method, control)
        return unsafe method
    }()

    private static let read: @convention(c) (OpaquePointer?, UnsafeMutablePointer<CChar>?, Int32) -> Int32 = { bio, destination, count in
        guard let bio = unsafe bio, let destination = unsafe destination, count > 0, let data = unsafe BIO_get_data(bio) else { return -1 }
        let buffers = unsafe data.assumingMemoryBound(to: CiphertextBuffers.self)
        unsafe shim_BIO_clear_retry_flags(bio)
        let available = unsafe min(buffers.pointee.inputCount, Int(count))
        guard available > 0, let input = unsafe buffers.pointee.input else {
            unsafe shim_BIO_set_retry_read(bio)
            return -1
        }
        unsafe UnsafeMutableRawPointer(destination).copyMemory(from: input, byteCount: available)
        unsafe buffers.pointee.input = unsafe input + available
        unsafe buffers.pointee.inputCount -= available
        return Int32(available)
    }

    private static let write: @convention(c) (OpaquePointer?, UnsafePointer<CChar>?, Int32) -> Int32 = { bio, source, count in
        guard let bio = unsafe bio, let source = unsafe source, count > 0, let data = unsafe BIO_get_data(bio) else { return -1 }
        let buffers = unsafe data.assumingMemoryBound(to: CiphertextBuffers.self)
        let length = Int(count)
        if let output = unsafe buffers.pointee.output, unsafe buffers.pointee.overflow.isEmpty,
           unsafe buffers.pointee.outputCapacity - buffers.pointee.outputCount >= length {
            unsafe (output + buffers.pointee.outputCount).copyMemory(from: source, byteCount: length)
            unsafe buffers.pointee.outputCount += length
        } else {
            unsafe buffers.pointee.overflow.append(contentsOf: UnsafeRawBufferPointer(start: source, count: length))
        }
        return count
    }

    private static let control: @convention(c) (OpaquePointer?, Int32, Int, UnsafeMutableRawPointer?) -> Int = { _, command, _, _ in
        // Flush succeeds by doing nothing; all else is not for a BIO that has no socket.
        command == BIO_CTRL_FLUSH ? 1 : 0
    }
}
