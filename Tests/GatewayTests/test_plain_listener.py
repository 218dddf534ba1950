"""The plain listener: 308 to https, and nothing else (B3)."""

import pytest
from conftest import REDIRECT
from wire import Client


@pytest.mark.parametrize(
    "method, target, host, location",
    [
        ("GET", "/open/a?x=1&y=%2F", "localhost", "https://localhost:8443/open/a?x=1&y=%2F"),
        ("GET", "/", "localhost:8080", "https://localhost:8443/"),
        ("POST", "/api/metadata/flows", "second.localhost", "https://second.localhost:8443/api/metadata/flows"),
        ("GET", "/a//b/../c", "localhost", "https://localhost:8443/a/c"),
        ("GET", "/%61", "LocalHost", "https://localhost:8443/a"),
        ("HEAD", "/open", "localhost", "https://localhost:8443/open"),
    ],
)
def test_plain_http_is_answered_with_308_to_the_stages_public_address(gateway, upstream, method, target, host, location):
    before = len(upstream.received)
    with Client(gateway.port(f"listeners[{REDIRECT}].address")) as client:
        answer = client.ask(method, target, host=host, body=b"x" if method == "POST" else None)
    assert (answer.status, answer.get("location")) == (308, location)
    assert answer.get("strict-transport-security") is None
    assert len(upstream.received) == before


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1"])
def test_a_host_that_is_not_ours_is_not_redirected(gateway, host):
    with Client(gateway.port(f"listeners[{REDIRECT}].address")) as client:
        answer = client.ask("GET", "/open", host=host)
    assert (answer.status, answer.get("location")) == (404, None)


@pytest.mark.parametrize("target", ["/a%2Fb", "/a\\b", "/%", "/a%00"])
def test_an_ambiguous_path_is_refused_and_not_redirected(gateway, target):
    with Client(gateway.port(f"listeners[{REDIRECT}].address")) as client:
        answer = client.ask("GET", target)
    assert (answer.status, answer.get("location")) == (400, None)


def test_a_token_on_the_plain_listener_goes_nowhere(gateway, upstream, bearer):
    before = len(upstream.received)
    with Client(gateway.port(f"listeners[{REDIRECT}].address")) as client:
        assert client.ask("GET", "/secure", bearer()).status == 308
    assert len(upstream.received) == before
