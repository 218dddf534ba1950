import ControlPlane
import GatewayConfiguration
import Testing

/// A gateway and an NLB that fit, as `deploy/cloudformation/ingress.yaml` makes it; each test bends one thing.
private enum Example {
    static let process = """
    listeners:
      - address: "[::]:8443"
        tls: { certificates: [{ chain: chain.pem, key: key.pem }] }
        client_address: { proxy_protocol: { trusted: [10.0.0.0/8] } }
      - address: "[::]:8080"
        redirect_to_https: true
    stages: [stage.yaml]

    """
    static let stage = """
    stage: alpha
    host: alpha.example.com
    identity:
      cognito: { region: us-west-2, user_pool: us-west-2_Pool1 }
      clients: [{ id: client1, name: command-line }]
    upstreams:
      service: { endpoints: ["http://10.0.0.1:8080"] }
    routes:
      - { path: /, upstream: service, credentials: [bearer] }

    """
    static let groups = #"""
    {"TargetGroups": [{"TargetGroupArn": "arn:aws:x", "TargetGroupName": "tls", "Protocol": "TLS", "Port": 8443, "VpcId": "vpc-1",
      "HealthCheckProtocol": "HTTP", "HealthCheckPort": "8086", "HealthCheckEnabled": true, "HealthCheckIntervalSeconds": 10,
      "HealthCheckTimeoutSeconds": 5, "HealthyThresholdCount": 2, "UnhealthyThresholdCount": 2, "HealthCheckPath": "/readyz",
      "Matcher": {"HttpCode": "200"}, "TargetType": "ip"}]}
    """#
    static let attributes = #"""
    {"Attributes": [{"Key": "proxy_protocol_v2.enabled", "Value": "true"}, {"Key": "deregistration_delay.timeout_seconds", "Value": "300"},
      {"Key": "target_health_state.unhealthy.connection_termination.enabled", "Value": "false"}]}
    """#
    static let listeners = #"{"Listeners": [{"Port": 443, "Protocol": "TLS", "AlpnPolicy": ["HTTP2Preferred"]}]}"#

    static func review(process: String = process, _ files: [String] = [groups, attributes, listeners]) throws -> LoadBalancerReview {
        let surroundings = Surroundings.memory(["g.yaml": process, "stage.yaml": stage, "chain.pem": "", "key.pem": ""])
        var loadBalancer = LoadBalancer()
        for file in files {
            let bytes = Array(file.utf8)
            try loadBalancer.read(bytes.span)
        }
        return LoadBalancerReview(try Configuration.load(path: "g.yaml", surroundings: surroundings).get().configuration, loadBalancer)
    }
}

@Suite("A configuration held against its load balancer")
struct LoadBalancerReviewTests {
    @Test("that fits it has no findings, and the times that follow from both")
    func fits() throws {
        let review = try Example.review()
        #expect(review.findings == [])
        #expect(review.timers.map(\.name) == ["idle connections", "drain", "terminationGracePeriodSeconds, TimeoutStopSec", "deregistration", "tls: readiness"])
        #expect(review.timers.map(\.value).contains("at least 330s"))
        #expect(review.text.hasSuffix("no contradictions"))
    }

    /// What stands in the process's file or in AWS's answers, what stands in its place, and what the finding is about.
    @Test("is told what contradicts", arguments: [
        ("stages:", "timeouts: { keep_alive: 350s }\nstages:", "timeouts.keep_alive"),
        ("stages:", "drain: { accept_for: 60s }\nstages:", "drain.accept_for"),
        ("stages:", "drain: { accept_for: 300s, finish_for: 60s }\nstages:", "deregistration_delay.timeout_seconds"),
        ("\"HealthCheckIntervalSeconds\": 10", "\"HealthCheckIntervalSeconds\": 300", "drain.accept_for"),
        ("\"Value\": \"300\"", "\"Value\": \"30\"", "deregistration_delay.timeout_seconds"),
        ("connection_termination.enabled\", \"Value\": \"false\"", "connection_termination.enabled\", \"Value\": \"true\"", "target_health_state.unhealthy.connection_termination.enabled"),
        ("proxy_protocol_v2.enabled\", \"Value\": \"true\"", "proxy_protocol_v2.enabled\", \"Value\": \"false\"", "proxy_protocol_v2.enabled"),
        ("    client_address: { proxy_protocol: { trusted: [10.0.0.0/8] } }\n", "", "proxy_protocol_v2.enabled"),
        ("\"HealthCheckPort\": \"8086\"", "\"HealthCheckPort\": \"traffic-port\"", "tls HealthCheckPort"),
        ("\"HealthCheckPort\": \"8086\"", "\"HealthCheckPort\": \"8080\"", "tls HealthCheckPort"),
        ("\"HealthCheckPort\": \"8086\"", "\"HealthCheckPort\": \"9000\"", "tls HealthCheckPort"),
        ("\"HealthCheckProtocol\": \"HTTP\"", "\"HealthCheckProtocol\": \"TCP\"", "tls HealthCheckProtocol"),
        ("\"HealthCheckProtocol\": \"HTTP\"", "\"HealthCheckProtocol\": \"HTTPS\"", "tls HealthCheckProtocol"),
        ("/readyz", "/livez", "tls HealthCheckPath"), ("/readyz", "/", "tls HealthCheckPath"),
        ("\"Protocol\": \"TLS\", \"Port\": 8443", "\"Protocol\": \"UDP\", \"Port\": 8443", "tls Protocol"),
        ("\"Protocol\": \"TLS\", \"Port\": 8443", "\"Protocol\": \"HTTPS\", \"Port\": 8443", "tls Protocol"),
        ("\"Protocol\": \"TLS\", \"Port\": 8443", "\"Protocol\": \"TCP\", \"Port\": 8443", "listener 443 Protocol"),
    ])
    func contradicts(written: String, instead: String, about: String) throws {
        let change = { (text: String) in text.contains(written) ? text.split(separator: written, maxSplits: 1, omittingEmptySubsequences: false).joined(separator: instead) : text }
        let sources = [Example.process, Example.groups, Example.attributes, Example.listeners]
        #expect(sources.contains { $0.contains(written) })
        let review = try Example.review(process: change(Example.process), [change(Example.groups), change(Example.attributes), change(Example.listeners)])
        #expect(review.findings.filter(\.isContradiction).map(\.about) == [about])
        #expect(review.contradictions == 1)
        #expect(review.json.contains("\"severity\":\"contradiction\",\"about\":\"\(about)\""))
    }

    @Test("takes the times that AWS names in place of the usual ones")
    func readsIdle() throws {
        let idle = #"{"Attributes": [{"Key": "tcp.idle_timeout.seconds", "Value": "60"}]}"#
        #expect(try Example.review([Example.groups, Example.attributes, idle]).findings.map(\.about) == ["timeouts.keep_alive"])
        let long = #"{"Attributes": [{"Key": "tcp.idle_timeout.seconds", "Value": "6000"}]}"#
        #expect(try Example.review(process: Example.process + "timeouts: { keep_alive: 300s }\n", [Example.groups, Example.attributes, long]).findings == [])
    }

    @Test("does not judge what no file tells, and says so")
    func notes() throws {
        let review = try Example.review([Example.groups])
        #expect(review.findings.map(\.about) == ["proxy_protocol_v2.enabled"])
        #expect(review.contradictions == 0)
        let elsewhere = try Example.review([Example.groups.split(separator: "8443").joined(separator: "443"), Example.attributes])
        #expect(elsewhere.findings.map(\.about) == ["tls Port"])
        #expect(elsewhere.contradictions == 0)
    }

    @Test("reads answers in one array as well as in files of their own")
    func readsArrays() throws {
        #expect(try Example.review(["[\(Example.groups), \(Example.attributes), \(Example.listeners)]"]).findings == [])
    }

    @Test("refuses a file that is no answer of AWS", arguments: ["", "{", "[]", "{}", "\"TargetGroups\"", "{\"Attributes\": [{\"Key\": 1}]}", "{\"LoadBalancers\": []}"])
    func refuses(file: String) { #expect(throws: LoadBalancer.Fault.self) { try Example.review([file]) } }

    @Test("survives numbers that are no times")
    func survives() throws {
        let wild = Example.groups.split(separator: "\"HealthCheckIntervalSeconds\": 10").joined(separator: "\"HealthCheckIntervalSeconds\": 9223372036854775807")
        let attributes = #"{"Attributes": [{"Key": "deregistration_delay.timeout_seconds", "Value": "-9223372036854775808"}, {"Key": "tcp.idle_timeout.seconds", "Value": "99999999999999999999"}]}"#
        #expect(try Example.review([wild, attributes]).contradictions == 0)
    }
}
