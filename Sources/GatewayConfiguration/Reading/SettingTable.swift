internal import GatewayTerms

/// Every setting there is. Known keys, defaults, allowed ranges and the comments of `config/gateway.yaml` and
/// `config/stages/alpha.yaml` come from here and nowhere else.
package enum SettingTable {
    /// The rows of `gateway.yaml`, in its order.
    package static let process: [Setting] = listeners + operations + limits + timeouts + compression + [
        Setting("approve", .list(.text(8192), 0...1000), .default("[]"), "Changes of this file that make the gateway weaker and are meant, word for word as check --against prints them."),
        Setting("stages", .list(.file, 1...64), .required, "The files of the stages, one each; the gateway serves their hosts and no others."),
    ]

    /// The rows of a stage's file, in its order; their paths begin with `stage.`.
    package static let stage: [Setting] = stageItself + identity + upstreams + routes + commandLineAPI

    package static let all: [Setting] = process + stage

    /// The rows directly below a section, by key.
    static func rows(below section: String) -> [String: Setting] { sections[section] ?? [:] }

    /// The rows directly below a section that must be written, by path.
    static func required(below section: String) -> [Setting] { requirements[section] ?? [] }

    private static let requirements: [String: [Setting]] = sections.mapValues { rows in
        rows.values.filter { $0.presence == .required }.sorted { $0.path < $1.path }
    }

    /// Where else a key is known, for "it belongs in"; the sections' paths, sorted.
    static func sectionsKnowing(_ key: String, inStage: Bool) -> [String] {
        sections.filter { ($0.key == "stage" || $0.key.hasPrefix("stage.")) == inStage && $0.value[key] != nil }.map(\.key).sorted()
    }

    private static let sections: [String: [String: Setting]] = Dictionary(grouping: all, by: \.parent)
        .mapValues { Dictionary($0.map { ($0.key, $0) }, uniquingKeysWith: { first, _ in first }) }

    private static let listeners: [Setting] = [
        Setting("listeners", .sections(1...64), .required, reload: .restart, "Addresses that clients connect to; at least one speaks TLS."),
        Setting("listeners[].address", .one(.socketAddress(or: nil)), .required, reload: .restart, "Where clients connect; [::] is every address of both families."),
        Setting("listeners[].tls", .section, .optional("the listener must say redirect_to_https"), "Speak TLS 1.2 and 1.3 here and serve every stage."),
        Setting("listeners[].tls.certificates", .sections(1...64), .required, "Chosen by the host that the client names, exact before wildcard; the first serves clients that name none."),
        Setting("listeners[].tls.certificates[].chain", .one(.file), .required, "PEM: the leaf certificate, then its issuers."),
        Setting("listeners[].tls.certificates[].key", .one(.file), .required, "PEM: the private key of the leaf."),
        Setting("listeners[].tls.minimum_version", .one(.word(["1.2", "1.3"])), .default("1.2"), "The oldest TLS version that is spoken."),
        Setting("listeners[].redirect_to_https", .one(.boolean), .default("false"), "Speak plain HTTP here and answer everything with 308 to https."),
        Setting("listeners[].public_port", .one(.count(1...65_535, or: nil)), .default("443"), "The https port that clients see, for redirects and X-Forwarded-Port."),
        Setting("listeners[].client_address", .either("peer, { proxy_protocol: … } or { x_forwarded_for: … }"), .default("peer"), "Who counts as the client: the TCP peer, or what a trusted proxy says."),
        Setting("listeners[].client_address.proxy_protocol", .section, .optional("no PROXY protocol header is read"), "Require a PROXY protocol v2 header from trusted peers, as an NLB sends it; refuse all other connections."),
        Setting("listeners[].client_address.proxy_protocol.trusted", .list(.addressRange, 1...1000), .required, "The proxies' addresses; an empty list would trust nobody and is refused."),
        Setting("listeners[].client_address.x_forwarded_for", .section, .optional("X-Forwarded-For is deleted unread"), "Take the last address of X-Forwarded-For that is not trusted itself, from trusted peers only."),
        Setting("listeners[].client_address.x_forwarded_for.trusted", .list(.addressRange, 1...1000), .required, "The proxies' addresses; an empty list would trust nobody and is refused."),
        Setting("listeners[].trace_context_from", .list(.addressRange, 0...1000), .default("[]"), "Callers, as the PROXY protocol or else TCP names them, whose traceparent and tracestate go on; all other requests begin a trace of their own."),
    ]

    private static let operations: [Setting] = [
        Setting("health", .section, .optional("its defaults hold"), reload: .restart, "Plain HTTP for load balancers and probes: /livez and /readyz."),
        Setting("health.address", .one(.socketAddress(or: nil)), .default("[::]:8086"), reload: .restart, "Where probes connect; never a port that expects the PROXY protocol."),
        Setting("admin", .section, .optional("its defaults hold"), reload: .restart, "What operators ask: status, reload, drain, metrics."),
        Setting("admin.socket", .one(.file), .default("/run/metaflow-gateway/admin.sock"), reload: .restart, "The UNIX socket of the operators' commands, mode 0600."),
        Setting("admin.metrics_address", .one(.socketAddress(or: "off")), .default("127.0.0.1:9090"), reload: .restart, "Where Prometheus fetches /metrics, in plain HTTP and to anybody who can connect."),
        Setting("access_log", .section, .optional("its defaults hold"), "One JSON object a line for each request."),
        Setting("access_log.path", .one(.logDestination), .default("stdout"), reload: .restart, "Where the lines go; a file is reopened on SIGUSR1."),
        Setting("log", .section, .optional("its defaults hold"), "The process's own messages, on standard error."),
        Setting("log.level", .one(.word(Configuration.Log.Level.allCases.map(\.rawValue))), .default("info"), "The least important message that is written."),
        Setting("state_directory", .one(.file), .default("/var/lib/metaflow-gateway"), reload: .restart, "Keeps the last good key sets and the last accepted configuration over a restart."),
        Setting("event_loops", .one(.count(1...256, or: "cores")), .default("cores"), reload: .restart, "Threads that serve connections."),
        Setting("reload", .section, .optional("its defaults hold"), "When the configuration is read anew, beside the command reload and SIGHUP."),
        Setting("reload.watch_files", .one(.boolean), .default("true"), "Reads it as soon as one of its files has changed, certificates, keys and secrets among them; a faulty one is refused whole and the old one goes on."),
        Setting("drain", .section, .optional("its defaults hold"), "What SIGTERM begins: readiness fails at once; SIGINT or a second signal stops at once."),
        Setting("drain.accept_for", .one(.duration(.zero ... .seconds(3600), or: nil)), .default("240s"), "Keeps accepting so long, since an NLB sends new connections for three to five minutes more."),
        Setting("drain.finish_for", .one(.duration(.zero ... .seconds(3600), or: nil)), .default("60s"), "Lets what is in flight finish so long; then the process ends."),
        Setting("drain.quiet_for", .one(.duration(.milliseconds(100) ... .seconds(3600), or: nil)), .default("30s"), "Ends the drain early when so long no client is connected and no probe has come to the health port."),
        Setting("login_sessions", .section, .optional("its defaults hold"), "The browser's logins, sealed into cookies."),
        Setting("login_sessions.keys", .secret, .optional("a ring is made in state_directory, which other replicas do not know"), "The key ring that seals the cookies."),
        Setting("login_sessions.lifetime", .one(.duration(.seconds(300) ... .seconds(30 * 86_400), or: nil)), .default("24h"), "A login ends so long after it began."),
        Setting("login_sessions.idle", .one(.duration(.seconds(60) ... .seconds(30 * 86_400), or: nil)), .default("8h"), "A login ends so long after its last request."),
        Setting("revocation", .section, .optional("only signing out revokes"), "Tokens and logins that are refused before their end."),
        Setting("revocation.file", .one(.file), .optional("no file is followed"), "A JSON file of revoked tokens, logins, people and clients; it is looked at four times a second, and a version that cannot be read leaves the last good one in force."),
    ]

    private static let limits: [Setting] = [
        Setting("limits", .section, .optional("its defaults hold"), "What a client may take."),
        Setting("limits.head_bytes", .one(.bytes(.kibibytes(1) ... .kibibytes(64))), .default("60KiB"), "Request line and header section together; over it, 431."),
        Setting("limits.field_line_bytes", .one(.bytes(ByteCount(256) ... .kibibytes(64))), .default("8KiB"), "One field line, except Cookie and Authorization; over it, 431."),
        Setting("limits.cookie_bytes", .one(.bytes(ByteCount(256) ... .kibibytes(64))), .default("24KiB"), "The Cookie field line; over it, 431."),
        Setting("limits.authorization_bytes", .one(.bytes(ByteCount(256) ... .kibibytes(64))), .default("17KiB"), "The Authorization field line; over it, 431."),
        Setting("limits.fields", .one(.count(16...1000, or: nil)), .default("100"), "Field lines in a head, each cookie crumb of HTTP/2 counted; over it, 431."),
        Setting("limits.target_bytes", .one(.bytes(ByteCount(256) ... .kibibytes(8))), .default("8KiB"), "The request target; over it, 414."),
        Setting("limits.body_bytes", .one(.bytes(.kibibytes(1) ... ByteCount(1 << 40))), .default("64MiB"), "A request body, where the route sets no limit of its own; over it, 413."),
        Setting("limits.connections", .one(.count(1...1_000_000, or: nil)), .default("20000"), "Client connections in all; one more is closed at once."),
        Setting("limits.handshakes", .one(.count(1...65_536, or: nil)), .default("512"), "TLS handshakes at a time, each event loop its share; one more is closed at once."),
        Setting("limits.http2_streams", .one(.count(1...1000, or: nil)), .default("100"), "Streams that an HTTP/2 client may have open at a time; one more is refused, and the client may send it again."),
        Setting("limits.requests_per_connection", .one(.count(1...1_000_000, or: "off")), .default("1000"), "Then the connection closes after the response, so that load spreads over replicas."),
        Setting("limits.connection_age", .one(.duration(.seconds(60) ... .seconds(7 * 86_400), or: "off")), .default("1h"), "Then the connection closes after the response, so that load spreads over replicas."),
    ]

    private static let timeouts: [Setting] = [
        Setting("timeouts", .section, .optional("its defaults hold"), "How long a client may take."),
        Setting("timeouts.head", .one(.duration(.milliseconds(100) ... .seconds(300), or: nil)), .default("10s"), "From the first byte of a head to its end; then 408."),
        Setting("timeouts.handshake", .one(.duration(.milliseconds(100) ... .seconds(300), or: nil)), .default("10s"), "The TLS handshake; then the connection closes."),
        Setting("timeouts.proxy_protocol", .one(.duration(.milliseconds(100) ... .seconds(60), or: nil)), .default("5s"), "The PROXY protocol header; then the connection closes."),
        Setting("timeouts.keep_alive", .one(.duration(.seconds(1) ... .seconds(6000), or: nil)), .default("340s"), "Between requests; below the 350 s after which an NLB forgets a connection and answers with a reset."),
        Setting("timeouts.http2_ping", .one(.duration(.seconds(1) ... .seconds(3600), or: nil)), .default("60s"), "Without a byte on an HTTP/2 connection the client is asked whether it is there; if no answer comes within as long again, at most 20 s, the connection closes."),
        Setting("timeouts.body_idle", .one(.duration(.seconds(1) ... .seconds(3600), or: nil)), .default("30s"), "Without a byte of a request body; then 408, likewise for a body that is this old and slower than 1 KiB/s."),
        Setting("timeouts.stream_idle", .one(.duration(.seconds(15) ... .seconds(86_400), or: nil)), .default("300s"), "Without a byte in either direction of a WebSocket or event stream; then it closes."),
        Setting("timeouts.stream_age", .one(.duration(.seconds(1) ... .seconds(30 * 86_400), or: nil)), .default("12h"), "The age of a WebSocket or event stream that a login or token let in; then it closes, and earlier where the login or token ends."),
        Setting("timeouts.send_idle", .one(.duration(.seconds(1) ... .seconds(3600), or: nil)), .default("60s"), "Without the client reading any of a response; then the connection closes."),
    ]

    private static let compression: [Setting] = [
        Setting("compression", .section, .optional("its defaults hold"), "Compresses pages, JSON, SVG, scripts and other text that an upstream sends uncompressed, with gzip, where the client reads it; never event streams, nor what another site asks for with a browser's cookies."),
        Setting("compression.enabled", .one(.boolean), .default("true"), "Compresses, except on routes that say compress: false."),
        Setting("compression.level", .one(.count(1...9, or: nil)), .default("4"), "From 1, the fastest, to 9, the smallest."),
        Setting("compression.minimum_bytes", .one(.bytes(ByteCount(0) ... .kibibytes(1024))), .default("1KiB"), "A body that is known to be shorter leaves as it is."),
        Setting("compression.streams", .one(.count(1...65_536, or: nil)), .default("256"), "Bodies that are compressed at a time, about 160 KiB of memory each; one more leaves as it is."),
    ]

    private static let stageItself: [Setting] = [
        Setting("stage.stage", .one(.name), .required, "The stage's name, in logs and messages."),
        Setting("stage.host", .one(.hostname), .required, "The host that clients name; no other stage has it."),
        Setting("stage.public_url", .one(.publicURL), .optional("https:// and the host"), "The address that browsers see; redirect URIs are built from it and never from a request."),
        Setting("stage.policy", .section, .optional("anybody whom the identity provider vouches for is let in"), "What every route demands that has no policy of its own."),
        Setting("stage.policy.groups", .list(.text(256), 0...100), .default("[]"), "A person must be in one of these groups; an empty list demands none. Programs without a user are let in by their client's scopes."),
        Setting("stage.policy.scopes", .list(.token, 0...100), .default("[]"), "The caller's token must carry each of these scopes."),
    ] + rules("stage.policy", without: "no rule is asked") + [
        Setting("stage.approve", .list(.text(8192), 0...1000), .default("[]"), "Changes that make this stage weaker and are meant, word for word as check --against prints them; take them away once they are live."),
    ]

    /// The rules of a policy (C10), the same for stages and routes.
    private static func rules(_ policy: String, without: String) -> [Setting] {
        let rule = policy + ".rules[]"
        return [
            Setting(policy + ".rules", .sections(0...32), .optional(without), "Asked in order after groups and scopes: the first rule whose condition holds decides, and whom none fits is refused."),
            Setting(rule + ".name", .one(.name), .required, "The rule's name, for the 403 and the log."),
            Setting(rule + ".decision", .one(.word(Configuration.Policy.Rule.Decision.allCases.map(\.rawValue))), .required, "What the rule does with whom it fits."),
            Setting(rule + ".when", .either("a mapping with exactly one question"), .required, "Whom the rule fits; what cannot be known about a caller counts against them."),
            Setting(rule + ".when.any", .sections(1...32), .optional("another question must be there"), "At least one of these conditions holds."),
            Setting(rule + ".when.all", .sections(1...32), .optional("another question must be there"), "Each of these conditions holds."),
            Setting(rule + ".when.not", .section, .optional("another question must be there"), "This condition does not hold."),
            Setting(rule + ".when.group", .one(.text(256)), .optional("another question must be there"), "The caller is in this group."),
            Setting(rule + ".when.scope", .one(.token), .optional("another question must be there"), "The caller's token or login carries this scope."),
            Setting(rule + ".when.client", .one(.token), .optional("another question must be there"), "The caller's client has this name or id; browser is the browser's."),
            Setting(rule + ".when.address", .one(.addressRange), .optional("another question must be there"), "The client's address, by the listener's client_address, is in this range."),
            Setting(rule + ".when.claim", .one(.token), .optional("another question must be there"), "A claim of the ID or access token, compared as text; of a list, one member is enough. At most 16 names a stage."),
            Setting(rule + ".when.equals", .one(.text(256)), .optional("in must be there beside claim"), "What the claim says."),
            Setting(rule + ".when.in", .list(.text(256), 1...100), .optional("equals must be there beside claim"), "One of these is what the claim says."),
        ]
    }

    private static let identity: [Setting] = [
        Setting("stage.identity", .section, .required, "Who vouches for callers, and which clients may call: exactly one of cognito and oidc, and at least one client."),
        Setting("stage.identity.cognito", .section, .optional("oidc must be there"), "An Amazon Cognito user pool; issuer and key set address follow from region and pool."),
        Setting("stage.identity.cognito.region", .one(.region), .required, "The region of the user pool."),
        Setting("stage.identity.cognito.user_pool", .one(.userPool), .required, "The user pool's id; it begins with the region."),
        Setting("stage.identity.cognito.domain", .one(.url), .optional("no browser can log in"), "Where the hosted login pages are; required with browser_client."),
        Setting("stage.identity.cognito.endpoint", .one(.url), .optional("https://cognito-idp.REGION.amazonaws.com"), "Stands in for Cognito's own address; the pool's id is appended to make the issuer."),
        Setting("stage.identity.cognito.ca_file", .one(.file), .optional("the system's authorities"), "PEM: who vouches for the provider's certificate."),
        Setting("stage.identity.oidc", .section, .optional("cognito must be there"), "Any other OpenID Provider; its endpoints come from discovery."),
        Setting("stage.identity.oidc.issuer", .one(.issuer), .required, "What iss must say, byte for byte; discovery lies below it."),
        Setting("stage.identity.oidc.key_set_url", .one(.url), .optional("discovery tells"), "Where the key set is fetched."),
        Setting("stage.identity.oidc.ca_file", .one(.file), .optional("the system's authorities"), "PEM: who vouches for the provider's certificate."),
        Setting("stage.identity.key_set_file", .one(.file), .optional("the key set is fetched from the provider"), "A JWKS on disk in place of a fetched one."),
        Setting("stage.identity.browser_client", .section, .optional("no route may take login_session"), "The confidential client of the browser's login."),
        Setting("stage.identity.browser_client.id", .one(.token), .required, "The app client's id."),
        Setting("stage.identity.browser_client.secret", .secret, .required, "The app client's secret, named and never written here."),
        Setting("stage.identity.clients", .sections(0...256), .default("[]"), "Who may call with a bearer token; tokens of every other client are refused."),
        Setting("stage.identity.clients[].id", .one(.token), .required, "The app client's id: client_id of access tokens, aud of ID tokens."),
        Setting("stage.identity.clients[].name", .one(.name), .required, "What logs and messages call it."),
        Setting("stage.identity.clients[].token_use", .list(.word(["access", "id"]), 1...2), .default("[access]"), "Which of its tokens are accepted."),
        Setting("stage.identity.clients[].scopes", .list(.token, 0...100), .default("[]"), "Each of these must be among the token's scopes."),
        Setting("stage.identity.clients[].groups", .list(.text(256), 0...100), .default("[]"), "The caller must be in one of these groups; an empty list demands none."),
        Setting("stage.identity.clients[].redirect_ports", .list(.count(1...65_535, or: nil), 0...16), .default("[]"), "Loopback ports registered as callbacks of the command-line login."),
        Setting("stage.identity.audiences", .list(.token, 0...100), .default("[]"), "What aud of an access token may be, where it has one; Cognito's have none unless bound to a resource."),
        Setting("stage.identity.clock_skew", .one(.duration(.zero ... .seconds(300), or: nil)), .default("30s"), "How far the provider's clock may differ when exp, nbf and iat are judged."),
        Setting("stage.identity.token_bytes_max", .one(.bytes(.kibibytes(1) ... .kibibytes(16))), .default("8KiB"), "The longest bearer token that is read; over it, 401."),
    ]

    private static let upstreams: [Setting] = [
        Setting("stage.upstreams", .named(0...1000), .optional("no route may name one"), "Sets of endpoints by name."),
        Setting("stage.upstreams.*.endpoints", .list(.endpoint, 1...256), .required, "The servers, or DNS names that stand for several; all http or all https."),
        Setting("stage.upstreams.*.ca_file", .one(.file), .optional("the system's authorities"), "PEM: who vouches for the certificates of https endpoints."),
        Setting("stage.upstreams.*.server_name", .one(.hostname), .optional("the endpoint's host"), "The name that https endpoints are asked for and must prove."),
        Setting("stage.upstreams.*.health", .either("a path in canonical form, or a mapping"), .optional("an endpoint is judged by its answers alone"), "Asks each endpoint for this path and takes it out while it fails."),
        Setting("stage.upstreams.*.health.path", .one(.healthPath), .required, "What is asked for; any 2xx is well."),
        Setting("stage.upstreams.*.health.interval", .one(.duration(.seconds(1) ... .seconds(300), or: nil)), .default("5s"), "Between two checks of an endpoint."),
        Setting("stage.upstreams.*.health.timeout", .one(.duration(.milliseconds(50) ... .seconds(60), or: nil)), .default("1s"), "An answer later than this is a failure."),
        Setting("stage.upstreams.*.health.unhealthy_after", .one(.count(1...100, or: nil)), .default("3"), "Failures in a row that take an endpoint out."),
        Setting("stage.upstreams.*.health.healthy_after", .one(.count(1...100, or: nil)), .default("2"), "Successes in a row that bring it back."),
        Setting("stage.upstreams.*.failures", .one(.word(Configuration.FailureProfile.allCases.map(\.rawValue))), .default("browser"), "What clients meet when it fails: metaflow is 503 with Retry-After, browser is 502, 503 and 504 pages."),
        Setting("stage.upstreams.*.balance", .either("round_robin, least_requests or { hash: … }"), .default("round_robin"), "Which endpoint gets a request."),
        Setting("stage.upstreams.*.balance.hash", .one(.word(["login_session", "client_address"])), .required, "The same one meets the same endpoint, for servers that keep state per instance."),
        Setting("stage.upstreams.*.connect_timeout", .one(.duration(.milliseconds(10) ... .seconds(60), or: nil)), .default("2s"), "Until a connection stands, its TLS handshake included."),
        Setting("stage.upstreams.*.response_timeout", .one(.duration(.milliseconds(100) ... .seconds(3600), or: nil)), .default("60s"), "From the end of the request to the head of the response; a route's timeout overrides it."),
        Setting("stage.upstreams.*.idle_timeout", .one(.duration(.seconds(1) ... .seconds(3600), or: nil)), .default("50s"), "Closes a pooled connection that rested so long, before the server does it under a request."),
        Setting("stage.upstreams.*.connections_max", .one(.count(1...65_535, or: nil)), .default("256"), "Connections to each of its endpoints, over all event loops."),
        Setting("stage.upstreams.*.pending_max", .one(.count(0...65_535, or: nil)), .default("512"), "Requests that wait for a connection to one of them; one more is a failure of overload."),
        Setting("stage.upstreams.*.pending_timeout", .one(.duration(.milliseconds(10) ... .seconds(60), or: nil)), .default("1s"), "Waiting longer for a connection is a failure of overload."),
        Setting("stage.upstreams.*.keep_alive", .one(.boolean), .default("true"), "Keeps connections open between requests."),
    ]

    private static let routes: [Setting] = [
        Setting("stage.routes", .sections(1...10_000), .required, "What is served: the longest path that holds the request's wins, by whole segments, then a route that names the method."),
        Setting("stage.routes[].path", .one(.routePath), .required, "This path and everything below it."),
        Setting("stage.routes[].methods", .list(.method, 1...7), .optional("every method that no other route of the path names"), "The methods that the route serves."),
        Setting("stage.routes[].upstream", .one(.name), .optional("service, respond or redirect must be there"), "The upstream that gets the request."),
        Setting("stage.routes[].service", .one(.word(Configuration.Route.Service.allCases.map(\.rawValue))), .optional("upstream, respond or redirect must be there"), "A built-in service; it asks for credentials itself where it needs them."),
        Setting("stage.routes[].respond", .one(.status), .optional("upstream, service or redirect must be there"), "Answers with this status, to anybody."),
        Setting("stage.routes[].redirect", .either("a path in canonical form, an https address, or a mapping"), .optional("upstream, service or respond must be there"), "Answers with a redirect, to anybody."),
        Setting("stage.routes[].redirect.to", .one(.redirectTarget), .required, "Where to."),
        Setting("stage.routes[].redirect.status", .one(.word(["301", "302", "303", "307", "308"])), .default("308"), "The kind of redirect; 307 and 308 keep the method."),
        Setting("stage.routes[].credentials", .list(.word(Configuration.Route.Credential.allCases.map(\.rawValue)), 1...3), .optional("the route must say public"), "How callers prove who they are; one of these is enough."),
        Setting("stage.routes[].public", .one(.text(200)), .optional("the route must name credentials"), "Why nobody has to say who they are here."),
        Setting("stage.routes[].policy", .section, .optional("the stage's policy holds"), "What the route demands of its callers; a part that is left out is the stage's."),
        Setting("stage.routes[].policy.groups", .list(.text(256), 0...100), .optional("the stage's groups"), "The caller must be in one of these groups; an empty list demands none."),
        Setting("stage.routes[].policy.scopes", .list(.token, 0...100), .optional("the stage's scopes"), "The caller's token must carry each of these scopes."),
    ] + rules("stage.routes[].policy", without: "the stage's rules hold") + [
        Setting("stage.routes[].policy.widens", .one(.text(200)), .optional("the route may not demand less than its stage"), "Why this route demands less than its stage."),
        Setting("stage.routes[].strip_prefix", .one(.boolean), .default("false"), "Removes the route's path from what the upstream sees."),
        Setting("stage.routes[].failures", .one(.word(Configuration.FailureProfile.allCases.map(\.rawValue))), .optional("the upstream's"), "What clients of this route meet when its upstream fails."),
        Setting("stage.routes[].body_bytes", .one(.bytes(ByteCount(0) ... ByteCount(1 << 40))), .optional("limits.body_bytes"), "The longest request body; over it, 413."),
        Setting("stage.routes[].timeout", .one(.duration(.milliseconds(100) ... .seconds(3600), or: nil)), .optional("the upstream's response_timeout"), "From the end of the request to the head of the response."),
        Setting("stage.routes[].forward_authorization", .one(.boolean), .default("false"), "Passes the caller's token to the upstream."),
        Setting("stage.routes[].allow_path_parameters", .one(.boolean), .default("false"), "Lets a ';' in the path through, which servers read in different ways."),
        Setting("stage.routes[].compress", .one(.boolean), .default("true"), "Compresses what its upstream sends uncompressed, as the section compression says."),
        Setting("stage.routes[].allow_trailers", .list(.fieldName, 0...32), .default("[]"), "Trailer fields that pass; all others are dropped."),
    ]

    private static let commandLineAPI: [Setting] = [
        Setting("stage.command_line_api", .section, .optional("its defaults hold"), "What the service command-line-api tells the Metaflow extension; everybody can read it."),
        Setting("stage.command_line_api.client", .one(.name), .optional("it is the only client with redirect_ports"), "The name of the client that people log in with from the command line."),
        Setting("stage.command_line_api.scopes", .list(.token, 1...50), .default("[openid]"), "What the login asks for, beside the scopes that the client and the stage demand."),
        Setting("stage.command_line_api.settings", .texts(1...200), .optional("runs record under public_url and /api/metadata"), "Metaflow settings of everybody who logs in; METAFLOW_SERVICE_URL must be on public_url."),
        Setting("stage.command_line_api.identity_pool", .section, .optional("artifacts in S3 need AWS credentials from elsewhere"), "The Cognito identity pool that gives temporary AWS credentials for a login."),
        Setting("stage.command_line_api.identity_pool.id", .one(.identityPool), .required, "The identity pool's id; it begins with the region."),
        Setting("stage.command_line_api.identity_pool.region", .one(.region), .required, "The region of the identity pool."),
        Setting("stage.command_line_api.wheel", .one(.file), .optional("nobody can install the extension from here"), "The Metaflow extension, metaflow_gateway_extension-VERSION-py3-none-any.whl, of at most 16MiB; pip installs it from /cli."),
        Setting("stage.command_line_api.minimum_extension_version", .one(.version), .default("1.0.0"), "An older extension tells its user to upgrade."),
        Setting("stage.command_line_api.requests_per_minute", .one(.count(1...1_000_000, or: "off")), .optional("300 where every listener knows its clients by client_address, else no limit"), "How many requests one client address may send, all at once if it likes, over as many connections as there are event loops: each loop counts its share. An IPv6 /64 counts as one address. Over it, 429."),
    ]
}
