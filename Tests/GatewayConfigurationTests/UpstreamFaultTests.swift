import Testing

@Suite struct UpstreamFaultTests {
    @Test("An upstream that could not be reached or told apart is refused", arguments: cases)
    func reports(change: Change) {
        #expect(change.diagnostics == change.expected)
    }

    static let cases: [Change] = [
        .stage("No endpoints", "endpoints: [\"http://10.0.0.1:8080\"]", "failures: browser", ["stage.yaml:7:12: upstreams.service.endpoints: is missing. It takes a list of 1…256, each http://HOST:PORT or https://HOST:PORT."]),
        .stage("An empty list of endpoints", "endpoints: [\"http://10.0.0.1:8080\"]", "endpoints: []", ["stage.yaml:7:25: upstreams.service.endpoints: is empty. It takes a list of 1…256, each http://HOST:PORT or https://HOST:PORT."]),
        .stage("An endpoint without a scheme", "endpoints: [\"http://10.0.0.1:8080\"]", "endpoints: [\"10.0.0.1:8080\"]", ["stage.yaml:7:26: upstreams.service.endpoints[0]: 10.0.0.1:8080 is not http://HOST:PORT or https://HOST:PORT."]),
        .stage("An endpoint with a path", "endpoints: [\"http://10.0.0.1:8080\"]", "endpoints: [\"http://10.0.0.1:8080/v1\"]", ["stage.yaml:7:26: upstreams.service.endpoints[0]: http://10.0.0.1:8080/v1 is not http://HOST:PORT or https://HOST:PORT. Leave the path out; the route decides what the server sees."]),
        .stage("An endpoint of another scheme", "endpoints: [\"http://10.0.0.1:8080\"]", "endpoints: [\"grpc://10.0.0.1:8080\"]", ["stage.yaml:7:26: upstreams.service.endpoints[0]: grpc://10.0.0.1:8080 is not http://HOST:PORT or https://HOST:PORT."]),
        .stage("An endpoint with port 0", "endpoints: [\"http://10.0.0.1:8080\"]", "endpoints: [\"http://10.0.0.1:0\"]", ["stage.yaml:7:26: upstreams.service.endpoints[0]: http://10.0.0.1:0 is not http://HOST:PORT or https://HOST:PORT."]),
        .stage("An endpoint that is a mapping", "endpoints: [\"http://10.0.0.1:8080\"]", "endpoints: [{ host: 10.0.0.1 }]", ["stage.yaml:7:26: upstreams.service.endpoints[0]: takes a single value: http://HOST:PORT or https://HOST:PORT."]),
        .stage("Endpoints of two schemes", "endpoints: [\"http://10.0.0.1:8080\"]", "endpoints: [\"https://10.0.0.1:8080\", \"http://10.0.0.2:8080\"]", ["stage.yaml:7:51: upstreams.service.endpoints: http://10.0.0.2:8080 stands beside https endpoints. All of an upstream's endpoints are https, or none."]),
        .stage("An endpoint twice", "endpoints: [\"http://10.0.0.1:8080\"]", "endpoints: [\"http://10.0.0.1:8080\", \"http://10.0.0.1:8080\"]", ["stage.yaml:7:50: upstreams.service.endpoints[1]: http://10.0.0.1:8080 is listed twice. Keep one."]),
        .stage("An authority for http endpoints", "endpoints: [\"http://10.0.0.1:8080\"]", "endpoints: [\"http://10.0.0.1:8080\"], ca_file: ca.pem", ["stage.yaml:7:60: upstreams.service.ca_file: belongs to https endpoints, and these are http. Take it away, or write https."]),
        .stage("A server name for http endpoints", "endpoints: [\"http://10.0.0.1:8080\"]", "endpoints: [\"http://10.0.0.1:8080\"], server_name: a.example.com", ["stage.yaml:7:64: upstreams.service.server_name: belongs to https endpoints, and these are http. Take it away, or write https."]),
        .stage("An authority file that is missing", "endpoints: [\"http://10.0.0.1:8080\"]", "endpoints: [\"https://10.0.0.1:8080\"], ca_file: nobody.pem", ["stage.yaml:7:61: upstreams.service.ca_file: nobody.pem does not exist. Name a file that this process may read."]),
        .stage("An unknown failure profile", "endpoints: [\"http://10.0.0.1:8080\"]", "endpoints: [\"http://10.0.0.1:8080\"], failures: metaflo", ["stage.yaml:7:61: upstreams.service.failures: metaflo is not one of metaflow | browser. Did you mean metaflow?"]),
        .stage("An unknown balance", "endpoints: [\"http://10.0.0.1:8080\"]", "endpoints: [\"http://10.0.0.1:8080\"], balance: roundrobin", ["stage.yaml:7:60: upstreams.service.balance: roundrobin is not one of round_robin, least_requests or { hash: … }. Did you mean round_robin?"]),
        .stage("A hash of nothing", "endpoints: [\"http://10.0.0.1:8080\"]", "endpoints: [\"http://10.0.0.1:8080\"], balance: { hash: header }", ["stage.yaml:7:68: upstreams.service.balance.hash: header is not one of login_session | client_address."]),
        .stage("A balance with two parts", "endpoints: [\"http://10.0.0.1:8080\"]", "endpoints: [\"http://10.0.0.1:8080\"], balance: { hash: login_session, weights: 3 }", ["stage.yaml:7:83: upstreams.service.balance.weights: is not a setting. Known here: hash."]),
        .stage("An empty balance", "endpoints: [\"http://10.0.0.1:8080\"]", "endpoints: [\"http://10.0.0.1:8080\"], balance: {}", ["stage.yaml:7:60: upstreams.service.balance.hash: is missing. It takes login_session | client_address."]),
        .stage("A health path without a slash", "endpoints: [\"http://10.0.0.1:8080\"]", "endpoints: [\"http://10.0.0.1:8080\"], health: ping", ["stage.yaml:7:59: upstreams.service.health: ping is not a path in canonical form, /ping. Begin it with /."]),
        .stage("A health check without a path", "endpoints: [\"http://10.0.0.1:8080\"]", "endpoints: [\"http://10.0.0.1:8080\"], health: { interval: 5s }", ["stage.yaml:7:59: upstreams.service.health.path: is missing. It takes a path in canonical form, /ping."]),
        .stage("A health check whose timeout is longer than its interval", "endpoints: [\"http://10.0.0.1:8080\"]", "endpoints: [\"http://10.0.0.1:8080\"], health: { path: /ping, interval: 2s, timeout: 3s }", ["stage.yaml:7:97: upstreams.service.health.timeout: 3s is longer than interval, 2s, so that checks would overtake each other. Set less."]),
        .stage("A health path with a query", "endpoints: [\"http://10.0.0.1:8080\"]", "endpoints: [\"http://10.0.0.1:8080\"], health: { path: \"/ping?x\" }", ["stage.yaml:7:67: upstreams.service.health.path: /ping?x is not a path in canonical form, /ping. A route matches paths, not queries."]),
        .stage("A connect timeout of zero", "endpoints: [\"http://10.0.0.1:8080\"]", "endpoints: [\"http://10.0.0.1:8080\"], connect_timeout: 0s", ["stage.yaml:7:68: upstreams.service.connect_timeout: 0s is outside 10ms…1m. Set a value in that range."]),
        .stage("Keep-alive as a number", "endpoints: [\"http://10.0.0.1:8080\"]", "endpoints: [\"http://10.0.0.1:8080\"], keep_alive: 50", ["stage.yaml:7:63: upstreams.service.keep_alive: 50 is neither true nor false."]),
        .stage("No connections at all", "endpoints: [\"http://10.0.0.1:8080\"]", "endpoints: [\"http://10.0.0.1:8080\"], connections_max: 0", ["stage.yaml:7:68: upstreams.service.connections_max: 0 is outside 1…65535. Set a value in that range."]),
        .stage("An upstream whose name has a slash", "  service:", "  a/b: { endpoints: [\"http://10.0.0.2:80\"] }\n  service:", ["stage.yaml:7:3: upstreams.a/b: a/b is not a name of letters, digits, '-', '_' and '.', at most 64 bytes."]),
        .stage("An upstream that is a list", "service: { endpoints: [\"http://10.0.0.1:8080\"] }", "service: [\"http://10.0.0.1:8080\"]", ["stage.yaml:7:12: upstreams.service: must be a mapping, KEY: VALUE."]),
        .stage("Upstreams that are a list", "upstreams:\n  service: { endpoints: [\"http://10.0.0.1:8080\"] }", "upstreams: [{ name: service }]", [
            "stage.yaml:6:12: upstreams: must be a mapping, KEY: VALUE.",
            "stage.yaml:8:26: routes[0].upstream: service is no upstream of this stage. There are none.",
        ]),
        .stage("A password in an endpoint", "endpoints: [\"http://10.0.0.1:8080\"]", "endpoints: [\"ftp://user:hunter2@10.0.0.1\"]", ["stage.yaml:7:26: upstreams.service.endpoints[0]: \"ftp://«secret»@10.0.0.1\" is not http://HOST:PORT or https://HOST:PORT."]),
    ]
}
