/// One family of the exposition: its name, kind and meaning.
package struct MetricFamily: Sendable, Equatable {
    package enum Kind: String, Sendable { case counter, gauge, histogram }

    package let name: String
    package let kind: Kind
    package let help: String

    init(_ name: String, _ kind: Kind, _ help: String) { (self.name, self.kind, self.help) = (name, kind, help) }
}

/// Every metric that there is (E6), in the order of the exposition. Dashboards and alert rules are checked against these names.
package enum MetricTable {
    static let requests = MetricFamily("gw_requests_total", .counter, "Exchanges that have ended, by listener, stage, route, method, class of status and first flag.")
    static let requestDuration = MetricFamily("gw_request_duration_seconds", .histogram, "From a request's first byte to its answer's last; without WebSockets.")
    static let requestsActive = MetricFamily("gw_requests_active", .gauge, "Exchanges under way.")
    static let upstreamRequests = MetricFamily("gw_upstream_requests_total", .counter, "Answers of upstreams, by the class of their own status.")
    static let upstreamDuration = MetricFamily("gw_upstream_duration_seconds", .histogram, "From the forwarded head of a request to the head of the upstream's answer.")
    static let upstreamFailures = MetricFamily("gw_upstream_failures_total", .counter, "Tries that got no answer of an upstream, by reason.")
    static let upstreamRetries = MetricFamily("gw_upstream_retries_total", .counter, "Requests sent again on another connection.")
    static let endpointUp = MetricFamily("gw_upstream_endpoint_up", .gauge, "0 while health checks find an endpoint down, or while every loop leaves it alone because dials failed.")
    static let upstreamConnections = MetricFamily("gw_upstream_connections", .gauge, "Connections to an endpoint, those that carry a request and those that rest.")
    static let upstreamPending = MetricFamily("gw_upstream_pending", .gauge, "Requests that wait for a connection.")
    static let decisions = MetricFamily("gw_auth_decisions_total", .counter, "Whether callers were let through, and why not.")
    static let tokens = MetricFamily("gw_auth_tokens_total", .counter, "Bearer tokens looked at: known, their signature was verified before; verified, it had to be now, and forged ones count here too.")
    static let logins = MetricFamily("gw_sessions_cookies_total", .counter, "Login cookies looked at: known, opened before; opened, or tried to, now.")
    static let loginKeys = MetricFamily("gw_sessions_key_cookies_total", .counter, "Login cookies by the key of the ring that opened them: one whose count has stopped to grow can go.")
    static let keySetAge = MetricFamily("gw_jwks_age_seconds", .gauge, "Since the provider last confirmed its key set.")
    static let keySetKeys = MetricFamily("gw_jwks_keys", .gauge, "Keys in use of an issuer; 0: its tokens are answered with 503.")
    static let keySetFetches = MetricFamily("gw_jwks_fetch_total", .counter, "Fetches of key sets.")
    static let redemptions = MetricFamily("gw_oidc_redemptions_total", .counter, "Codes of logins that were redeemed.")
    static let refreshes = MetricFamily("gw_oidc_refresh_total", .counter, "Refreshes of login sessions; shared: got another request's answer.")
    static let revocations = MetricFamily("gw_oidc_revocations_total", .counter, "Refresh tokens that the provider was asked to revoke.")
    static let sessionsEnded = MetricFamily("gw_sessions_ended_total", .counter, "Logins and tokens ended here, by signing out or by an operator.")
    static let revocationEntries = MetricFamily("gw_sessions_revocation_entries", .gauge, "Entries that callers are compared with.")
    static let revocationFile = MetricFamily("gw_revocation_file_ok", .gauge, "0 while the newest revocation file is refused and its last good version stays in force.")
    static let version = MetricFamily("gw_config_version_info", .gauge, "The configuration that serves.")
    static let reloads = MetricFamily("gw_config_reload_total", .counter, "Reloads, by result.")
    static let lastReload = MetricFamily("gw_config_last_reload_successful", .gauge, "0 after a reload was refused, until the next one is accepted.")
    static let lastSuccess = MetricFamily("gw_config_last_success_timestamp_seconds", .gauge, "When the configuration that serves was accepted.")
    static let certificateNotAfter = MetricFamily("gw_tls_cert_not_after_seconds", .gauge, "When a certificate expires, in Unix time.")
    static let certificateReloads = MetricFamily("gw_tls_cert_reload_total", .counter, "Reloads that brought other certificates, and that were refused for one.")
    static let handshakes = MetricFamily("gw_tls_handshakes_total", .counter, "TLS handshakes of clients.")
    static let connectionsOpen = MetricFamily("gw_conn_open", .gauge, "Client connections that are open.")
    static let connectionsAccepted = MetricFamily("gw_conn_accepted_total", .counter, "Client connections accepted.")
    static let tunnelsOpen = MetricFamily("gw_conn_tunnels", .gauge, "WebSockets and other upgraded connections that are open.")
    static let http2Failures = MetricFamily("gw_conn_http2_failures_total", .counter, "HTTP/2 connections ended for what the client sent.")
    static let proxyProtocolRefused = MetricFamily("gw_conn_proxy_protocol_refused_total", .counter, "Connections without a PROXY protocol header from a trusted peer.")
    static let overload = MetricFamily("gw_overload_refused_total", .counter, "Connections and requests refused at a limit.")
    static let logDropped = MetricFamily("gw_log_dropped_total", .counter, "Access log lines that found no room.")
    static let ready = MetricFamily("gw_ready", .gauge, "1 when /readyz says so.")
    static let draining = MetricFamily("gw_draining", .gauge, "1 once a drain has begun.")
    static let build = MetricFamily("gw_build_info", .gauge, "The program that serves.")
    static let processCPU = MetricFamily("process_cpu_seconds_total", .counter, "Processor time, user and system.")
    static let processResident = MetricFamily("process_resident_memory_bytes", .gauge, "Memory that is resident.")
    static let processFiles = MetricFamily("process_open_fds", .gauge, "File descriptors that are open.")
    static let processFilesMax = MetricFamily("process_max_fds", .gauge, "File descriptors that may be open.")
    static let processStart = MetricFamily("process_start_time_seconds", .gauge, "When the process began, in Unix time.")
}
