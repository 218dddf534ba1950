import GatewayConfiguration

/// The smallest configuration that is accepted; the tests below change it in one place.
enum Example {
    static let process = """
    listeners:
      - address: 127.0.0.1:8443
        tls: { certificates: [{ chain: chain.pem, key: key.pem }] }
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

    /// A stage that serves the command-line API; its `/cli` stands on line 9, and what is added begins on line 10.
    static let serving = stage
        .replacingFirst("us-west-2_Pool1 }", with: "us-west-2_Pool1, domain: \"https://login.example.com\" }")
        .replacingFirst("name: command-line }", with: "name: command-line, redirect_ports: [8400, 8401] }")
        .replacingFirst("  - { path: /, upstream: service, credentials: [bearer] }", with: "  - { path: /cli, service: command-line-api }\n  - { path: /, upstream: service, credentials: [bearer] }")

    static let files = files(process: process, stage: stage)

    static func files(process: String, stage: String) -> [String: String] {
        ["g.yaml": process, "stage.yaml": stage, "chain.pem": "", "key.pem": "", "ca.pem": "", "keys.json": "{}", "secret": "hunter2-hunter2\n", "empty": "\n",
         "metaflow_gateway_extension-1.2.0-py3-none-any.whl": "PK\u{3}\u{4} wheel", "metaflow_gateway_extension-1.3.0-py3-none-any.whl": "no archive"]
    }

    static let environment = ["SET": "hunter2-hunter2", "EMPTY": ""]
}
