import Testing

@Suite struct ListenerFaultTests {
    @Test("A listener that nobody could reach, or that would trust anybody, is refused", arguments: cases)
    func reports(change: Change) {
        #expect(change.diagnostics == change.expected)
    }

    static let cases: [Change] = [
        .process("No listeners", "listeners:\n  - address: 127.0.0.1:8443\n    tls: { certificates: [{ chain: chain.pem, key: key.pem }] }\n", "", ["g.yaml:1:1: listeners: is missing. It takes a list of 1…64 mappings."]),
        .process("An empty list of listeners", "listeners:\n  - address: 127.0.0.1:8443\n    tls: { certificates: [{ chain: chain.pem, key: key.pem }] }\n", "listeners: []\n", ["g.yaml:1:12: listeners: is empty. It takes a list of 1…64 mappings."]),
        .process("A listener that does nothing", "    tls: { certificates: [{ chain: chain.pem, key: key.pem }] }\n", "", ["g.yaml:2:5: listeners[0]: must have tls with certificates, or redirect_to_https: true; requests are never served in plain text."]),
        .process("A listener that is a word", "stages:", "  - 8080\nstages:", ["g.yaml:4:5: listeners[1]: must be a mapping, KEY: VALUE."]),
        .process("Only a redirect", "    tls: { certificates: [{ chain: chain.pem, key: key.pem }] }", "    redirect_to_https: true", ["g.yaml:2:3: listeners: none of them speaks TLS, so no stage can be reached. Give one tls with certificates."]),
        .process("TLS and a redirect on one listener", "stages:", "    redirect_to_https: true\nstages:", ["g.yaml:4:24: listeners[0].redirect_to_https: a listener that speaks TLS has nothing to redirect. Take redirect_to_https or tls away."]),
        .process("A redirect that is switched off", "stages:", "  - { address: 127.0.0.1:8080, redirect_to_https: false }\nstages:", ["g.yaml:4:5: listeners[1]: must have tls with certificates, or redirect_to_https: true; requests are never served in plain text."]),
        .process("A redirect that is a word", "stages:", "  - { address: 127.0.0.1:8080, redirect_to_https: yes }\nstages:", ["g.yaml:4:51: listeners[1].redirect_to_https: yes is neither true nor false."]),
        .process("TLS without certificates", "certificates: [{ chain: chain.pem, key: key.pem }]", "minimum_version: \"1.3\"", ["g.yaml:3:10: listeners[0].tls.certificates: is missing. It takes a list of 1…64 mappings."]),
        .process("TLS with an empty list of certificates", "[{ chain: chain.pem, key: key.pem }]", "[]", ["g.yaml:3:26: listeners[0].tls.certificates: is empty. It takes a list of 1…64 mappings."]),
        .process("A certificate without its key", ", key: key.pem", "", ["g.yaml:3:27: listeners[0].tls.certificates[0].key: is missing. It takes the path of a file, relative to this one."]),
        .process("A certificate file that is missing", "chain: chain.pem", "chain: other.pem", ["g.yaml:3:36: listeners[0].tls.certificates[0].chain: other.pem does not exist. Name a file that this process may read."]),
        .process("A key file that is missing", "key: key.pem", "key: keys/key.pem", ["g.yaml:3:52: listeners[0].tls.certificates[0].key: keys/key.pem does not exist. Name a file that this process may read."]),
        .process("TLS 1.1", "key: key.pem }]", "key: key.pem }], minimum_version: 1.1", ["g.yaml:3:81: listeners[0].tls.minimum_version: 1.1 is not one of 1.2 | 1.3."]),
        .process("A cipher list, which is not a setting", "key: key.pem }]", "key: key.pem }], ciphers: HIGH", ["g.yaml:3:64: listeners[0].tls.ciphers: is not a setting. Known here: certificates, minimum_version."]),
        .process("The same address twice", "stages:", "  - { address: 127.0.0.1:8443, redirect_to_https: true }\nstages:", ["g.yaml:4:16: listeners[1].address: 127.0.0.1:8443 is taken by listeners[0].address. Choose another port."]),
        .adding("The health address on a listener", "health: { address: 127.0.0.1:8443 }", ["g.yaml:5:20: health.address: 127.0.0.1:8443 is taken by listeners[0].address. Choose another port."]),
        .adding("The metrics address on the health address", "health: { address: 127.0.0.1:9090 }", ["g.yaml:5:20: health.address: 127.0.0.1:9090 is taken by admin.metrics_address. Choose another port."]),
        .process("A public port out of range", "stages:", "    public_port: 0\nstages:", ["g.yaml:4:18: listeners[0].public_port: 0 is outside 1…65535. Set a value in that range."]),
        .process("A client address that is no word of the table", "stages:", "    client_address: xff\nstages:", ["g.yaml:4:21: listeners[0].client_address: xff is not one of peer, { proxy_protocol: … } or { x_forwarded_for: … }."]),
        .process("The PROXY protocol from anybody", "stages:", "    client_address: proxy_protocol\nstages:", ["g.yaml:4:21: listeners[0].client_address: proxy_protocol is not one of peer, { proxy_protocol: … } or { x_forwarded_for: … }. Say who is trusted: { proxy_protocol: { trusted: [10.0.0.0/8] } }."]),
        .process("The PROXY protocol without trusted ranges", "stages:", "    client_address: { proxy_protocol: {} }\nstages:", ["g.yaml:4:39: listeners[0].client_address.proxy_protocol.trusted: is missing. It takes a list of 1…1000, each an address range, 10.0.0.0/8 or 2001:db8::/32."]),
        .process("The PROXY protocol with an empty list", "stages:", "    client_address: { proxy_protocol: { trusted: [] } }\nstages:", ["g.yaml:4:50: listeners[0].client_address.proxy_protocol.trusted: is empty. It takes a list of 1…1000, each an address range, 10.0.0.0/8 or 2001:db8::/32."]),
        .process("X-Forwarded-For with an empty list", "stages:", "    client_address: { x_forwarded_for: { trusted: [] } }\nstages:", ["g.yaml:4:51: listeners[0].client_address.x_forwarded_for.trusted: is empty. It takes a list of 1…1000, each an address range, 10.0.0.0/8 or 2001:db8::/32."]),
        .process("X-Forwarded-For from the whole Internet", "stages:", "    client_address: { x_forwarded_for: { trusted: [0.0.0.0/0] } }\nstages:", ["g.yaml:4:51: listeners[0].client_address.x_forwarded_for.trusted: 0.0.0.0/0 trusts everybody, so anybody may say to be anybody. Name the proxies' own networks."]),
        .process("Traces from the whole Internet", "stages:", "    trace_context_from: [\"::/0\"]\nstages:", ["g.yaml:4:25: listeners[0].trace_context_from: ::/0 trusts everybody, so anybody may say to be anybody. Name the proxies' own networks."]),
        .process("A range with bits behind its prefix", "stages:", "    client_address: { x_forwarded_for: { trusted: [10.1.2.3/8] } }\nstages:", ["g.yaml:4:52: listeners[0].client_address.x_forwarded_for.trusted[0]: 10.1.2.3/8 is not an address range, 10.0.0.0/8 or 2001:db8::/32; no bits may stand behind the prefix."]),
        .process("A range that is a host name", "stages:", "    client_address: { x_forwarded_for: { trusted: [proxy.example.com] } }\nstages:", ["g.yaml:4:52: listeners[0].client_address.x_forwarded_for.trusted[0]: proxy.example.com is not an address range, 10.0.0.0/8 or 2001:db8::/32; no bits may stand behind the prefix."]),
        .process("A range listed twice", "stages:", "    client_address: { x_forwarded_for: { trusted: [10.0.0.0/8, 10.0.0.0/8] } }\nstages:", ["g.yaml:4:64: listeners[0].client_address.x_forwarded_for.trusted[1]: 10.0.0.0/8 is listed twice. Keep one."]),
        .process("Two sources of the client address", "stages:", "    client_address: { proxy_protocol: { trusted: [10.0.0.0/8] }, x_forwarded_for: { trusted: [10.0.0.0/8] } }\nstages:", ["g.yaml:4:21: listeners[0].client_address: must hold exactly one of proxy_protocol, x_forwarded_for."]),
        .process("A misspelt source of the client address", "stages:", "    client_address: { proxy_protocoll: { trusted: [10.0.0.0/8] } }\nstages:", ["g.yaml:4:23: listeners[0].client_address.proxy_protocoll: is not a setting. Did you mean proxy_protocol?"]),
        .process("A client address that is a list", "stages:", "    client_address: [peer]\nstages:", ["g.yaml:4:21: listeners[0].client_address: takes peer, { proxy_protocol: … } or { x_forwarded_for: … }."]),
        .adding("A metrics address on a listener", "admin: { metrics_address: 127.0.0.1:8443 }", ["g.yaml:5:27: admin.metrics_address: 127.0.0.1:8443 is taken by listeners[0].address. Choose another port."]),
        .adding("A misspelt key of health beside an address", "health: { adress: 127.0.0.1:8000 }", ["g.yaml:5:11: health.adress: is not a setting. Did you mean address?"]),
    ]
}
