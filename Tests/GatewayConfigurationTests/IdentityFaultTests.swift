import Testing

@Suite struct IdentityFaultTests {
    @Test("An identity that would let in the wrong callers, or none, is refused", arguments: cases)
    func reports(change: Change) {
        #expect(change.diagnostics == change.expected)
    }

    static let cases: [Change] = [
        .stage("No identity", "identity:\n  cognito: { region: us-west-2, user_pool: us-west-2_Pool1 }\n  clients: [{ id: client1, name: command-line }]\n", "", ["stage.yaml:1:1: identity: is missing. It takes a mapping."]),
        .stage("An identity without a provider", "  cognito: { region: us-west-2, user_pool: us-west-2_Pool1 }\n", "", ["stage.yaml:4:3: identity: names no provider. Give cognito: { region, user_pool } or oidc: { issuer }."]),
        .stage("Two providers", "  clients: [{ id: client1, name: command-line }]\n", "  clients: [{ id: client1, name: command-line }]\n  oidc: { issuer: \"https://login.example.com\" }\n", ["stage.yaml:6:9: identity.oidc: stands beside cognito; a stage has one provider. Take one away."]),
        .stage("Cognito without a pool", ", user_pool: us-west-2_Pool1", "", ["stage.yaml:4:12: identity.cognito.user_pool: is missing. It takes a user pool id, REGION_Name."]),
        .stage("Cognito without a region", "region: us-west-2, ", "", ["stage.yaml:4:12: identity.cognito.region: is missing. It takes an AWS region, us-west-2."]),
        .stage("A region that is none", "region: us-west-2", "region: oregon", ["stage.yaml:4:22: identity.cognito.region: oregon is not an AWS region, us-west-2."]),
        .stage("A pool of another region", "user_pool: us-west-2_Pool1", "user_pool: eu-west-1_Pool1", ["stage.yaml:4:44: identity.cognito.user_pool: eu-west-1_Pool1 is not a pool of region us-west-2. A pool's id begins with its region."]),
        .stage("A pool id that is none", "user_pool: us-west-2_Pool1", "user_pool: Pool1", ["stage.yaml:4:44: identity.cognito.user_pool: Pool1 is not a user pool id, REGION_Name."]),
        .stage("A pool ARN in place of its id", "user_pool: us-west-2_Pool1", "user_pool: \"arn:aws:cognito-idp:us-west-2:1:userpool/us-west-2_Pool1\"", ["stage.yaml:4:44: identity.cognito.user_pool: arn:aws:cognito-idp:us-west-2:1:userpool/us-west-2_Pool1 is not a user pool id, REGION_Name."]),
        .stage("A domain that is no address", "user_pool: us-west-2_Pool1", "user_pool: us-west-2_Pool1, domain: metaflow-alpha", ["stage.yaml:4:69: identity.cognito.domain: metaflow-alpha is not an https address without query, or plain http on loopback."]),
        .stage("An endpoint in plain text", "user_pool: us-west-2_Pool1", "user_pool: us-west-2_Pool1, endpoint: \"http://cognito.example.com\"", ["stage.yaml:4:71: identity.cognito.endpoint: http://cognito.example.com is not an https address without query, or plain http on loopback. Tokens and keys may not cross a network in plain text; write https."]),
        .stage("An authority file that is missing", "user_pool: us-west-2_Pool1", "user_pool: us-west-2_Pool1, ca_file: nobody.pem", ["stage.yaml:4:70: identity.cognito.ca_file: nobody.pem does not exist. Name a file that this process may read."]),
        .stage("An audience for Cognito, which is another setting", "user_pool: us-west-2_Pool1", "user_pool: us-west-2_Pool1, audiences: [a]", ["stage.yaml:4:61: identity.cognito.audiences: is not a setting here. It belongs in identity."]),
        .stage("An OIDC provider without issuer", "cognito: { region: us-west-2, user_pool: us-west-2_Pool1 }", "oidc: {}", ["stage.yaml:4:9: identity.oidc.issuer: is missing. It takes an https address as the provider spells it in iss, or plain http on loopback."]),
        .stage("An issuer in plain text", "cognito: { region: us-west-2, user_pool: us-west-2_Pool1 }", "oidc: { issuer: \"http://login.example.com\" }", ["stage.yaml:4:19: identity.oidc.issuer: http://login.example.com is not an https address as the provider spells it in iss, or plain http on loopback. Tokens and keys may not cross a network in plain text; write https."]),
        .stage("An issuer with a query", "cognito: { region: us-west-2, user_pool: us-west-2_Pool1 }", "oidc: { issuer: \"https://login.example.com/?tenant=1\" }", ["stage.yaml:4:19: identity.oidc.issuer: https://login.example.com/?tenant=1 is not an https address as the provider spells it in iss, or plain http on loopback."]),
        .stage("A key set address with a user", "cognito: { region: us-west-2, user_pool: us-west-2_Pool1 }", "oidc: { issuer: \"https://login.example.com\", key_set_url: \"https://u:p@login.example.com/k\" }", ["stage.yaml:4:61: identity.oidc.key_set_url: \"https://«secret»@login.example.com/k\" is not an https address without query, or plain http on loopback."]),
        .stage("A key set file that is missing", "  clients: [{ id: client1, name: command-line }]\n", "  clients: [{ id: client1, name: command-line }]\n  key_set_file: jwks.json\n", ["stage.yaml:6:17: identity.key_set_file: jwks.json does not exist. Name a file that this process may read."]),
        .stage("Neither clients nor a browser client", "  clients: [{ id: client1, name: command-line }]\n", "", [
            "stage.yaml:4:3: identity: names no client, so a token of any client of the provider would do. List clients, or give browser_client.",
            "stage.yaml:8:5: routes[0].credentials: takes bearer tokens, but identity.clients lists nobody whose tokens are accepted. List the clients.",
        ]),
        .stage("An empty list of clients and a route for bearer tokens", "[{ id: client1, name: command-line }]", "[]", [
            "stage.yaml:4:3: identity: names no client, so a token of any client of the provider would do. List clients, or give browser_client.",
            "stage.yaml:9:5: routes[0].credentials: takes bearer tokens, but identity.clients lists nobody whose tokens are accepted. List the clients.",
        ]),
        .stage("A client without id", "id: client1, ", "", ["stage.yaml:5:13: identity.clients[0].id: is missing. It takes printable ASCII without spaces, at most 256 bytes."]),
        .stage("A client without name", ", name: command-line", "", ["stage.yaml:5:13: identity.clients[0].name: is missing. It takes a name of letters, digits, '-', '_' and '.', at most 64 bytes."]),
        .stage("A client id with a space", "id: client1", "id: \"client 1\"", ["stage.yaml:5:19: identity.clients[0].id: \"client 1\" is not printable ASCII without spaces, at most 256 bytes."]),
        .stage("A client twice", "name: command-line }]", "name: command-line }, { id: client1, name: other }]", ["stage.yaml:5:56: identity.clients[1].id: client1 is the id of an earlier client. List a client once."]),
        .stage("A client name twice", "name: command-line }]", "name: command-line }, { id: client2, name: command-line }]", ["stage.yaml:5:71: identity.clients[1].name: command-line is the name of an earlier client. Logs tell clients apart by name."]),
        .stage("An unknown token use", "name: command-line", "name: command-line, token_use: [refresh]", ["stage.yaml:5:60: identity.clients[0].token_use[0]: refresh is not one of access | id."]),
        .stage("No token use", "name: command-line", "name: command-line, token_use: []", ["stage.yaml:5:59: identity.clients[0].token_use: is empty. It takes a list of 1…2, each access | id."]),
        .stage("A token use that is no list", "name: command-line", "name: command-line, token_use: access", ["stage.yaml:5:59: identity.clients[0].token_use: takes a list of 1…2, each access | id."]),
        .stage("Scopes demanded of ID tokens", "name: command-line", "name: command-line, token_use: [id], scopes: [a/b]", ["stage.yaml:5:73: identity.clients[0].scopes: ID tokens carry no scopes, so none of this client's tokens would ever do. Take scopes away, or accept access tokens."]),
        .stage("A redirect port that is none", "name: command-line", "name: command-line, redirect_ports: [http]", ["stage.yaml:5:65: identity.clients[0].redirect_ports[0]: http is not a whole number. It takes 1…65535."]),
        .stage("A scope with a space", "name: command-line", "name: command-line, scopes: [\"a b\"]", ["stage.yaml:5:57: identity.clients[0].scopes[0]: \"a b\" is not printable ASCII without spaces, at most 256 bytes."]),
        .stage("A clock skew of an hour", "  clients: [{ id: client1, name: command-line }]\n", "  clients: [{ id: client1, name: command-line }]\n  clock_skew: 1h\n", ["stage.yaml:6:15: identity.clock_skew: 1h is outside 0s…5m. Set a value in that range."]),
        .stage("Tokens larger than the header that carries them", "  clients: [{ id: client1, name: command-line }]\n", "  clients: [{ id: client1, name: command-line }]\n  token_bytes_max: 17KiB\n", ["stage.yaml:6:20: identity.token_bytes_max: 17KiB is outside 1KiB…16KiB. Set a value in that range."]),
        .stage("A browser client without secret", "  clients: [{ id: client1, name: command-line }]\n", "  clients: [{ id: client1, name: command-line }]\n  browser_client: { id: b }\n", [
            "stage.yaml:4:12: identity.cognito.domain: is missing, and browser_client needs the login pages there. Set it to the pool's domain, https://….amazoncognito.com.",
            "stage.yaml:6:19: identity.browser_client.secret: is missing. It takes { file: PATH } or { env: NAME }.",
        ]),
        .stage("A browser client whose secret is written out", "  clients: [{ id: client1, name: command-line }]\n", "  clients: [{ id: client1, name: command-line }]\n  browser_client: { id: b, secret: hunter2-hunter2 }\n", [
            "stage.yaml:4:12: identity.cognito.domain: is missing, and browser_client needs the login pages there. Set it to the pool's domain, https://….amazoncognito.com.",
            "stage.yaml:6:36: identity.browser_client.secret: a secret may not be written into the configuration. Name where it is: { file: PATH } or { env: NAME }.",
        ]),
        .stage("A browser client whose secret is a number", "  clients: [{ id: client1, name: command-line }]\n", "  clients: [{ id: client1, name: command-line }]\n  browser_client: { id: b, secret: 1234567890 }\n", [
            "stage.yaml:4:12: identity.cognito.domain: is missing, and browser_client needs the login pages there. Set it to the pool's domain, https://….amazoncognito.com.",
            "stage.yaml:6:36: identity.browser_client.secret: a secret may not be written into the configuration. Name where it is: { file: PATH } or { env: NAME }.",
        ]),
        .stage("A browser client whose secret file is missing", "  clients: [{ id: client1, name: command-line }]\n", "  clients: [{ id: client1, name: command-line }]\n  browser_client: { id: b, secret: { file: nowhere } }\n", [
            "stage.yaml:4:12: identity.cognito.domain: is missing, and browser_client needs the login pages there. Set it to the pool's domain, https://….amazoncognito.com.",
            "stage.yaml:6:44: identity.browser_client.secret: nowhere does not exist. Name a file that this process may read.",
        ]),
        .stage("A browser client whose variable is not set", "  clients: [{ id: client1, name: command-line }]\n", "  clients: [{ id: client1, name: command-line }]\n  browser_client: { id: b, secret: { env: UNSET } }\n", [
            "stage.yaml:4:12: identity.cognito.domain: is missing, and browser_client needs the login pages there. Set it to the pool's domain, https://….amazoncognito.com.",
            "stage.yaml:6:43: identity.browser_client.secret: the environment variable UNSET is not set. Set it, or name a file.",
        ]),
        .stage("A browser client without login pages", "  clients: [{ id: client1, name: command-line }]\n", "  clients: [{ id: client1, name: command-line }]\n  browser_client: { id: b, secret: { env: SET } }\n", ["stage.yaml:4:12: identity.cognito.domain: is missing, and browser_client needs the login pages there. Set it to the pool's domain, https://….amazoncognito.com."]),
        .stage("A secret under another name", "  clients: [{ id: client1, name: command-line }]\n", "  clients: [{ id: client1, name: command-line }]\n  browser_client: { id: b, client_secret: hunter2-hunter2, secret: { env: SET } }\n", [
            "stage.yaml:4:12: identity.cognito.domain: is missing, and browser_client needs the login pages there. Set it to the pool's domain, https://….amazoncognito.com.",
            "stage.yaml:6:28: identity.browser_client.client_secret: is not a setting. Known here: id, secret.",
        ]),
        .stage("A misspelt setting beside a route that takes tokens", "  clients: [{ id: client1, name: command-line }]\n", "  client: []\n", [
            "stage.yaml:4:3: identity: names no client, so a token of any client of the provider would do. List clients, or give browser_client.",
            "stage.yaml:5:3: identity.client: is not a setting. Did you mean clients?",
            "stage.yaml:9:5: routes[0].credentials: takes bearer tokens, but identity.clients lists nobody whose tokens are accepted. List the clients.",
        ]),
        .stage("A key written twice in an identity", "  clients: [{ id: client1, name: command-line }]\n", "  clients: [{ id: client1, name: command-line }]\n  clock_skew: 10s\n  clock_skew: 20s\n", ["stage.yaml:7:3: identity.clock_skew: is written twice; the first stands on line 6. Keep one."]),
        .stage("A password in an address", "cognito: { region: us-west-2, user_pool: us-west-2_Pool1 }", "oidc: { issuer: \"https://user:hunter2@login.example.com\" }", ["stage.yaml:4:19: identity.oidc.issuer: \"https://«secret»@login.example.com\" is not an https address as the provider spells it in iss, or plain http on loopback."]),
    ]
}
