import ConfigurationJudgement
import Testing

@Suite("What changes in providers, clients, upstreams, listeners and limits")
struct StageChangeTests {
    @Test("Who vouches for callers, and whose tokens are accepted", arguments: [
        Pair("Another pool", "us-west-2_Pool1" => "us-west-2_Pool2", expect: [
            "weaker alpha: callers are vouched for by https://cognito-idp.us-west-2.amazonaws.com/us-west-2_Pool2 instead of https://cognito-idp.us-west-2.amazonaws.com/us-west-2_Pool1",
        ]),
        Pair("Keys from a file", "  browser_client:" => "  key_set_file: keys.json\n  browser_client:", expect: ["weaker alpha: tokens are checked with the keys of keys.json"]),
        Pair("Keys from the provider", before: ["  browser_client:" => "  key_set_file: keys.json\n  browser_client:"], "  key_set_file: keys.json\n" => "", expect: [
            "neutral alpha: tokens are checked with the keys that the provider publishes",
        ]),
        Pair("Another authority of the provider", "user_pool: us-west-2_Pool1" => "user_pool: us-west-2_Pool1, ca_file: ca.pem", expect: [
            "weaker alpha: the provider is believed on the word of ca.pem",
        ]),
        Pair("Other login pages", "https://login.example.com" => "https://login2.example.com", expect: ["weaker alpha: browsers log in at https://login2.example.com"]),
        Pair("Another browser client", "id: browser1" => "id: browser2", expect: ["weaker alpha: browsers log in by client browser2 instead of browser1"]),
        Pair("The secret elsewhere", "{ env: SECRET }" => "{ file: secret }", expect: ["neutral alpha: the browser client's secret comes from another place"]),
        Pair("A client more", "    - { id: client2" => "    - { id: client9, name: robots }\n    - { id: client2", expect: ["weaker alpha: client robots (client9) may call with its access tokens"]),
        Pair("A client less", "    - { id: client2, name: nightly, scopes: [metaflow/write], groups: [science] }\n" => "", expect: ["stronger alpha: client nightly (client2) may no longer call"]),
        Pair("Another name of a client", "name: nightly" => "name: by-night", expect: ["neutral alpha: client by-night was called nightly"]),
        Pair("ID tokens too", "name: nightly," => "name: nightly, token_use: [access, id],", expect: ["weaker alpha: client nightly may call with its ID tokens too"]),
        Pair("No ID tokens any more", before: ["name: nightly," => "name: nightly, token_use: [access, id],"], ", token_use: [access, id]" => "", expect: [
            "stronger alpha: client nightly may no longer call with its ID tokens",
        ]),
        Pair("No scope asked of a client", "scopes: [metaflow/write], " => "", expect: ["weaker alpha: client nightly no longer requires scope metaflow/write"]),
        Pair("A scope asked of a client with users", "redirect_ports: [8400]" => "redirect_ports: [8400], scopes: [openid]", expect: [
            "stronger alpha: client command-line now requires scope openid",
            "weaker alpha: client command-line now admits programs without a user, of whom no groups are asked",
        ]),
        Pair("Another group of a client", "groups: [science] }" => "groups: [science, guests] }", expect: ["weaker alpha: client nightly now lets in group guests too"]),
        Pair("A group asked of a client", "redirect_ports: [8400]" => "redirect_ports: [8400], groups: [science]", expect: ["stronger alpha: client command-line now requires group science"]),
        Pair("A redirect port more", "redirect_ports: [8400]" => "redirect_ports: [8400, 8401]", expect: ["weaker alpha: client command-line may be sent back to the loopback ports 8401"]),
        Pair("A redirect port less", before: ["redirect_ports: [8400]" => "redirect_ports: [8400, 8401]"], "[8400, 8401]" => "[8400]", expect: [
            "stronger alpha: client command-line is no longer sent back to the loopback ports 8401",
        ]),
        Pair("An audience more", "  browser_client:" => "  audiences: [resource]\n  browser_client:", expect: ["weaker alpha: access tokens may be made for resource"]),
        Pair("An audience less", before: ["  browser_client:" => "  audiences: [resource]\n  browser_client:"], "  audiences: [resource]\n" => "", expect: [
            "stronger alpha: access tokens may no longer be made for resource",
        ]),
        Pair("More clock skew", "  browser_client:" => "  clock_skew: 5m\n  browser_client:", expect: ["weaker alpha: tokens are accepted 5m after their end, and were 30s"]),
        Pair("Less clock skew", "  browser_client:" => "  clock_skew: 0s\n  browser_client:", expect: ["stronger alpha: tokens are accepted 0s after their end, and were 30s"]),
        Pair("Longer tokens", "  browser_client:" => "  token_bytes_max: 12KiB\n  browser_client:", expect: ["neutral alpha: tokens are read up to 12KiB"]),
    ])
    func identity(pair: Pair) throws { #expect(try pair.changes == pair.expected) }

    @Test("Stages, and how they are reached", arguments: [
        Pair("Another name", "stage: alpha" => "stage: first", expect: ["neutral first: has another name, first instead of alpha"]),
        Pair("Another public address", "host: alpha.example.com" => "host: alpha.example.com\npublic_url: \"https://alpha.example.com:8443\"", expect: [
            "neutral alpha: has another public address, https://alpha.example.com:8443",
        ]),
        Pair("A stage more: its public paths are news", "[alpha.yaml]" => "[alpha.yaml, beta.yaml]", expect: ["neutral beta: is served at beta.example.com", "weaker beta: /open becomes public"]),
        Pair("A stage less", before: ["[alpha.yaml]" => "[alpha.yaml, beta.yaml]"], "[alpha.yaml, beta.yaml]" => "[alpha.yaml]", expect: [
            "stronger gateway: stage beta is no longer served at beta.example.com",
        ]),
    ])
    func stages(pair: Pair) throws { #expect(try pair.changes == pair.expected) }

    @Test("Upstreams", arguments: [
        Pair("Plain text in place of TLS", "secure: { endpoints: [\"https://10.0.0.3:443\"], ca_file: ca.pem, server_name: secure.example.com }" => "secure: { endpoints: [\"http://10.0.0.3:443\"] }", expect: [
            "weaker alpha: upstream secure is spoken to in plain text", "neutral alpha: upstream secure has the endpoints http://10.0.0.3:443",
        ]),
        Pair("TLS in place of plain text", "metadata: { endpoints: [\"http://10.0.0.1:8080\"] }" => "metadata: { endpoints: [\"https://10.0.0.1:8080\"] }", expect: [
            "stronger alpha: upstream metadata is spoken to over TLS", "neutral alpha: upstream metadata has the endpoints https://10.0.0.1:8080",
        ]),
        Pair("Another authority", "ca_file: ca.pem" => "ca_file: other.pem", expect: ["weaker alpha: upstream secure is believed on the word of other.pem"]),
        Pair("Any authority", "ca_file: ca.pem, " => "", expect: ["weaker alpha: upstream secure is believed on the word of the system's authorities"]),
        Pair("Another name to prove", "server_name: secure.example.com" => "server_name: other.example.com", expect: ["weaker alpha: upstream secure must prove to be other.example.com"]),
        Pair("Other endpoints", "http://10.0.0.1:8080" => "http://10.0.0.1:8081", expect: ["neutral alpha: upstream metadata has the endpoints http://10.0.0.1:8081"]),
        Pair("An upstream more", "  ui:" => "  more: { endpoints: [\"http://10.0.0.5:80\"] }\n  ui:", expect: ["neutral alpha: upstream more is new"]),
        Pair("Other checks, balance, failures, times and limits", "[\"http://10.0.0.1:8080\"]" => "[\"http://10.0.0.1:8080\"], health: /ping, balance: least_requests, failures: metaflow, connect_timeout: 1s, pending_max: 1", expect: [
            "neutral alpha: upstream metadata is checked at /ping", "neutral alpha: upstream metadata is balanced another way", "neutral alpha: upstream metadata fails as metaflow",
            "neutral alpha: upstream metadata has other timeouts", "neutral alpha: upstream metadata has other limits",
        ]),
        Pair("An upstream turned to the endpoints of a stricter one", "http://10.0.0.2:8083" => "http://10.0.0.1:8080", expect: [
            "neutral alpha: upstream ui has the endpoints http://10.0.0.1:8080", "weaker alpha: /static leads to upstream ui, which asked for more until now",
        ]),
    ])
    func upstreams(pair: Pair) throws { #expect(try pair.changes == pair.expected) }

    @Test("Listeners, logins and limits", arguments: [
        Pair("TLS 1.2 too", "minimum_version: \"1.3\"" => "minimum_version: \"1.2\"", expect: ["weaker gateway: listener 127.0.0.1:8443 speaks TLS 1.2 too"]),
        Pair("No TLS 1.2 any more", before: ["minimum_version: \"1.3\"" => "minimum_version: \"1.2\""], "minimum_version: \"1.2\"" => "minimum_version: \"1.3\"", expect: [
            "stronger gateway: listener 127.0.0.1:8443 no longer speaks TLS 1.2",
        ]),
        Pair("Another certificate", "chain: chain.pem" => "chain: new.pem", expect: ["neutral gateway: listener 127.0.0.1:8443 shows the certificates new.pem"]),
        Pair("Wider trust", "[10.0.0.0/16]" => "[10.0.0.0/8]", expect: ["weaker gateway: listener 127.0.0.1:8443 believes 10.0.0.0/8 too about client addresses"]),
        Pair("More trust", "[10.0.0.0/16]" => "[10.0.0.0/16, 10.2.0.0/16]", expect: ["weaker gateway: listener 127.0.0.1:8443 believes 10.2.0.0/16 too about client addresses"]),
        Pair("Narrower trust", "[10.0.0.0/16]" => "[10.0.1.0/24]", expect: ["stronger gateway: listener 127.0.0.1:8443 no longer believes 10.0.0.0/16 about client addresses"]),
        Pair("Trust by another means", "proxy_protocol: { trusted" => "x_forwarded_for: { trusted", expect: [
            "weaker gateway: listener 127.0.0.1:8443 believes X-Forwarded-For of 10.0.0.0/16 about client addresses",
        ]),
        Pair("No trust", "{ proxy_protocol: { trusted: [10.0.0.0/16] } }" => "peer", expect: [
            "stronger gateway: listener 127.0.0.1:8443 takes the TCP peer for the client",
            // It has that limit by default only where listeners know their clients.
            "weaker alpha: the command-line API no longer limits the requests of a client (was 300 a minute)",
        ]),
        Pair("A new listener that is more lenient", "  - { address: 127.0.0.1:8080" => "  - address: 127.0.0.1:9443\n    tls: { certificates: [{ chain: chain.pem, key: key.pem }] }\n    client_address: { x_forwarded_for: { trusted: [10.1.0.0/16] } }\n  - { address: 127.0.0.1:8080", expect: [
            "neutral gateway: listener 127.0.0.1:9443 is new", "weaker gateway: listener 127.0.0.1:9443 speaks TLS 1.2",
            "weaker gateway: listener 127.0.0.1:9443 believes 10.1.0.0/16 about client addresses",
        ]),
        Pair("A listener less", "  - { address: 127.0.0.1:8080, redirect_to_https: true }\n" => "", expect: ["neutral gateway: listener 127.0.0.1:8080 is gone"]),
        Pair("Longer logins", "lifetime: 24h, idle: 8h" => "lifetime: 48h, idle: 24h", expect: ["weaker gateway: a login lives 2d at the longest, and lived 1d", "weaker gateway: an unused login lives 1d, and lived 8h"]),
        Pair("Shorter logins", "lifetime: 24h, idle: 8h" => "lifetime: 12h, idle: 1h", expect: ["stronger gateway: a login lives 12h at the longest, and lived 1d", "stronger gateway: an unused login lives 1h, and lived 8h"]),
        Pair("Another key ring", "lifetime: 24h, idle" => "keys: { file: ring.json }, lifetime: 24h, idle", expect: ["neutral gateway: logins are sealed with another key ring"]),
        Pair("A revocation file", "limits:" => "revocation: { file: revoked.json }\nlimits:", expect: ["neutral gateway: revocations are read from revoked.json"]),
        Pair("No revocation file any more", before: ["limits:" => "revocation: { file: revoked.json }\nlimits:"], "revocation: { file: revoked.json }\n" => "", expect: [
            "weaker gateway: revocations of revoked.json no longer hold",
        ]),
        Pair("Metrics for the network", "limits:" => "admin: { metrics_address: \"10.0.0.1:9090\" }\nlimits:", expect: ["weaker gateway: metrics are served at 10.0.0.1:9090"]),
        Pair("No metrics", "limits:" => "admin: { metrics_address: \"off\" }\nlimits:", expect: ["stronger gateway: metrics are not served any more"]),
        Pair("Limits taken away", "limits: { requests_per_connection: 1000, connection_age: 1h }" => "limits: { requests_per_connection: \"off\", connection_age: \"off\" }", expect: [
            "weaker gateway: a connection carries any number of requests, and carried 1000", "weaker gateway: a connection lives without end, and lived 1h",
        ]),
        Pair("Limits moved", "connection_age: 1h }" => "connection_age: 2h, body_bytes: 1MiB, connections: 5 }", expect: [
            "neutral gateway: limits.body_bytes is 1MiB instead of 64MiB", "neutral gateway: limits.connections is 5 instead of 20000", "neutral gateway: a connection lives 2h",
        ]),
        Pair("Times, log, drain", "limits:" => "timeouts: { head: 5s }\nlog: { level: debug }\ndrain: { accept_for: 200s }\nlimits:", expect: [
            "neutral gateway: messages from debug on are written", "neutral gateway: draining accepts for 200s and finishes for 1m", "neutral gateway: clients have other times",
        ]),
    ])
    func process(pair: Pair) throws { #expect(try pair.changes == pair.expected) }

    @Test("The command-line API", arguments: [
        Pair("Its limit gone", before: ["policy: { groups: [science, operators]" => "command_line_api: { requests_per_minute: 10 }\npolicy: { groups: [science, operators]"],
             "requests_per_minute: 10" => "requests_per_minute: \"off\"", expect: ["weaker alpha: the command-line API no longer limits the requests of a client (was 10 a minute)"]),
        Pair("AWS credentials", "policy: { groups: [science, operators]" => "command_line_api: { identity_pool: { id: \"us-west-2:00000000-0000-0000-0000-000000000000\", region: us-west-2 } }\npolicy: { groups: [science, operators]", expect: [
            "weaker alpha: the command-line API gives AWS credentials of identity pool us-west-2:00000000-0000-0000-0000-000000000000",
        ]),
        Pair("Another setting", "policy: { groups: [science, operators]" => "command_line_api: { settings: { METAFLOW_DEFAULT_DATASTORE: s3 } }\npolicy: { groups: [science, operators]", expect: [
            "neutral alpha: the command-line API gives other settings: METAFLOW_DEFAULT_DATASTORE",
        ]),
    ])
    func service(pair: Pair) throws { #expect(try pair.changes == pair.expected) }
}
