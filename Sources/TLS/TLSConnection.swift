internal import COpenSSL
package import GatewayTerms

/// The one owner of an `SSL*`: ciphertext in, plaintext out, and back. It has no socket; its caller moves the bytes.
///
/// Order of use: ``lend(_:)`` what was received, then ``handshake()`` until it is complete, then ``read(into:)`` until it wants
/// input, then ``reclaim()``. Whatever these or ``shutdown()`` want to say to the peer is in ``takeOutput()``.
@safe package struct TLSConnection: ~Copyable {
    package enum Progress: Equatable, Sendable { case complete, wantsInput }
    package enum ReadOutcome: Equatable, Sendable {
        case bytes(Int)
        case wantsInput
        /// The peer said close_notify: what was read so far is whole.
        case closed
    }

    private let ssl: OpaquePointer
    private let buffers: UnsafeMutablePointer<CiphertextBuffers>
    /// Keeps the context alive that libssl's callbacks point to.
    private let context: AnyObject

    /// The server's side of a new connection.
    package init(_ context: TLSContext) throws(TLSError) {
        unsafe (ssl, buffers) = try TLSConnection.make(context.defaultContext)
        self.context = context
        unsafe SSL_set_accept_state(ssl)
    }

    /// The client's side. The peer's certificate must be valid for `name`.
    package init(_ context: TLSClientContext, serverName name: Hostname) throws(TLSError) {
        let (ssl, buffers) = unsafe try TLSConnection.make(context.context)
        unsafe SSL_set_connect_state(ssl)
        let isNamed = if name.address != nil {
            unsafe X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name.text) == 1
        } else {
            unsafe SSL_set1_host(ssl, name.text) == 1 && shim_SSL_set_tlsext_host_name(ssl, name.text) == 1
        }
        guard isNamed else {
            unsafe TLSConnection.free(ssl, buffers)
            throw .library(reason: TLSError.drainQueue() ?? "the server name was refused")
        }
        unsafe SSL_set_hostflags(ssl, UInt32(X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS))
        self.context = context
        unsafe (self.ssl, self.buffers) = unsafe (ssl, buffers)
    }

    private static func free(_ ssl: OpaquePointer, _ buffers: UnsafeMutablePointer<CiphertextBuffers>) {
        unsafe SSL_free(ssl)
        unsafe buffers.deinitialize(count: 1)
        unsafe buffers.deallocate()
    }

    private static func make(_ context: OpaquePointer) throws(TLSError) -> (OpaquePointer, UnsafeMutablePointer<CiphertextBuffers>) {
        guard let ssl = unsafe SSL_new(context) else { throw .library(reason: TLSError.drainQueue() ?? "no memory for a connection") }
        let buffers = UnsafeMutablePointer<CiphertextBuffers>.allocate(capacity: 1)
        unsafe buffers.initialize(to: CiphertextBuffers())
        guard let bio = unsafe CiphertextBIO.make(buffers) else {
            unsafe SSL_free(ssl)
            unsafe buffers.deinitialize(count: 1)
            unsafe buffers.deallocate()
            throw .library(reason: TLSError.drainQueue() ?? "no memory for a BIO")
        }
        unsafe SSL_set_bio(ssl, bio, bio)
        return unsafe (ssl, buffers)
    }

    deinit { unsafe TLSConnection.free(ssl, buffers) }

    /// Lends received ciphertext; the memory must stay valid until ``reclaim()``.
    package mutating func lend(_ ciphertext: UnsafeRawBufferPointer) {
        unsafe buffers.pointee.input = ciphertext.baseAddress
        unsafe buffers.pointee.inputCount = ciphertext.count
    }

    package mutating func reclaim() {
        unsafe buffers.pointee.input = nil
        unsafe buffers.pointee.inputCount = 0
    }

    package mutating func handshake() throws(TLSError) -> Progress {
        let result = unsafe SSL_do_handshake(ssl)
        if result == 1 { return .complete }
        switch unsafe SSL_get_error(ssl, result) {
        case SSL_ERROR_WANT_READ: return .wantsInput
        default: throw peerFault()
        }
    }

    /// Decrypts into `plaintext`, as much as it takes.
    package mutating func read(into plaintext: UnsafeMutableRawBufferPointer) throws(TLSError) -> ReadOutcome {
        var count = 0
        let result = unsafe SSL_read_ex(ssl, plaintext.baseAddress, plaintext.count, &count)
        if result == 1 { return .bytes(count) }
        switch unsafe SSL_get_error(ssl, result) {
        case SSL_ERROR_WANT_READ: return .wantsInput
        case SSL_ERROR_ZERO_RETURN: return .closed
        default: throw peerFault()
        }
    }

    /// The room that ``write(_:into:)`` needs at most for `count` bytes: records of 16 KiB, each with 5 bytes of header, a type byte and a
    /// 16-byte tag (TLS 1.3) or 8-byte nonce and tag (TLS 1.2).
    package static func ciphertextCountMax(_ count: Int) -> Int { count + (count / 16_384 + 1) * 32 }

    /// Encrypts all of `plaintext` and gives the number of bytes written to `ciphertext`. What had to be said before (a ticket, a key
    /// update) or found no room is in ``takeOutput()``, and comes first.
    package mutating func write(_ plaintext: UnsafeRawBufferPointer, into ciphertext: UnsafeMutableRawBufferPointer) throws(TLSError) -> Int {
        unsafe buffers.pointee.output = ciphertext.baseAddress
        unsafe buffers.pointee.outputCapacity = ciphertext.count
        unsafe buffers.pointee.outputCount = 0
        defer {
            unsafe buffers.pointee.output = nil
            unsafe buffers.pointee.outputCapacity = 0
        }
        var offset = 0
        while offset < plaintext.count {
            var count = 0
            let rest = unsafe UnsafeRawBufferPointer(rebasing: plaintext[offset...])
            let result = unsafe SSL_write_ex(ssl, rest.baseAddress, rest.count, &count)
            guard result == 1 else {
                _ = unsafe SSL_get_error(ssl, result)
                throw peerFault()
            }
            offset += count
        }
        return unsafe buffers.pointee.outputCount
    }

    /// Ciphertext that waits to be sent, taken away.
    package mutating func takeOutput() -> [UInt8] {
        guard unsafe !buffers.pointee.overflow.isEmpty else { return [] }
        var output: [UInt8] = []
        unsafe swap(&output, &buffers.pointee.overflow)
        return output
    }

    /// Says close_notify, if a handshake was completed.
    package mutating func shutdown() {
        if unsafe SSL_is_init_finished(ssl) == 1, unsafe SSL_shutdown(ssl) < 0 { _ = TLSError.drainQueue() }
    }

    private func peerFault() -> TLSError {
        let reason = TLSError.drainQueue()
        let verification = unsafe SSL_get_verify_result(ssl)
        if verification != X509_V_OK, unsafe SSL_get_verify_mode(ssl) != SSL_VERIFY_NONE, let text = unsafe X509_verify_cert_error_string(verification) {
            return .peer(reason: "the peer's certificate was refused: \(unsafe String(cString: text))")
        }
        return .peer(reason: reason ?? "the connection ended without close_notify")
    }

    /// The name that the client asked for (RFC 6066 §3).
    package var serverName: Hostname? {
        guard let text = unsafe SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name) else { return nil }
        return unsafe Hostname(String(cString: text))
    }

    /// The protocol that ALPN settled on.
    package var applicationProtocol: String? {
        var name: UnsafePointer<UInt8>?
        var count: UInt32 = 0
        unsafe SSL_get0_alpn_selected(ssl, &name, &count)
        guard let name = unsafe name, count > 0 else { return nil }
        return unsafe String(decoding: UnsafeBufferPointer(start: name, count: Int(count)), as: UTF8.self)
    }

    /// `TLSv1.3`, as OpenSSL names it.
    package var version: String { unsafe String(cString: SSL_get_version(ssl)) }
    package var cipher: String { unsafe SSL_get_cipher_name(ssl) }
    package var isResumed: Bool { unsafe SSL_session_reused(ssl) == 1 }
}

private func SSL_get_cipher_name(_ ssl: OpaquePointer) -> String {
    guard let name = unsafe SSL_CIPHER_get_name(SSL_get_current_cipher(ssl)) else { return "" }
    return unsafe String(cString: name)
}
