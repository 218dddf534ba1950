"""`/cli` of the built gateway: whom it lets in, and where it finds the login of a provider that is not Cognito."""

from __future__ import annotations

import gzip
import json
import signal
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from conftest import POOL, SECOND_POOL, Surroundings
from gateway import Gateway, check, eventually
from provider import Key, signed

ORIGIN = "https://localhost:8443"
LOGIN = f"metaflow-gateway-login {ORIGIN}"
PORTS = [8400, 8401, 8402]


def with_command_line(surroundings: Surroundings, **stage) -> dict:
    """The first stage has `/cli` and a policy."""
    made = surroundings.configuration(routes=[{"path": "/cli", "service": "command-line-api"}, {"path": "/", "upstream": "main", "public": "tests"}])
    made["stages"][0]["identity"]["clients"][0]["redirect_ports"] = PORTS
    # The service sends people to the login pages, wherever keys come from.
    made["stages"][0]["identity"]["cognito"]["domain"] = surroundings.provider.endpoint
    made["stages"][0] |= stage
    return made


# --- Who the token is


@pytest.fixture
def guarded(surroundings: Surroundings, start) -> Gateway:
    return start(with_command_line(surroundings, policy={"groups": ["science", "operators"]}))


def bearer(token: str) -> list[tuple[str, str]]:
    return [("Authorization", f"Bearer {token}")]


def test_whoami_of_somebody_whom_the_stage_lets_in_says_who_it_is(guarded, provider):
    response = guarded.ask("GET", "/cli/whoami", bearer(provider.token(POOL, **{"cognito:groups": ["operators"]})))
    assert response.status == 200, response.body
    told = response.json()
    assert 3500 < told.pop("seconds_left") <= 3600
    assert told == {"subject": "5c1fe9a0-1111-4a2b-9c3d-000000000001", "user_name": "ada", "groups": ["operators"], "stage": "first"}
    assert response.get("cache-control") == "no-store"
    entry = guarded.entry(response.get("x-request-id"))
    assert (entry["auth"]["decision"], entry["auth"]["sub"], entry["auth"]["client"]) == ("allowed", told["subject"], "command-line"), entry


def test_whoami_of_somebody_whom_the_stages_policy_keeps_out_says_which_groups_would_do(guarded, provider):
    for groups in (["visitors"], [], None):
        response = guarded.ask("GET", "/cli/whoami", bearer(provider.token(POOL, **{"cognito:groups": groups})))
        assert response.status == 403, response.body
        assert response.json()["code"] == "group_missing"
        message = response.json()["message"]
        assert message.startswith("You are not in any of the groups science, operators, which first /cli of first asks for. Ask the operators of first"), message
        entry = guarded.entry(response.get("x-request-id"))
        assert (entry["auth"]["decision"], entry["auth"]["policy"]) == ("refused", "first /cli"), entry
        assert entry["auth"]["reason"].startswith("group_missing"), entry


def test_the_policy_keeps_nobody_from_what_is_needed_before_a_login(guarded):
    for path in ("/cli/", "/cli/config", "/cli/callback?code=a&state=b"):
        response = guarded.ask("GET", path)
        assert response.status == 200, path
        assert "auth" not in guarded.entry(response.get("x-request-id"))


REFUSED = {
    "no token": (lambda provider: [], "This address wants a login"),
    "an expired token": (lambda provider: bearer(provider.token(POOL, exp=int(time.time()) - 300, iat=int(time.time()) - 3900)), "Your login expired 5 minutes ago"),
    "another stage's": (lambda provider: bearer(provider.token(SECOND_POOL)), "This is a second login; you are calling first"),
    "an ID token": (lambda provider: bearer(signed(provider.keys[POOL][1], provider.id_claims(POOL))), "This is an ID token; first wants an access token here"),
    "a password, as a .netrc entry makes of it": (lambda provider: [("Authorization", "Basic YWRhOnNlY3JldA==")], "A ~/.netrc entry for localhost replaces the token"),
    "a foreign program's": (lambda provider: bearer(provider.token(POOL, client_id="nobody")), "The program that made this login is not one that first accepts"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_every_401_of_whoami_says_what_to_do(guarded, provider, case):
    make, sentence = REFUSED[case]
    response = guarded.ask("GET", "/cli/whoami", make(provider))
    assert response.status == 401, response.body
    message = response.json()["message"]
    assert sentence in message and LOGIN in message, message
    assert response.get("www-authenticate").startswith('Bearer realm="localhost"')


# --- Like any other route


def test_an_address_that_asks_too_often_is_told_when_to_come_back_and_only_there(surroundings, start):
    made = with_command_line(surroundings, command_line_api={"requests_per_minute": 3}) | {"event_loops": 1}
    made["listeners"][0]["client_address"] = {"x_forwarded_for": {"trusted": ["127.0.0.0/8"]}}
    gateway = start(made)
    first, second = [("X-Forwarded-For", "192.0.2.1")], [("X-Forwarded-For", "192.0.2.2")]
    answers = [gateway.ask("GET", "/cli/config", first) for _ in range(4)]
    assert [answer.status for answer in answers] == [200, 200, 200, 429]
    assert gateway.ask("GET", "/cli/config", second).status == 200
    assert answers[3].json()["code"] == "too_many_requests" and 1 <= int(answers[3].get("retry-after")) <= 60
    entry = gateway.entry(answers[3].get("x-request-id"))
    assert (entry["status"], entry["route"], entry["flags"]) == (429, "/cli", ["RL"]), entry
    assert gateway.ask("GET", "/open/beside", first).status == 200


def test_an_upstream_can_stand_in_place_of_the_built_in_service(surroundings, start, upstream):
    made = surroundings.configuration(routes=[{"path": "/cli", "upstream": "main", "public": "tests"}])
    gateway = start(made)
    before = len(upstream.seen("/cli/config"))
    assert gateway.ask("GET", "/cli/config").status == 200
    assert len(upstream.seen("/cli/config")) == before + 1


PAGE = [("Accept", "text/html")]
GZIP = [("Accept-Encoding", "gzip")]


def test_the_page_leaves_compressed_for_who_reads_gzip(guarded):
    plain = guarded.ask("GET", "/cli/", PAGE)
    assert plain.get("content-encoding") is None and "accept-encoding" in plain.all("vary")
    with guarded.client() as client:
        packed = client.ask("GET", "/cli/", PAGE + GZIP)
        assert (packed.status, packed.get("content-encoding"), packed.get("content-length")) == (200, "gzip", str(len(packed.body)))
        assert gzip.decompress(packed.body) == plain.body and len(packed.body) < len(plain.body) / 2
        assert packed.get("etag") == f"W/{plain.get('etag')}"
        head = client.ask("HEAD", "/cli/", PAGE + GZIP)
        assert (head.get("content-encoding"), head.get("content-length"), head.body) == ("gzip", packed.get("content-length"), b"")
        again = client.ask("GET", "/cli/", [*PAGE, *GZIP, ("If-None-Match", packed.get("etag"))])
        assert (again.status, again.get("etag"), again.body) == (304, packed.get("etag"), b"")
        # A refusal is short, and costs nothing more.
        assert client.ask("GET", "/cli/whoami", GZIP).get("content-encoding") is None


def test_one_setting_leaves_the_page_as_it_is(surroundings, start):
    gateway = start(with_command_line(surroundings) | {"compression": {"enabled": False}})
    answer = gateway.ask("GET", "/cli/", PAGE + GZIP)
    assert (answer.status, answer.get("content-encoding")) == (200, None)


# --- The wheel


def test_a_wheel_that_is_not_there_is_one_fault_that_says_how_to_make_it(surroundings, start, tmp_path):
    made = with_command_line(surroundings, command_line_api={"wheel": "nowhere/metaflow_gateway_extension-1.0.0-py3-none-any.whl"})
    file = tmp_path / "gateway.yaml"
    # A stage's file may hold JSON, which is YAML.
    for stage in made["stages"]:
        (tmp_path / f"{stage['stage']}.yaml").write_text(json.dumps(stage))
    file.write_text(json.dumps(made | {"stages": [f"{stage['stage']}.yaml" for stage in made["stages"]]}))
    code, output = check(file)
    faults = [line for line in output.splitlines() if "command_line_api.wheel" in line]
    assert code == 1 and len(faults) == 1, output
    # A long path is shortened in a message.
    assert faults[0].endswith("Make it with python3 deploy/metaflow-extension/build_wheel.py --out FOLDER, or name a file that this process may read."), faults[0]
    assert "does not exist" in faults[0], faults[0]


# --- A provider that is not Cognito


class OpenIDProvider:
    """Keys and a discovery document; `down` answers 503 to both."""

    def __init__(self) -> None:
        self.down, self.key = True, Key("oidc-1")
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                document: dict = {"keys": [provider.key.public]}
                if self.path.endswith("/.well-known/openid-configuration"):
                    document = {
                        "issuer": provider.issuer, "jwks_uri": f"{provider.issuer}/keys", "authorization_endpoint": f"{provider.issuer}/authorize",
                        "token_endpoint": f"{provider.issuer}/token", "revocation_endpoint": f"{provider.issuer}/revoke",
                    }
                body = json.dumps(document).encode()
                self.send_response(503 if provider.down else 200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/realms/science"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


@pytest.fixture
def openid() -> Iterator[OpenIDProvider]:
    provider = OpenIDProvider()
    yield provider
    provider.close()


def test_the_login_of_any_openid_provider_is_told_as_soon_as_it_is_discovered(surroundings, start, openid):
    """No browser logs in here, so it is the command line alone that needs discovery."""
    made = with_command_line(surroundings, identity={
        "oidc": {"issuer": openid.issuer, "key_set_url": f"{openid.issuer}/keys"},
        "clients": [{"id": "science-cli", "name": "command-line", "token_use": ["access"], "redirect_ports": PORTS}],
    })
    # Keys never come while the provider is down, so readiness is not what to wait for.
    gateway = start(made, waits=False)
    gateway.wait_for_line("login endpoints not discovered")
    response = gateway.ask("GET", "/cli/config")
    assert (response.status, response.get("retry-after"), response.json()["code"]) == (503, "2", "provider_unknown"), response.body
    openid.down = False

    def config():
        found = gateway.ask("GET", "/cli/config")
        return found if found.status == 200 else None

    response = eventually(config, "the discovered endpoints")
    told = response.json()
    assert (told["issuer"], told["client_id"]) == (openid.issuer, "science-cli")
    for name in ("authorization", "token"):
        assert told[f"{name}_endpoint"] == f"{openid.issuer}/{name if name == 'token' else 'authorize'}"
    assert told["revocation_endpoint"] == f"{openid.issuer}/revoke"
    tag = response.get("etag")
    # Each event loop hears of it for itself, the other one perhaps a moment later.
    eventually(lambda: gateway.ask("GET", "/cli/config", [("If-None-Match", tag)]).status == 304, "every loop to know them")
    # What is known stays known: after a reload, and while the provider is away.
    openid.down = True
    gateway.signal(signal.SIGHUP)
    eventually(lambda: gateway.metrics()['gw_config_reload_total{result="accepted"}'] >= 1, "the reload")
    response = gateway.ask("GET", "/cli/config")
    assert (response.status, response.get("etag")) == (200, tag), response.body
