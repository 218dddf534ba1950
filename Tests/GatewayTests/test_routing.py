"""Which route gets a request (B1, B2), per stage."""

import pytest
from conftest import SECOND_POOL


@pytest.mark.parametrize(
    "target, route, forwarded",
    [
        ("/open", "/open", "/open"),
        ("/open/", "/open", "/open/"),
        ("/open/x/y", "/open", "/open/x/y"),
        ("/open/deeper", "/open/deeper", "/open/deeper"),
        ("/open/deeper/x", "/open/deeper", "/open/deeper/x"),
        ("/open/deeperx", "/open", "/open/deeperx"),
        ("/strip", "/strip", "/"),
        ("/strip/", "/strip", "/"),
        ("/strip/a/b", "/strip", "/a/b"),
        ("/strip?x=1", "/strip", "/?x=1"),
        ("/strip/a?x=1", "/strip", "/a?x=1"),
        ("/strip/strip", "/strip", "/strip"),
        ("/%73trip/%61", "/strip", "/a"),
        ("/api/runs", "/api", "/runs"),
        ("/api/metadatax", "/api", "/metadatax"),
    ],
)
def test_the_longest_prefix_of_whole_segments_wins_and_is_stripped_where_asked(gateway, target, route, forwarded):
    response = gateway.ask("GET", target)
    assert response.json()["target"] == forwarded
    assert gateway.entry(response.get("x-request-id"))["route"] == route


@pytest.mark.parametrize("target", ["/", "/opener", "/ope", "/OPEN", "/nothing/here"])
def test_a_path_without_a_route_is_404(gateway, upstream, target):
    before = len(upstream.received)
    response = gateway.ask("GET", target)
    assert (response.status, response.json()["code"]) == (404, "no_route")
    assert len(upstream.received) == before


def test_metadata_wins_over_api_and_has_its_own_policy(gateway, bearer):
    assert gateway.ask("GET", "/api/metadata/ping").status == 401
    assert gateway.ask("GET", "/api/metadata/ping", bearer()).json()["target"] == "/ping"
    assert gateway.ask("GET", "/api/ping").json()["target"] == "/ping"


@pytest.mark.parametrize("target", ["/api/metadata/auth/token", "/api/metadata/auth/token/", "/api/metadata/auth/token/x", "/api/metadata/%61uth/token"])
def test_a_blocked_path_is_404_for_everybody(gateway, upstream, bearer, target):
    before = len(upstream.received)
    assert gateway.ask("GET", target, bearer()).status == 404
    assert gateway.ask("GET", target).status == 404
    assert len(upstream.received) == before


@pytest.mark.parametrize("target", ["/api/metadata/auth;x/token", "/secure;x/y", "/secure/;/x"])
def test_a_semicolon_is_refused_where_a_rule_depends_on_the_path(gateway, bearer, target):
    response = gateway.ask("GET", target, bearer())
    assert (response.status, response.json()["code"]) in [(400, "path_parameters"), (404, "no_route")]


def test_a_semicolon_passes_where_the_route_allows_it(gateway, bearer):
    assert gateway.ask("GET", "/parameters/a;b=c", bearer()).json()["target"] == "/parameters/a;b=c"


@pytest.mark.parametrize("method, status", [("GET", 200), ("POST", 405), ("DELETE", 405)])
def test_a_route_of_some_methods_refuses_the_others_and_names_them(gateway, method, status):
    response = gateway.ask(method, "/get-only/x")
    assert response.status == status
    if status == 405:
        assert "GET" in response.get("allow")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("target, location", [("/open//a", "/open/a"), ("/open/./a?x=%2f", "/open/a?x=%2f"), ("/open/a/../b", "/open/b"), ("/open/%2e/a", "/open/a"), ("//open", "/open"), ("/open/b/..", "/open/")])
def test_a_get_with_empty_or_dot_segments_is_sent_to_the_canonical_path(gateway, upstream, method, target, location):
    before = len(upstream.received)
    response = gateway.ask(method, target)
    assert response.status == 308
    assert response.get("location") == f"https://localhost:8443{location}"
    assert len(upstream.received) == before


def test_a_redirect_route_redirects(gateway):
    response = gateway.ask("GET", "/moved")
    assert (response.status, response.get("location")) == (308, "/open")


@pytest.mark.parametrize("host, route", [("second.localhost", "/open"), ("Second.LocalHost.", "/open"), ("second.localhost:443", "/open")])
def test_a_stage_is_chosen_by_its_host_alone(gateway, host, route):
    with gateway.client(server_name="second.localhost") as client:
        response = client.ask("GET", "/open/x", host=host)
        assert response.status == 200
        entry = gateway.entry(response.get("x-request-id"))
        assert (entry["stage"], entry["route"]) == ("second", route)


def test_the_routes_of_one_stage_do_not_exist_on_another(gateway, bearer):
    with gateway.client(server_name="second.localhost") as client:
        assert client.ask("GET", "/strip", host="second.localhost").status == 404
        assert client.ask("GET", "/secure/x", bearer(SECOND_POOL), host="second.localhost").status == 200


def test_options_with_an_asterisk_has_no_route(gateway, upstream):
    before = len(upstream.received)
    assert gateway.ask("OPTIONS", "*").status == 404
    assert len(upstream.received) == before


def test_requests_go_round_the_endpoints_in_turn(start, surroundings):
    from upstream import Upstream

    others = [Upstream() for _ in range(3)]
    try:
        configuration = surroundings.configuration(upstreams={"main": {"endpoints": [other.address for other in others]}}, event_loops=1)
        gateway = start(configuration)
        with gateway.client() as client:
            for _ in range(12):
                assert client.ask("GET", "/x").status == 200
        assert [len(other.received) for other in others] == [4, 4, 4]
    finally:
        for other in others:
            other.close()


def test_an_https_upstream_is_verified(start, surroundings, authority):
    import ssl

    from upstream import Upstream

    def serving(certificate: dict) -> Upstream:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate["chain"], certificate["key"])
        return Upstream(context)

    good, other_name = serving(authority.leaf("upstream", "127.0.0.1")), serving(authority.leaf("elsewhere", "elsewhere.localhost"))
    try:
        trusted = {"ca_file": str(authority.path)}
        names = {"good": {"endpoints": [good.address]} | trusted, "untrusted": {"endpoints": [good.address]}, "misnamed": {"endpoints": [other_name.address]} | trusted,
                 "named": {"endpoints": [other_name.address], "server_name": "elsewhere.localhost"} | trusted}
        gateway = start(surroundings.configuration(upstreams=names, routes=[{"path": f"/{name}", "upstream": name, "public": "tests"} for name in names] + [{"path": "/", "upstream": "main", "public": "tests"}]))
        assert [gateway.ask("GET", f"/{name}").status for name in names] == [200, 502, 502, 200]
    finally:
        good.close()
        other_name.close()


def test_a_host_name_as_endpoint_is_resolved(start, surroundings, upstream):
    gateway = start(surroundings.configuration(upstreams={"main": {"endpoints": [f"http://localhost:{upstream.port}"]}}))
    assert gateway.ask("GET", "/open/resolved").status == 200


def test_a_failing_health_check_takes_an_endpoint_out_and_a_good_one_brings_it_back(start, surroundings):
    from gateway import eventually
    from upstream import Upstream, answer

    sick, well = Upstream(), Upstream()
    try:
        sick.script["/ping"] = answer(b"no", "500 Internal Server Error")
        check = {"path": "/ping", "interval": "1s", "timeout": "500ms", "unhealthy_after": 1, "healthy_after": 1}
        gateway = start(surroundings.configuration(upstreams={"main": {"endpoints": [sick.address, well.address], "health": check}}, event_loops=1))

        def spread() -> tuple[bool, bool]:
            before = len(sick.seen("/x")), len(well.seen("/x"))
            with gateway.client() as client:
                for _ in range(6):
                    assert client.ask("GET", "/x").status == 200
            return len(sick.seen("/x")) > before[0], len(well.seen("/x")) > before[1]

        eventually(lambda: spread() == (False, True), "the sick endpoint to be left out")
        sick.script["/ping"] = answer(b"pong")
        eventually(lambda: spread() == (True, True), "the endpoint to come back")
    finally:
        sick.close()
        well.close()
