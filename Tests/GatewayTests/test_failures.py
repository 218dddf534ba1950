"""What clients meet when an upstream fails (B5, B6, DESIGN §7): 503 with Retry-After for Metaflow, 502 and 504 for browsers."""

import threading

import pytest
from gateway import eventually
from upstream import Upstream, raw
from wire import Cut


def resets(line, request):
    line.reset()
    raise Cut("as scripted")


def closes(line, request):
    raise Cut("as scripted")


MALFORMED = {
    "no http": b"hello\r\n\r\n", "a wrong version": b"HTTP/3.0 200 OK\r\n\r\n", "a status of two digits": b"HTTP/1.1 20 OK\r\n\r\n", "a status below 100": b"HTTP/1.1 099 OK\r\n\r\n",
    "both framings": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na",
    "a length of letters": b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n", "a folded field": b"HTTP/1.1 200 OK\r\nX-A: b\r\n c\r\n\r\n", "a bare line feed": b"HTTP/1.1 200 OK\nX: y\n\n",
    "an unknown encoding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "a NUL in a value": b"HTTP/1.1 200 OK\r\nX-A: b\x00c\r\n\r\n",
    "a head without end": b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: " % number + b"a" * 4000 + b"\r\n" for number in range(64)),
}


def assert_metaflow(response, flag, gateway, details=None):
    assert response.status == 503
    assert int(response.get("retry-after")) >= 1
    body = response.json()
    assert body["message"] and body["code"] and body["request_id"] == response.get("x-request-id")
    entry = gateway.entry(response.get("x-request-id"))
    assert flag in entry["flags"], entry
    if details:
        assert body["code"] == entry["details"] == details


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_refused_connection_is_503_for_metaflow(gateway, method):
    assert_metaflow(gateway.ask(method, "/dead/x", body=b"{}" if method == "POST" else None), "UF", gateway, "upstream_connect_failed")


def test_a_refused_connection_is_502_for_a_browser(gateway):
    response = gateway.ask("GET", "/dead-page/x", [("Accept", "text/html,*/*")])
    assert (response.status, response.get("retry-after")) == (502, None)
    assert response.get("content-type") == "text/html; charset=utf-8"
    assert response.get("x-request-id").encode() in response.body and b"<script" not in response.body
    assert "default-src 'none'" in response.get("content-security-policy")


@pytest.mark.parametrize("script", [resets, closes])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_upstream_that_leaves_before_its_answer_is_503_for_metaflow(gateway, upstream, path, script, method):
    target = "/faults" + path
    upstream.script[target] = script
    assert_metaflow(gateway.ask(method, target, body=b"{}" if method == "POST" else None), "UC", gateway, "upstream_reset")


def test_an_upstream_that_leaves_before_its_answer_is_502_for_a_browser(gateway, upstream, path):
    target = "/page" + path
    upstream.script[target] = resets
    assert gateway.ask("GET", target).status == 502


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED.keys())
@pytest.mark.parametrize("route, status", [("/faults", 503), ("/page", 502)])
def test_an_answer_that_is_no_http_is_never_passed_on(gateway, upstream, path, data, route, status):
    target = route + path
    upstream.script[target] = raw(data, then_close=True)
    response = gateway.ask("GET", target)
    assert response.status == status
    if status == 503:
        assert int(response.get("retry-after")) >= 1
    assert gateway.entry(response.get("x-request-id"))["details"].startswith("upstream_")


@pytest.mark.parametrize("route, status", [("/late", 503), ("/late-page", 504)])
def test_an_upstream_that_does_not_answer_in_time_is_503_or_504(gateway, upstream, path, route, status):
    target, gone = route + path, threading.Event()

    def waits(line, request):
        try:
            line.read_exactly(1)
        finally:
            gone.set()

    upstream.script[target] = waits
    response = gateway.ask("GET", target)
    assert response.status == status
    assert response.json()["code"] == "upstream_response_timeout"
    assert "UT" in gateway.entry(response.get("x-request-id"))["flags"]
    assert gone.wait(20), "the upstream's connection stayed open"


@pytest.mark.parametrize("status", ["400 Bad Request", "401 Unauthorized", "404 Not Found", "409 Conflict", "429 Too Many Requests", "500 Internal Server Error", "502 Bad Gateway", "503 Service Unavailable", "504 Gateway Timeout"])
def test_the_upstreams_own_status_passes_unchanged(gateway, upstream, path, status):
    target = "/faults" + path
    upstream.script[target] = raw(f"HTTP/1.1 {status}\r\nContent-Length: 5\r\nX-Own: yes\r\n\r\nmine!".encode())
    response = gateway.ask("GET", target)
    assert (response.status, response.body, response.get("x-own"), response.get("retry-after")) == (int(status[:3]), b"mine!", "yes", None)


# --- Retries


def dies_on_second_use():
    """Answers the first request of each connection and closes at the second without an answer: a keep-alive race, every time."""
    used: set[int] = set()

    def run(line, request):
        line.read_body(request)
        if line.number in used:
            raise Cut("as scripted")
        used.add(line.number)
        line.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    return run


@pytest.mark.parametrize("method, status, arrivals", [("GET", 200, 3), ("HEAD", 200, 3), ("POST", 503, 2), ("PATCH", 503, 2)])
def test_a_request_lost_on_a_reused_connection_is_sent_again_only_where_that_is_safe(start, surroundings, method, status, arrivals):
    other = Upstream()
    try:
        other.default = dies_on_second_use()
        gateway = start(surroundings.configuration(upstreams={"main": {"endpoints": [other.address], "failures": "metaflow"}}, event_loops=1))
        with gateway.client() as client:
            assert client.ask("GET", "/first").status == 200
            assert client.ask(method, "/again", body=b"{}" if method in ("POST", "PATCH") else None).status == status
        assert len(other.received) == arrivals
    finally:
        other.close()


@pytest.mark.parametrize("method", ["POST", "PATCH", "GET"])
def test_a_request_that_a_fresh_connection_lost_is_never_sent_again(start, surroundings, method):
    """Two runs would be created: only the client knows whether that is right."""
    other = Upstream()
    try:
        other.default = closes
        gateway = start(surroundings.configuration(upstreams={"main": {"endpoints": [other.address], "failures": "metaflow"}}, event_loops=1))
        assert gateway.ask(method, "/lost", body=b"{}" if method != "GET" else None).status == 503
        assert len(other.received) == 1
    finally:
        other.close()


def test_another_endpoint_is_tried_when_one_refuses_connections(start, surroundings, upstream, path, refusing_port):
    configuration = surroundings.configuration(upstreams={"main": {"endpoints": [f"http://127.0.0.1:{refusing_port}", upstream.address]}}, event_loops=1)
    gateway = start(configuration)
    with gateway.client() as client:
        for number in range(6):
            assert client.ask("POST", f"{path}/other/{number}", body=b"x").status == 200
            assert len(upstream.seen(f"{path}/other/{number}")) == 1


def test_the_log_says_that_a_retry_failed_too(start, surroundings, refusing_port):
    import socket

    with socket.socket() as sock:
        # Bound, and not listening.
        sock.bind(("127.0.0.1", 0))
        endpoints = [f"http://127.0.0.1:{port}" for port in (refusing_port, sock.getsockname()[1])]
        gateway = start(surroundings.configuration(upstreams={"main": {"endpoints": endpoints}}))
        response = gateway.ask("GET", "/x")
        entry = gateway.entry(response.get("x-request-id"))
        assert (response.status, entry["attempts"], entry["flags"]) == (502, 3, ["UF", "URX"])


@pytest.mark.parametrize("says_goodbye", [True, False])
def test_a_body_that_ends_with_its_connection_is_whole_only_where_tls_says_so(start, surroundings, authority, says_goodbye):
    """RFC 9112 §9.8: anybody on the way can end a TCP connection; only the upstream can say close_notify."""
    import ssl

    def ends(line, request):
        line.send(b"HTTP/1.1 200 OK\r\n\r\nall of it")
        if says_goodbye:
            line.sock.unwrap()
        raise Cut("as scripted")

    certificate = authority.leaf("upstream", "127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate["chain"], certificate["key"])
    other = Upstream(context)
    try:
        other.default = ends
        gateway = start(surroundings.configuration(upstreams={"main": {"endpoints": [other.address], "ca_file": str(authority.path)}}))
        with gateway.client() as client:
            client.request("GET", "/x")
            if says_goodbye:
                assert client.response().body == b"all of it"
            else:
                with pytest.raises(Cut):
                    client.response()
    finally:
        other.close()


def test_a_full_queue_is_503(start, surroundings):
    other, go_on = Upstream(), threading.Event()

    def waits(line, request):
        go_on.wait(20)
        line.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    try:
        other.default = waits
        limits = {"endpoints": [other.address], "connections_max": 1, "pending_max": 1, "pending_timeout": "20s", "failures": "metaflow"}
        gateway = start(surroundings.configuration(upstreams={"main": limits}, event_loops=1))
        with gateway.client() as first, gateway.client() as second, gateway.client() as third:
            first.request("GET", "/a")
            other.wait_for("/a")
            second.request("GET", "/b")
            # Two turns of the gateway's one loop: by the second, what the second client had sent before the first has been taken in.
            assert third.ask("GET", "/%00").status == third.ask("GET", "/%00").status == 400
            response = third.ask("GET", "/c")
            assert (response.status, response.json()["code"]) == (503, "upstream_overloaded")
            go_on.set()
            assert first.response().status == 200
            assert second.response().status == 200
    finally:
        go_on.set()
        other.close()


def test_waiting_too_long_for_a_connection_is_503(start, surroundings):
    other, go_on = Upstream(), threading.Event()
    other.default = lambda line, request: (go_on.wait(20), line.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
    try:
        limits = {"endpoints": [other.address], "connections_max": 1, "pending_timeout": "200ms", "connect_timeout": "200ms", "failures": "metaflow"}
        gateway = start(surroundings.configuration(upstreams={"main": limits}, event_loops=1))
        with gateway.client() as first, gateway.client() as second:
            first.request("GET", "/a")
            other.wait_for("/a")
            response = second.ask("GET", "/b")
            assert (response.status, response.json()["code"]) == (503, "upstream_overloaded")
            go_on.set()
            assert first.response().status == 200
    finally:
        go_on.set()
        other.close()


def test_a_connection_that_is_never_accepted_is_a_connect_timeout(start, surroundings):
    import socket

    with socket.socket() as sock:
        # A full accept queue: connections to it are not answered.
        sock.bind(("127.0.0.1", 0))
        sock.listen(0)
        fillers = []
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(sock.getsockname())
            fillers.append(filler)
        slow = {"endpoints": [f"http://127.0.0.1:{sock.getsockname()[1]}"], "connect_timeout": "200ms", "failures": "metaflow"}
        gateway = start(surroundings.configuration(upstreams={"main": slow}))
        response = gateway.ask("GET", "/x")
        assert (response.status, response.json()["code"]) == (503, "upstream_connect_timeout")
        for filler in fillers:
            filler.close()


def test_a_handshake_that_is_never_answered_is_a_connect_timeout_each_time(start, surroundings, authority):
    import socket

    with socket.create_server(("127.0.0.1", 0), backlog=128) as sock:
        # The system accepts, and nobody says anything.
        silent = {"endpoints": [f"https://127.0.0.1:{sock.getsockname()[1]}"], "ca_file": str(authority.path), "connect_timeout": "200ms", "failures": "metaflow"}
        gateway = start(surroundings.configuration(upstreams={"main": silent}, event_loops=1))
        for _ in range(2):
            response = gateway.ask("GET", "/x")
            assert (response.status, response.json()["code"]) == (503, "upstream_connect_timeout")
        # What was given up is gone from the pool, and closed: the next request does not wait for it.
        active = f'gw_upstream_connections{{stage="first",upstream="main",endpoint="127.0.0.1:{sock.getsockname()[1]}",state="active"}}'
        eventually(lambda: gateway.metrics()[active] == 0, "no dial to be left")


def test_upstream_connections_are_pooled_and_reused(start, surroundings):
    other = Upstream()
    try:
        gateway = start(surroundings.configuration(upstreams={"main": {"endpoints": [other.address]}}, event_loops=1))
        for _ in range(10):
            assert gateway.ask("GET", "/x").status == 200
        assert other.connections == 1
    finally:
        other.close()


def test_an_upstream_that_says_close_is_not_reused(start, surroundings):
    other = Upstream()
    try:
        other.default = raw(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
        gateway = start(surroundings.configuration(upstreams={"main": {"endpoints": [other.address]}}, event_loops=1))
        with gateway.client() as client:
            for _ in range(3):
                assert client.ask("POST", "/x", body=b"y").status == 200
        assert other.connections == 3
    finally:
        other.close()


def test_bytes_behind_an_answer_never_become_the_next_answer(start, surroundings):
    other = Upstream()
    try:
        other.default = raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")
        gateway = start(surroundings.configuration(upstreams={"main": {"endpoints": [other.address]}}, event_loops=1))
        with gateway.client() as client:
            for _ in range(3):
                assert client.ask("GET", "/x").body == b"ok"
    finally:
        other.close()
