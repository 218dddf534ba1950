internal import COpenSSL
internal import GatewayTerms

/// What a TLS listener offers: its certificates by server name, versions, suites and protocols. Immutable; a reload makes a
/// new one, and connections that are open keep theirs.
@safe package final class TLSContext: @unchecked Sendable {
    package enum Version: Sendable { case tls12, tls13 }

    /// One `SSL_CTX` per certificate, in the order of `certificates`; the first is the default.
    private let contexts: [OpaquePointer]
    let selection: ServerNameSelection
    package let certificates: [Certificate]

    /// - Parameter protocols: ALPN names in our order of preference (RFC 7301). A client that offers none of them is refused
    ///   with `no_application_protocol`; one that sends no ALPN speaks HTTP/1.1.
    package init(certificates: [Certificate], minimumVersion: Version, protocols: [String] = ["http/1.1"]) throws(TLSError) {
        guard !certificates.isEmpty else { throw .library(reason: "a TLS listener needs a certificate") }
        self.certificates = certificates
        selection = ServerNameSelection(certificates.map(\.names))
        var contexts: [OpaquePointer] = unsafe []
        do throws(TLSError) {
            for certificate in certificates {
                unsafe contexts.append(try TLSContext.make(certificate, minimumVersion))
            }
        } catch {
            unsafe contexts.forEach { unsafe SSL_CTX_free($0) }
            throw error
        }
        unsafe self.contexts = unsafe contexts
        self.wireProtocols = protocols.flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) }
        // The callbacks get this object unretained: `TLSConnection` keeps it alive for as long as its SSL* can call back.
        let me = unsafe Unmanaged.passUnretained(self).toOpaque()
        for unsafe context in unsafe contexts {
            unsafe shim_SSL_CTX_set_servername(context, selectCertificate, me)
            unsafe SSL_CTX_set_alpn_select_cb(context, selectProtocol, me)
        }
    }

    deinit { unsafe contexts.forEach { unsafe SSL_CTX_free($0) } }

    /// RFC 7301 §3.1's ProtocolNameList.
    fileprivate let wireProtocols: [UInt8]

    var defaultContext: OpaquePointer { unsafe contexts[0] }
    fileprivate func context(for name: Hostname) -> OpaquePointer? { unsafe selection.index(for: name).map { unsafe contexts[$0] } }

    private static func make(_ certificate: Certificate, _ minimumVersion: Version) throws(TLSError) -> OpaquePointer {
        guard let context = unsafe SSL_CTX_new(TLS_server_method()) else { throw .library(reason: TLSError.drainQueue() ?? "no context") }
        let isSet = unsafe shim_SSL_CTX_set_min_proto_version(context, minimumVersion == .tls12 ? TLS1_2_VERSION : TLS1_3_VERSION) == 1
            && shim_SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) == 1
            && SSL_CTX_set_cipher_list(context, suitesOfTLS12) == 1
            && SSL_CTX_set_ciphersuites(context, suitesOfTLS13) == 1
            && shim_SSL_CTX_set1_groups_list(context, "X25519:P-256") == 1
            && SSL_CTX_use_certificate(context, certificate.leaf) == 1
            && SSL_CTX_use_PrivateKey(context, certificate.key) == 1
            && certificate.intermediates.allSatisfy { unsafe shim_SSL_CTX_add1_chain_cert(context, $0) == 1 }
        guard isSet else {
            unsafe SSL_CTX_free(context)
            throw .library(reason: TLSError.drainQueue() ?? "a setting was refused")
        }
        // 0-RTT stays off too: early data can be replayed (GO-2024-2973).
        unsafe shim_SSL_CTX_harden_server(context)
        unsafe shim_SSL_CTX_set_lean_buffers(context)
        // Tickets only: a session cache in the server would hold memory for clients that may never return.
        unsafe shim_SSL_CTX_set_session_cache_mode(context, Int(SSL_SESS_CACHE_OFF))
        let me = Array("metaflow-gateway".utf8)
        unsafe SSL_CTX_set_session_id_context(context, me, UInt32(me.count))
        return unsafe context
    }
}

/// AEAD with forward secrecy only (A2).
private let suitesOfTLS12 = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
private let suitesOfTLS13 = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"

/// Switches the connection to the certificate of its server name. The name comes from the TLS stack, never from a look at raw
/// bytes (CVE-2026-32305).
private let selectCertificate: @convention(c) (OpaquePointer?, UnsafeMutablePointer<Int32>?, UnsafeMutableRawPointer?) -> Int32 = { connection, _, argument in
    guard let argument = unsafe argument, let text = unsafe SSL_get_servername(connection, TLSEXT_NAMETYPE_host_name) else { return SSL_TLSEXT_ERR_NOACK }
    let context = unsafe Unmanaged<TLSContext>.fromOpaque(argument).takeUnretainedValue()
    // An address with its port, as some clients send, is no host name (RFC 6066 §3) and names nothing: as if it were not there.
    guard let name = unsafe Hostname(String(cString: text)) else { return SSL_TLSEXT_ERR_NOACK }
    if let selected = unsafe context.context(for: name) { unsafe _ = SSL_set_SSL_CTX(connection, selected) }
    return SSL_TLSEXT_ERR_OK
}

private let selectProtocol: @convention(c) (
    OpaquePointer?, UnsafeMutablePointer<UnsafePointer<UInt8>?>?, UnsafeMutablePointer<UInt8>?, UnsafePointer<UInt8>?, UInt32, UnsafeMutableRawPointer?
) -> Int32 = { _, selected, selectedCount, offered, offeredCount, argument in
    guard let argument = unsafe argument, let selected = unsafe selected else { return SSL_TLSEXT_ERR_ALERT_FATAL }
    let context = unsafe Unmanaged<TLSContext>.fromOpaque(argument).takeUnretainedValue()
    let chosen = unsafe context.wireProtocols.withUnsafeBufferPointer { ours in
        unsafe selected.withMemoryRebound(to: UnsafeMutablePointer<UInt8>?.self, capacity: 1) {
            unsafe SSL_select_next_proto($0, selectedCount, ours.baseAddress, UInt32(ours.count), offered, offeredCount)
        }
    }
    // The pointer that libssl gets must outlive this call: point into what the client offered, or into our list, which the context owns.
    return chosen == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL
}
