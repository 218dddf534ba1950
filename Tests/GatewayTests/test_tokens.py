"""Every refusal of a bearer token: its status, code, sentence, challenge and log line (C1 to C9), and who may pass."""

import json
import time

import pytest
from conftest import POOL, SECOND_POOL
from provider import Key, Provider, base64url, signed


def challenge(error: str | None, description: str = "") -> str:
    if error is None:
        return 'Bearer realm="localhost"'
    return f'Bearer realm="localhost", error="{error}"' + (f', error_description="{description}' if description else "")


class Case:
    """A request, and what it must meet."""

    def __init__(self, make, status: int, code: str, sentence: str, error: str | None = "invalid_token", description: str = "", target: str = "/secure/tokens") -> None:
        self.make, self.status, self.code, self.sentence, self.error, self.description, self.target = make, status, code, sentence, error, description, target


def claims(**changes):
    """Times are seconds from the moment of asking."""
    def make(provider: Provider) -> str:
        now = int(time.time())
        moved = {name: value.add_to(now) if isinstance(value, Moment) else value for name, value in changes.items()}
        return f"Bearer {provider.token(POOL, **moved)}"

    return make


class Moment:
    def __init__(self, seconds: int, as_type: type = int) -> None:
        self.seconds, self.as_type = seconds, as_type

    def add_to(self, now: int):
        return self.as_type(now + self.seconds)


def header(**changes):
    return lambda provider: f"Bearer {signed(provider.keys[POOL][0], provider.claims(POOL), header=changes)}"


def body(text: str):
    return lambda provider: f"Bearer {signed(provider.keys[POOL][0], text)}"


def damaged(change):
    return lambda provider: f"Bearer {change(provider.token(POOL))}"


def swap_claims(token: str) -> str:
    head, _, signature = token.split(".")
    return f"{head}.{base64url(b'{}')}.{signature}"


INVALID = "This is not a valid login token for first"
CASES = {
    # The field
    "no token": Case(lambda provider: None, 401, "token_missing", "This address wants a login", None),
    "an empty bearer": Case(lambda provider: "Bearer", 401, "token_missing", "This address wants a login", None),
    "Basic, as ~/.netrc makes it": Case(lambda provider: "Basic dXNlcjpwYXNz", 401, "wrong_scheme", "~/.netrc entry for localhost", None),
    "another scheme": Case(lambda provider: "Digest a=b", 401, "wrong_scheme", "must be `Bearer` and a token", None),
    "two blanks": Case(lambda provider: f"Bearer  {provider.token(POOL)}", 401, "token_malformed", INVALID, description="token malformed"),
    "a token over 8 KiB": Case(lambda provider: "Bearer " + "a" * 8193, 401, "token_too_large", "larger than 8192 bytes", description="token too large"),
    # Its shape
    # Longer than what stands in a request's id by chance: three hexadecimal digits do.
    "one part": Case(lambda provider: "Bearer just-one-part", 401, "token_malformed", INVALID, description="token malformed"),
    "two parts": Case(lambda provider: "Bearer a.b", 401, "token_malformed", INVALID),
    "four parts": Case(damaged(lambda token: token + ".x"), 401, "token_malformed", INVALID),
    "padding": Case(damaged(lambda token: token + "="), 401, "token_malformed", INVALID),
    "a blank inside": Case(damaged(lambda token: token[:20] + " " + token[20:]), 401, "token_malformed", INVALID),
    "plus and slash": Case(damaged(lambda token: "+/" + token), 401, "token_malformed", INVALID),
    "claims that are no JSON": Case(body("hello"), 401, "token_malformed", INVALID),
    "claims that are a list": Case(body("[]"), 401, "token_malformed", INVALID),
    "claims twice": Case(lambda provider: body('{"iss":"a","iss":"' + provider.issuer(POOL) + '"}')(provider), 401, "token_malformed", INVALID),
    "claims nested too deep": Case(body('{"a":' + "[" * 40 + "]" * 40 + "}"), 401, "token_malformed", INVALID),
    # Its header
    "alg none without a signature": Case(header(alg="none"), 401, "token_malformed", INVALID),
    "alg none with a signature": Case(lambda provider: f"Bearer {signed(provider.keys[POOL][0], provider.claims(POOL), header={'alg': 'none'}, signature=b'x')}", 401, "algorithm_not_allowed", INVALID, description="algorithm not allowed"),
    "alg none in capitals": Case(header(alg="NoNe"), 401, "algorithm_not_allowed", INVALID),
    "HS256 with the public key": Case(header(alg="HS256"), 401, "algorithm_not_allowed", INVALID),
    "ES256": Case(header(alg="ES256"), 401, "algorithm_not_allowed", INVALID),
    "RS512": Case(header(alg="RS512"), 401, "algorithm_not_allowed", INVALID),
    "no alg": Case(header(alg=None), 401, "token_malformed", INVALID),
    "no kid": Case(header(kid=None), 401, "token_malformed", INVALID),
    **{f"a header with {name}": Case(header(**{name: value}), 401, "token_malformed", INVALID) for name, value in {
        "crit": ["exp"], "jku": "https://evil.example/keys", "jwk": {"kty": "RSA"}, "x5u": "https://evil.example/c", "x5c": ["MII"], "zip": "DEF", "b64": False}.items()},
    "another typ": Case(header(typ="JWE"), 401, "token_malformed", INVALID),
    # Its signature
    "a key that signs under another's name": Case(lambda provider: f"Bearer {signed(FORGER, provider.claims(POOL), header={'kid': provider.keys[POOL][0].name})}", 401, "signature_invalid", INVALID, description="signature invalid"),
    "claims of another token": Case(damaged(swap_claims), 401, "token_malformed", INVALID),
    "a signature cut short": Case(lambda provider: f"Bearer {signed(provider.keys[POOL][0], provider.claims(POOL), signature=b'x' * 255)}", 401, "signature_invalid", INVALID),
    "last bits of base64url that mean nothing": Case(damaged(lambda token: token[:-1] + chr(ord(token[-1]) + 1)), 401, "token_malformed", INVALID),
    "no signature": Case(lambda provider: f"Bearer {signed(provider.keys[POOL][0], provider.claims(POOL), signature=b'')}", 401, "token_malformed", INVALID),
    # Its issuer
    "an issuer that nobody knows": Case(claims(iss="https://evil.example"), 401, "issuer_not_allowed", "This token comes from a login that first does not accept", description="issuer not allowed here"),
    "the issuer with a slash more": Case(lambda provider: f"Bearer {provider.token(POOL, iss=provider.issuer(POOL) + '/')}", 401, "issuer_not_allowed", "first does not accept"),
    "a token of another stage": Case(lambda provider: f"Bearer {provider.token(SECOND_POOL)}", 401, "issuer_of_another_stage", "This is a second login; you are calling first", description="token of stage second"),
    "no issuer": Case(claims(iss=None), 401, "token_malformed", INVALID),
    # Its time
    "expired three minutes ago": Case(claims(exp=Moment(-200)), 401, "token_expired", "Your login expired 3 minutes ago", description="token expired 3 minutes ago"),
    "expired days ago": Case(claims(exp=Moment(-5 * 86_400 - 60)), 401, "token_expired", "Your login expired 5 days ago"),
    "no exp": Case(claims(exp=None), 401, "token_malformed", INVALID),
    "exp as text": Case(claims(exp=Moment(100, str)), 401, "token_malformed", INVALID),
    "exp beyond every calendar": Case(claims(exp=10**30), 401, "token_malformed", INVALID),
    "not valid yet": Case(claims(nbf=Moment(600)), 401, "token_not_yet_valid", "valid only from"),
    "made in the future": Case(claims(iat=Moment(600)), 401, "token_not_yet_valid", "the clock of localhost or of its identity provider is wrong"),
    # Its use
    "an ID token": Case(lambda provider: f"Bearer {signed(provider.keys[POOL][0], provider.id_claims(POOL))}", 401, "token_use_not_allowed", "This is an ID token; first wants an access token here", description="kind of token not allowed here"),
    "no token_use": Case(claims(token_use=None), 401, "token_malformed", INVALID),
    "another token_use": Case(claims(token_use="refresh"), 401, "token_malformed", INVALID),
    # Its client
    "a client of the pool that is not listed": Case(claims(client_id="foreign"), 401, "client_not_allowed", "The program that made this login is not one that first accepts", description="client not allowed here"),
    "no client": Case(claims(client_id=None), 401, "token_malformed", INVALID),
    "an access token for another audience": Case(claims(aud="https://elsewhere.example"), 401, "audience_not_allowed", "made for another service", description="audience not allowed here"),
    "an ID token for another client": Case(lambda provider: f"Bearer {signed(provider.keys[POOL][0], provider.id_claims(POOL, aud='foreign'))}", 401, "client_not_allowed", "not one that first accepts"),
    "an ID token for two clients": Case(lambda provider: f"Bearer {signed(provider.keys[POOL][0], provider.id_claims(POOL, aud=[POOL + '-portal', 'foreign']))}", 401, "audience_not_allowed", ""),
    # What it may
    "a client without its scope": Case(claims(client_id=f"{POOL}-nightly", scope="metaflow/read"), 403, "insufficient_scope", "lacks the scope metaflow/write", "insufficient_scope"),
    "a route's scope is missing": Case(claims(scope="metaflow/read"), 403, "insufficient_scope", "lacks the scope metaflow/write", "insufficient_scope", target="/writers/x"),
    "a route's group is missing": Case(claims(**{"cognito:groups": ["guests"]}), 403, "group_missing", "You are not in any of the groups science, operators", "insufficient_scope", target="/science/x"),
    "no groups at all": Case(claims(**{"cognito:groups": None}), 403, "group_missing", "You are not in any of the groups", "insufficient_scope", target="/science/x"),
}
FORGER = Key("forger")


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_token_that_must_not_pass_is_refused_with_its_reason(gateway, upstream, provider: Provider, case: Case):
    before = len(upstream.received)
    value = case.make(provider)
    response = gateway.ask("GET", case.target, [] if value is None else [("Authorization", value)])
    assert response.status == case.status, response.body
    answer = response.json()
    if case.code == "audience_not_allowed" and not case.sentence:
        assert answer["code"] in ("audience_not_allowed", "client_not_allowed", "token_malformed")
    else:
        assert answer["code"] == case.code, answer
    assert case.sentence in answer["message"]
    assert answer["request_id"] == response.get("x-request-id")
    assert response.get("www-authenticate").startswith(challenge(case.error, case.description)), response.get("www-authenticate")
    assert response.get("location") is None
    entry = gateway.entry(response.get("x-request-id"))
    assert "JW" in entry["flags"]
    assert entry["auth"]["decision"] == "refused"
    assert entry["auth"]["reason"].startswith(answer["code"])
    assert len(upstream.received) == before
    credential = (value or "").partition(" ")[2]
    assert not credential or credential not in response.body.decode()


PASSING = {
    "an access token of a listed client": (claims(), "/secure/ok"),
    "bearer in small letters": (lambda provider: f"bearer {provider.token(POOL)}", "/secure/ok"),
    "BEARER in capitals": (lambda provider: f"BEARER {provider.token(POOL)}", "/secure/ok"),
    "the second key": (lambda provider: f"Bearer {signed(provider.keys[POOL][1], provider.claims(POOL))}", "/secure/ok"),
    "typ at+jwt": (header(typ="at+jwt"), "/secure/ok"),
    "no typ": (header(typ=None), "/secure/ok"),
    "expired within the skew": (claims(exp=Moment(-15)), "/secure/ok"),
    "made ahead within the skew": (claims(iat=Moment(15), nbf=Moment(15)), "/secure/ok"),
    "an ID token of a client that lists it": (lambda provider: f"Bearer {signed(provider.keys[POOL][0], provider.id_claims(POOL, aud=POOL + '-portal'))}", "/secure/ok"),
    "an audience list of one": (lambda provider: f"Bearer {signed(provider.keys[POOL][0], provider.id_claims(POOL, aud=[POOL + '-portal']))}", "/secure/ok"),
    "a machine's token": (claims(client_id=f"{POOL}-nightly", scope="metaflow/read metaflow/write", username=None, **{"cognito:groups": None}), "/secure/ok"),
    "the route's scope": (claims(scope="openid metaflow/write"), "/writers/ok"),
    "one of the route's groups": (claims(**{"cognito:groups": ["x", "operators"]}), "/science/ok"),
    "unknown claims": (claims(deep={"a": [1, {"b": None}]}, number=1.5e300), "/secure/ok"),
}


@pytest.mark.parametrize("make, target", PASSING.values(), ids=PASSING.keys())
def test_a_good_token_passes_and_the_log_says_whose_it_was(gateway, provider, make, target):
    response = gateway.ask("GET", target, [("Authorization", make(provider))])
    assert response.status == 200, response.body
    auth = gateway.entry(response.get("x-request-id"))["auth"]
    assert (auth["method"], auth["decision"], auth["issuer"]) == ("bearer", "allowed", provider.issuer(POOL))
    assert auth["sub"] == "5c1fe9a0-1111-4a2b-9c3d-000000000001"
    assert auth["kid"] in [key.name for key in provider.keys[POOL]]


def test_a_token_works_on_its_own_stage_only(gateway, provider):
    for pool, server_name, status in [(POOL, "localhost", 200), (SECOND_POOL, "localhost", 401), (POOL, "second.localhost", 401), (SECOND_POOL, "second.localhost", 200)]:
        with gateway.client(server_name=server_name) as client:
            assert client.ask("GET", "/secure/x", [("Authorization", f"Bearer {provider.token(pool)}")], host=server_name).status == status


def test_a_token_that_was_verified_for_one_stage_is_still_refused_on_the_other(gateway, provider):
    field = [("Authorization", f"Bearer {provider.token(POOL)}")]
    for _ in range(3):
        assert gateway.ask("GET", "/secure/x", field).status == 200
        with gateway.client(server_name="second.localhost") as client:
            response = client.ask("GET", "/secure/x", field, host="second.localhost")
            assert (response.status, response.json()["code"]) == (401, "issuer_of_another_stage")


def test_a_token_that_was_verified_is_still_judged_by_each_routes_policy(gateway, bearer):
    field = bearer(**{"cognito:groups": ["guests"]})
    assert gateway.ask("GET", "/secure/x", field).status == 200
    assert gateway.ask("GET", "/science/x", field).status == 403


def test_a_token_expires_while_it_is_in_the_cache(start, surroundings, provider):
    configuration = surroundings.configuration(routes=[{"path": "/", "upstream": "main", "credentials": ["bearer"]}], event_loops=1)
    configuration["stages"][0]["identity"]["clock_skew"] = "0s"
    configuration["limits"] = {"requests_per_connection": "off"}
    gateway = start(configuration)
    ends = int(time.time()) + 6
    field = [("Authorization", f"Bearer {provider.token(POOL, exp=ends)}")]
    with gateway.client() as client:
        assert client.ask("GET", "/x", field).status == 200
        deadline = time.time() + 30
        while (response := client.ask("GET", "/x", field)).status == 200:
            assert time.time() < deadline
        assert response.json()["code"] == "token_expired"
        # The gateway reckons the time of day from its loop's clock, which may be a little apart from this process's.
        assert time.time() >= ends - 0.1


def test_a_token_in_the_query_or_a_cookie_counts_for_nothing(gateway, provider):
    token = provider.token(POOL)
    assert gateway.ask("GET", f"/secure/x?access_token={token}").status == 401
    assert gateway.ask("GET", "/secure/x", [("Cookie", f"access_token={token}; Authorization=Bearer {token}")]).status == 401


def test_x_api_key_counts_only_where_the_route_takes_it(gateway, upstream, path, provider):
    token = provider.token(POOL)
    assert gateway.ask("GET", "/secure/x", [("X-Api-Key", token)]).status == 401
    target = "/key" + path
    assert gateway.ask("GET", target, [("X-Api-Key", token)]).status == 200
    assert upstream.wait_for(target).get("x-api-key") is None
    assert gateway.ask("GET", target, [("X-Api-Key", token + "x")]).status == 401
    assert gateway.ask("GET", target).status == 401


def test_a_redirecting_client_is_never_sent_to_a_login_with_a_bearer_route(gateway):
    response = gateway.ask("GET", "/secure/x", [("Accept", "text/html"), ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "document")])
    assert (response.status, response.get("location")) == (401, None)


def test_many_distinct_tokens_are_each_decided_by_themselves(gateway, provider):
    """More than one cache line of them, good and bad in turn."""
    key, forger = provider.keys[POOL][0], Key(provider.keys[POOL][0].name)
    with gateway.client() as client:
        for number in range(300):
            good = number % 3 != 0
            token = signed(key if good else forger, provider.claims(POOL, sub=f"user-{number}"))
            for _ in range(2):
                assert client.ask("GET", "/secure/x", [("Authorization", f"Bearer {token}")]).status == (200 if good else 401)


@pytest.mark.parametrize(("logged_in", "issued", "status"), [(-200, -1, 401), (-50, -1, 200), (None, -200, 401), (None, -1, 200)])
def test_signing_out_everywhere_holds_for_what_a_login_is_refreshed_to(start, surroundings, provider, logged_in, issued, status):
    """A refresh brings a new `iat`; `auth_time` stays that of the login."""
    now = int(time.time())
    file = surroundings.folder / "revocation.json"
    subject = provider.claims(POOL)["sub"]
    file.write_text(json.dumps({"version": 1, "entries": [{"sub": subject, "not_before": now - 100, "until": now + 3600}]}))
    gateway = start(surroundings.configuration(revocation={"file": str(file)}, routes=[{"path": "/", "upstream": "main", "credentials": ["bearer"]}]))
    token = provider.token(POOL, auth_time=logged_in and now + logged_in, iat=now + issued)
    response = gateway.ask("GET", "/x", [("Authorization", f"Bearer {token}")])
    assert response.status == status, response.body
    if status == 401:
        assert response.json()["code"] == "token_revoked"
