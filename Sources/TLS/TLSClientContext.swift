internal import COpenSSL

/// How the gateway speaks TLS to upstreams: always verified, peer and name.
@safe package final class TLSClientContext: @unchecked Sendable {
    let context: OpaquePointer

    /// - Parameter authorities: PEM file of the certificate authorities to trust; `nil` trusts the system's.
    package init(authorities: String? = nil) throws(TLSError) {
        guard let context = unsafe SSL_CTX_new(TLS_client_method()) else { throw .library(reason: TLSError.drainQueue() ?? "no context") }
        unsafe self.context = unsafe context
        guard unsafe shim_SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 else { throw .library(reason: TLSError.drainQueue() ?? "TLS 1.2 is refused") }
        unsafe SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nil)
        unsafe shim_SSL_CTX_harden_client(context)
        unsafe shim_SSL_CTX_set_lean_buffers(context)
        let isTrusted = if let authorities {
            unsafe SSL_CTX_load_verify_locations(context, authorities, nil) == 1
        } else {
            unsafe SSL_CTX_set_default_verify_paths(context) == 1
        }
        guard isTrusted else {
            throw .certificate(file: authorities ?? "the system's certificate store", reason: TLSError.drainQueue() ?? "cannot be read")
        }
        let protocols: [UInt8] = [8] + Array("http/1.1".utf8)
        unsafe _ = SSL_CTX_set_alpn_protos(context, protocols, UInt32(protocols.count))
    }

    deinit { unsafe SSL_CTX_free(context) }
}
