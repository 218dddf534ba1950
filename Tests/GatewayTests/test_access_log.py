"""The access log: a line for each request, refused ones too, with no secret in it (E1 to E7)."""

import json
import os
import signal
import uuid

import pytest
from conftest import POOL, PROXY
from gateway import eventually
from provider import minted_tokens, signed
from upstream import Upstream
from wire import Cut

REQUEST = {"v", "ts", "kind", "request_id", "listener", "flags", "bytes_in", "bytes_out", "duration_ms", "client_ip", "config_version", "status"}


def test_a_served_request_has_all_its_fields_in_a_fixed_order(gateway, bearer, path):
    target = "/secure" + path
    response = gateway.ask("POST", target + "?b=2&a=1&flag", [*bearer(), ("User-Agent", "agent/1 \"quoted\"")], body=b"x" * 100)
    entry = gateway.entry(response.get("x-request-id"))
    assert list(entry) == [
        "ts", "v", "kind", "request_id", "trace_id", "span_id", "listener", "stage", "host", "method", "path", "query_keys", "route", "protocol", "status", "flags", "bytes_in", "bytes_out",
        "duration_ms", "ttfb_ms", "phases", "upstream", "upstream_addr", "upstream_status", "attempts", "client_ip", "client_port", "sni", "tls_version", "tls_cipher",
        "tls_resumed", "user_agent", "auth", "config_version",
    ]
    assert entry["v"] == 1 and entry["kind"] == "access"
    assert (entry["stage"], entry["host"], entry["method"], entry["path"]) == ("first", "localhost", "POST", target)
    assert entry["query_keys"] == ["b", "a", "flag"]
    assert (entry["route"], entry["protocol"], entry["status"], entry["flags"]) == ("/secure", "HTTP/1.1", 200, [])
    assert (entry["bytes_in"], entry["bytes_out"]) == (100, len(response.body))
    assert 0 < entry["ttfb_ms"] <= entry["duration_ms"] < 60_000
    assert (entry["upstream"], entry["upstream_status"], entry["attempts"]) == ("main", 200, 1)
    assert (entry["sni"], entry["tls_version"]) == ("localhost", "TLSv1.3")
    assert entry["user_agent"] == 'agent/1 "quoted"'
    assert entry["auth"]["client"] in ("command-line", f"{POOL}-command-line")


def test_the_phases_tell_where_the_time_went(start, surroundings):
    """Each where the request met it: a handshake is the first request's, a dial that of who waited for it, a head only where it came in parts."""
    own = Upstream()
    try:
        gateway = start(surroundings.configuration(upstreams={"main": {"endpoints": [own.address]}}, event_loops=1))
        with gateway.client() as first, gateway.client() as second:
            answers = [first.ask("GET", "/x"), first.ask("GET", "/x")]
            second.send(b"GET /x HTTP/1.1\r\nHo")
            # The one loop has read that part when it answers what came later.
            answers.append(first.ask("GET", "/x"))
            second.send(b"st: localhost\r\n\r\n")
            answers.append(second.response())
        phases = [gateway.entry(answer.get("x-request-id"))["phases"] for answer in answers]
        assert [list(each) for each in phases] == [
            ["tls", "auth", "queue", "connect", "upstream"], ["auth", "queue", "upstream"], ["auth", "queue", "upstream"], ["tls", "headers", "auth", "queue", "upstream"],
        ]
        assert all(each["upstream"] > 0 for each in phases) and phases[0]["tls"] > 0 and phases[0]["connect"] > 0 and phases[3]["headers"] > 0
    finally:
        own.close()


def test_the_time_is_utc_with_milliseconds(gateway, path):
    import datetime

    entry = gateway.entry(gateway.ask("GET", path).get("x-request-id"))
    assert entry["ts"].endswith("Z") and len(entry["ts"]) == 24
    then = datetime.datetime.fromisoformat(entry["ts"].replace("Z", "+00:00"))
    assert abs((datetime.datetime.now(datetime.timezone.utc) - then).total_seconds()) < 60


@pytest.mark.parametrize(
    "data, status, flag, details",
    [
        (b"nonsense\r\n\r\n", 400, "DPE", "request_line_malformed"),
        (b"GET / HTTP/1.1\r\n\r\n", 400, "DPE", "host_missing"),
        (b"GET /a%2Fb HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, "CB", "path_encoded_slash"),
        (b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n", 404, "NR", "no_route"),
        (b"GET /secure HTTP/1.1\r\nHost: localhost\r\n\r\n", 401, "JW", "token_missing"),
        (b"GET /dead HTTP/1.1\r\nHost: localhost\r\n\r\n", 503, "UF", "upstream_connect_failed"),
        (b"POST /small HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999\r\n\r\n", 413, "DPE", "body_too_large"),
        (b"GET /x HTTP/1.1\r\nHost: second.localhost\r\n\r\n", 421, "NR", "misdirected_request"),
    ],
)
def test_a_request_that_was_refused_is_logged_like_any_other(gateway, data, status, flag, details):
    with gateway.client() as client:
        client.send(data)
        response = client.response()
    assert response.status == status
    entry = gateway.entry(response.get("x-request-id"))
    assert REQUEST <= set(entry)
    assert (entry["status"], entry["details"]) == (status, details)
    assert flag in entry["flags"]


def test_every_request_has_exactly_one_line(gateway, path):
    ids = []
    for _ in range(10):
        with gateway.client() as client:
            client.send(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode() * 5)
            ids += [client.response().get("x-request-id") for _ in range(5)]
    eventually(lambda: {entry["request_id"] for entry in gateway.log()} >= set(ids), "all lines")
    counted = [entry["request_id"] for entry in gateway.log()]
    assert all(counted.count(identifier) == 1 for identifier in ids)


@pytest.mark.parametrize("value", ['"}\\n{"evil":"line', "\x07\x1b[31m", "ünïcødé", "a" * 5000, "\\u0000", "</script>"])
def test_nothing_that_a_client_sends_can_break_a_line(gateway, path, value):
    fields = [("User-Agent", value.encode().decode("latin-1"))]
    if any(ord(character) < 32 for character in value):
        with gateway.client() as client:
            client.request("GET", path, fields)
            response = client.response()
        assert response.status == 400
    else:
        response = gateway.ask("GET", path, fields)
        assert response.status == 200
    assert gateway.entry(response.get("x-request-id"))["v"] == 1


def test_a_log_line_has_a_bounded_length(gateway, path):
    keys = "&".join(f"{'k' * 60}{number}=v" for number in range(100))
    response = gateway.ask("GET", f"{path}/{'p' * 900}?{keys}", [("User-Agent", "u" * 7000)])
    gateway.entry(response.get("x-request-id"))
    assert max(len(line) for line in gateway.log_path.read_bytes().splitlines()) < 16_384


# --- No secret in any log


def test_no_token_cookie_key_or_query_value_reaches_any_log(gateway, provider, path):
    """At log level debug; every place in which a secret can arrive, on requests that pass and requests that fail."""
    canaries = []

    def canary() -> str:
        canaries.append(f"canary{uuid.uuid4().hex}")
        return canaries[-1]

    good, ids = provider.token(POOL), []
    for target in ("/secure" + path, path, "/dead" + path, "/nowhere", "/a%2Fb", "/secure"):
        for authorization in (f"Bearer {good}", f"Bearer {canary()}", f"Basic {canary()}", canary()):
            fields = [
                ("Authorization", authorization), ("Cookie", f"session={canary()}; __Host-gws={canary()}"), ("X-Api-Key", canary()), ("Proxy-Authorization", f"Basic {canary()}"),
                ("X-Auth-Subject", canary()), ("X-Forwarded-User", canary()), ("Referer", f"https://localhost/?code={canary()}"),
            ]
            response = gateway.ask("POST", f"{target}?code={canary()}&access_token={canary()}", fields, body=canary().encode())
            ids.append(response.get("x-request-id"))
    with gateway.client() as client:
        client.send(f"GET {path}?a={canary()} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {canary()}\r\nBroken : {canary()}\r\n\r\n".encode())
        assert client.response().status == 400
    with pytest.raises((Cut, OSError)):
        with gateway.client(PROXY, first=f"GET /?a={canary()} HTTP/1.1\r\n\r\n".encode()) as client:
            client.ask("GET", "/")
    for identifier in ids:
        gateway.entry(identifier)
    sinks = gateway.log_path.read_text() + gateway.output
    assert [secret for secret in canaries if secret in sinks] == []
    signatures = {token.rpartition(".")[2] for token in minted_tokens() if len(token.rpartition(".")[2]) > 40}
    assert good.rpartition(".")[2] in signatures
    assert [signature for signature in signatures if signature in sinks] == []


def test_no_secret_stands_in_what_the_process_shows_of_itself(gateway, provider, path):
    token = provider.token(POOL)
    gateway.ask("GET", "/secure" + path, [("Authorization", f"Bearer {token}")])
    from wire import Client

    with Client(gateway.port("admin.metrics_address")) as client:
        assert token.rpartition(".")[2].encode() not in client.ask("GET", "/metrics").body
    for target in ("/status", "/routes", "/upstreams", "/certificates", "/key-sets", "/configuration", "/reloads", "/loglevel"):
        answer = gateway.admin("GET", target)
        assert answer.status == 200 and token.rpartition(".")[2].encode() not in answer.body, target


# --- Where it goes


def test_sigusr1_reopens_the_log_and_no_line_is_lost(start, surroundings):
    gateway = start(surroundings.configuration())
    ids = [gateway.ask("GET", "/open/x").get("x-request-id") for _ in range(5)]
    eventually(lambda: len(gateway.log()) == 5, "five lines")
    moved = gateway.log_path.with_suffix(".1")
    os.rename(gateway.log_path, moved)
    ids.append(gateway.ask("GET", "/open/between").get("x-request-id"))
    gateway.signal(signal.SIGUSR1)
    gateway.wait_for_line("reopened")
    ids += [gateway.ask("GET", "/open/y").get("x-request-id") for _ in range(5)]

    def lines() -> list[str]:
        # Whole ones: the last may be in the middle of being written.
        return [json.loads(line)["request_id"] for file in (moved, gateway.log_path) if file.exists() for line in file.read_bytes().split(b"\n")[:-1]]

    eventually(lambda: len(lines()) == 11, "eleven lines")
    # Each loop has a ring of its own, so that lines of two loops may change places.
    assert sorted(lines()) == sorted(ids)
    assert len(gateway.log()) >= 5


def test_the_log_can_go_to_standard_output(start, surroundings):
    gateway = start(surroundings.configuration(access_log={"path": "stdout"}))
    identifier = gateway.ask("GET", "/open/x").get("x-request-id")
    line = gateway.wait_for_line(identifier)
    assert json.loads(line)["status"] == 200


def test_a_log_that_is_private_stays_private(start, surroundings):
    gateway = start(surroundings.configuration())
    gateway.ask("GET", "/open/x")
    eventually(lambda: gateway.log(), "a line")
    assert gateway.log_path.stat().st_mode & 0o007 == 0


def test_what_is_still_in_the_rings_is_written_at_the_end(start, surroundings):
    gateway = start(surroundings.configuration())
    with gateway.client() as client:
        client.send(b"GET /open/x HTTP/1.1\r\nHost: localhost\r\n\r\n" * 50)
        for _ in range(50):
            client.response()
    assert gateway.stop() == 0
    assert len(gateway.log()) == 50
