"""What the upstream is told, and what it is never told (A8, B10, C9); what the client is told of the answer."""

import pytest
from conftest import POOL
from provider import signed
from upstream import raw

SPOOFED = [
    "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Forwarded-Uri", "X-Forwarded-Client-Cert", "X-Forwarded-User",
    "Forwarded", "X-Real-IP", "X-Original-URL", "X-Original-Host", "X-Envoy-Original-Path", "X-Envoy-External-Address", "X-Auth-Subject", "X-Auth-Groups", "X-Auth-Anything-At-All",
    "x-auth-username", "X-AUTH-EMAIL", "X-Amzn-Oidc-Data", "X-Amzn-Oidc-Identity", "X-Request-Id",
]


@pytest.mark.parametrize("name", SPOOFED)
@pytest.mark.parametrize("route", ["/open", "/secure"])
def test_a_field_that_only_the_gateway_may_say_is_deleted(gateway, upstream, path, bearer, route, name):
    target = route + path
    assert gateway.ask("GET", target, [(name, "spoofed"), (name.lower(), "spoofed"), ("X-Mine", "kept"), *(bearer() if route == "/secure" else [])]).status == 200
    request = upstream.wait_for(target)
    assert b"spoofed" not in request.head
    assert request.get("x-mine") == "kept"


@pytest.mark.parametrize("name", ["X_Forwarded_For", "X-Auth_Subject", "x_auth_groups", "Content_Length", "X_Any"])
def test_an_underscore_in_a_name_is_refused(gateway, upstream, path, name):
    assert gateway.ask("GET", path, [(name, "a")]).status == 400
    assert upstream.seen(path) == []


def test_the_forwarded_fields_say_what_the_gateway_knows(gateway, upstream, path):
    response = gateway.ask("GET", path, host="LOCALHOST:8443")
    request = upstream.wait_for(path)
    assert request.get("x-forwarded-for") == "127.0.0.1"
    assert request.get("x-forwarded-proto") == "https"
    assert request.get("x-forwarded-port") == "8443"
    assert request.get("x-forwarded-host").lower() == "localhost:8443"
    assert request.get("host").lower() == "localhost:8443"
    assert request.get("x-request-id") == response.get("x-request-id")


def test_request_ids_are_version_7_uuids_and_never_repeat(gateway, path):
    import uuid

    with gateway.client() as client:
        ids = [client.ask("GET", path).get("x-request-id") for _ in range(50)]
    assert len(set(ids)) == 50
    assert all(uuid.UUID(identifier).version == 7 for identifier in ids)


@pytest.mark.parametrize(
    "field",
    [("Connection", "x-secret"), ("Keep-Alive", "timeout=5"), ("Proxy-Connection", "keep-alive"), ("TE", "trailers"), ("Proxy-Authorization", "Basic YTpi"), ("Trailer", "x-checksum")],
)
def test_a_field_of_the_hop_goes_no_further(gateway, upstream, path, field):
    gateway.ask("GET", path, [field, ("X-Secret", "hop")])
    request = upstream.wait_for(path)
    assert request.get(field[0]) is None
    if field[0] == "Connection":
        assert request.get("x-secret") is None


def test_end_to_end_fields_arrive_as_they_were_in_their_order(gateway, upstream, path):
    fields = [("X-B", "2"), ("Accept", "a/b;q=0.1, */*"), ("X-B", "1"), ("Cookie", "a=b; c=\"d\""), ("X-Empty", ""), ("X-High", "\xe9")]
    gateway.ask("GET", path, fields)
    arrived = [(name.lower(), value) for name, value in upstream.wait_for(path).fields]
    assert [field for field in arrived if field[0] in ("x-b", "accept", "cookie", "x-empty", "x-high")] == [(name.lower(), value) for name, value in fields]


# --- Identity


def test_the_identity_of_a_verified_token_is_told_and_the_token_is_not(gateway, upstream, path, provider, bearer):
    target = "/secure" + path
    fields = bearer(**{"cognito:groups": ["science", "operators"], "scope": "metaflow/read openid"})
    assert gateway.ask("GET", target, fields).status == 200
    request = upstream.wait_for(target)
    assert request.get("x-auth-subject") == "5c1fe9a0-1111-4a2b-9c3d-000000000001"
    assert request.get("x-auth-username") == "ada"
    assert request.get("x-auth-client") in ("command-line", f"{POOL}-command-line")
    assert request.get("x-auth-issuer") == provider.issuer(POOL)
    assert request.get("x-auth-scopes") == "metaflow/read openid"
    assert request.get("x-auth-token-use") == "access"
    assert set(request.get("x-auth-groups").split(",")) == {"science", "operators"}
    assert request.get("authorization") is None


def test_groups_that_no_policy_names_are_not_told(gateway, upstream, path, bearer):
    target = "/secure" + path
    gateway.ask("GET", target, bearer(**{"cognito:groups": ["science", "holiday-photos"]}))
    assert upstream.wait_for(target).get("x-auth-groups") == "science"


def test_the_token_is_handed_on_where_the_route_asks_for_it(gateway, upstream, path, bearer):
    target = "/hand-on" + path
    fields = bearer()
    gateway.ask("GET", target, fields)
    assert upstream.wait_for(target).get("authorization") == fields[0][1]


def test_a_public_route_tells_no_identity_even_with_a_good_token(gateway, upstream, path, bearer):
    gateway.ask("GET", path, bearer())
    request = upstream.wait_for(path)
    assert not [name for name, _ in request.fields if name.lower().startswith("x-auth-")]
    assert request.get("authorization") is None


@pytest.mark.parametrize("value", ["evil\r\nX-Auth-Groups: operators", "ünï", "a b", "50%", "tab\there"])
def test_a_claim_cannot_end_its_line(gateway, upstream, path, bearer, value):
    import urllib.parse

    target = "/secure" + path
    assert gateway.ask("GET", target, bearer(username=value)).status == 200
    request = upstream.wait_for(target)
    assert urllib.parse.unquote(request.get("x-auth-username")) == value
    assert (request.get("x-auth-groups") or "science") == "science"


# --- The answer


def test_the_answers_fields_arrive_as_they_were_in_their_order(gateway, upstream, path):
    upstream.script[path] = raw(b"HTTP/1.1 200 Very Fine\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nETag: \"x\"\r\nX-Limit: 5\r\nX-Next-Cursor: abc\r\nContent-Length: 0\r\nServer: s\r\n\r\n")
    response = gateway.ask("GET", path)
    assert response.reason == "Very Fine"
    assert response.all("set-cookie") == ["a=1", "b=2"]
    assert (response.get("etag"), response.get("x-limit"), response.get("x-next-cursor")) == ('"x"', "5", "abc")
    # Content-Length is the gateway's own word.
    named = ["set-cookie", "set-cookie", "etag", "x-limit", "x-next-cursor", "server"]
    assert [name.lower() for name, _ in response.fields if name.lower() in named] == named


@pytest.mark.parametrize("field", [b"Connection: x-inner", b"Keep-Alive: timeout=5", b"Proxy-Authenticate: Basic", b"X-Request-Id: upstreams-own"])
def test_a_field_of_the_upstreams_hop_does_not_reach_the_client(gateway, upstream, path, field):
    upstream.script[path] = raw(b"HTTP/1.1 200 OK\r\n" + field + b"\r\nX-Inner: hop\r\nContent-Length: 0\r\n\r\n")
    response = gateway.ask("GET", path)
    name, _, value = field.decode().partition(": ")
    assert value not in response.all(name)
    if name == "Connection":
        assert response.get("x-inner") is None


@pytest.mark.parametrize("route, kept", [("/open", "*"), ("/secure", None)])
def test_a_protected_route_does_not_open_itself_to_other_origins(gateway, upstream, path, bearer, route, kept):
    target = route + path
    upstream.script[target] = raw(b"HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\nContent-Length: 0\r\n\r\n")
    assert gateway.ask("GET", target, bearer()).get("access-control-allow-origin") == kept


def test_hsts_is_never_said_for_localhost(gateway, path):
    assert gateway.ask("GET", path).get("strict-transport-security") is None


def test_the_gateways_own_answers_are_not_cached_or_sniffed(gateway):
    response = gateway.ask("GET", "/secure/x")
    assert (response.get("cache-control"), response.get("x-content-type-options"), response.get("content-type")) == ("no-store", "nosniff", "application/json")


def test_an_answer_without_a_date_gets_one(gateway, upstream, path):
    import email.utils

    upstream.script[path] = raw(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    assert email.utils.parsedate_to_datetime(gateway.ask("GET", path).get("date"))
