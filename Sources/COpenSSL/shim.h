#pragma once
// What the TLS and Authentication modules use of libssl and libcrypto, and functions in place of the macros that Swift cannot see.
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

static inline int shim_SSL_CTX_set_min_proto_version(SSL_CTX *context, int version) { return SSL_CTX_set_min_proto_version(context, version) == 1; }
static inline int shim_SSL_CTX_set_max_proto_version(SSL_CTX *context, int version) { return SSL_CTX_set_max_proto_version(context, version) == 1; }
static inline int shim_SSL_CTX_set1_groups_list(SSL_CTX *context, const char *list) { return SSL_CTX_set1_groups_list(context, list) == 1; }
static inline void shim_SSL_CTX_set_session_cache_mode(SSL_CTX *context, long mode) { SSL_CTX_set_session_cache_mode(context, mode); }
static inline int shim_SSL_CTX_add1_chain_cert(SSL_CTX *context, X509 *certificate) { return SSL_CTX_add1_chain_cert(context, certificate) == 1; }
static inline void shim_SSL_CTX_set_servername(SSL_CTX *context, int (*callback)(SSL *, int *, void *), void *argument) {
    SSL_CTX_set_tlsext_servername_callback(context, callback);
    SSL_CTX_set_tlsext_servername_arg(context, argument);
}
static inline int shim_SSL_set_tlsext_host_name(SSL *connection, const char *name) { return SSL_set_tlsext_host_name(connection, name) == 1; }
static inline void shim_BIO_set_retry_read(BIO *bio) { BIO_clear_retry_flags(bio); BIO_set_retry_read(bio); }
static inline void shim_BIO_clear_retry_flags(BIO *bio) { BIO_clear_retry_flags(bio); }
/// No renegotiation, no compression, our order of suites (ChaCha20 first for clients that put it first), one ticket, no early data.
static inline void shim_SSL_CTX_harden_server(SSL_CTX *context) {
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_num_tickets(context, 1);
    SSL_CTX_set_max_early_data(context, 0);
}
static inline void shim_SSL_CTX_harden_client(SSL_CTX *context) { SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION); }
/// Buffers only while they are used; writes that may be cut and whose memory may move.
static inline void shim_SSL_CTX_set_lean_buffers(SSL_CTX *context) {
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
}
