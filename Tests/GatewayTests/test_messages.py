"""HTTP/1.1 on both sides: connections, bodies, and the messages that have rules of their own (B11, B13, B15)."""

import os

import pytest
from conftest import PEER
from upstream import answer, echo, raw
from wire import Cut


def test_one_connection_serves_request_after_request(gateway, upstream, path):
    with gateway.client() as client:
        for number in range(5):
            assert client.ask("GET", path).json()["target"] == path
    assert {request.connection for request in upstream.seen(path)} == {upstream.seen(path)[0].connection}


def test_pipelined_requests_are_answered_in_order(gateway, upstream, path):
    upstream.script[path + "/slow"] = lambda line, request: (line.read_body(request), line.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"), line.send(b"slow"))
    with gateway.client() as client:
        targets = [path + "/slow"] + [f"{path}/{number}" for number in range(20)]
        client.send(b"".join(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode() for target in targets))
        assert client.response().body == b"slow"
        for target in targets[1:]:
            assert client.response().json()["target"] == target


def test_pipelined_posts_keep_their_bodies(gateway, upstream, path):
    bodies = [os.urandom(size) for size in (1, 0, 70_000, 5)]
    with gateway.client() as client:
        client.send(b"".join(f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body for body in bodies))
        for body in bodies:
            response = client.response()
            assert response.status == 200, response.body
            assert response.json()["body"] == len(body)
    assert [request.body for request in upstream.seen(path)] == bodies


@pytest.mark.parametrize("fields, closes", [([], False), ([("Connection", "keep-alive")], False), ([("Connection", "close")], True), ([("Connection", "foo, CLOSE")], True)])
def test_connection_close_ends_the_connection_behind_the_answer(gateway, path, fields, closes):
    with gateway.client() as client:
        response = client.ask("GET", path, fields)
        assert (response.get("connection") == "close") == closes
        if closes:
            assert client.is_closed()
        else:
            assert client.ask("GET", path).status == 200


def test_a_head_in_single_bytes_is_read(gateway, path):
    with gateway.client() as client:
        for byte in f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode():
            client.send(bytes([byte]))
        assert client.response().status == 200


# --- Bodies towards the upstream


@pytest.mark.parametrize("size", [0, 1, 2, 8191, 8192, 65_536, 65_537, 1_000_003])
def test_a_body_with_content_length_arrives_whole_and_with_its_length(gateway, upstream, path, size):
    body = os.urandom(size)
    assert gateway.ask("POST", path, body=body).status == 200
    request = upstream.wait_for(path)
    assert request.body == body
    assert request.get("content-length") == str(size)
    assert request.get("transfer-encoding") is None


@pytest.mark.parametrize("cuts", [[], [1], [1, 1, 1], [10, 70_000, 3]], ids=str)
def test_a_chunked_body_arrives_whole_and_chunked(gateway, upstream, path, cuts):
    pieces = [os.urandom(size) for size in cuts]
    with gateway.client() as client:
        client.send(f"POST {path} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        for piece in pieces:
            client.send(b"%X\r\n" % len(piece) + piece + b"\r\n")
        client.send(b"0\r\n\r\n")
        assert client.response().status == 200
        assert client.ask("GET", path).status == 200
    request = upstream.wait_for(path)
    assert request.body == b"".join(pieces)
    assert (request.get("content-length"), request.get("transfer-encoding")) == (None, "chunked")


def test_chunks_in_single_bytes_are_read(gateway, upstream, path):
    with gateway.client() as client:
        client.send(f"POST {path} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        for byte in b"5\r\nhello\r\n1;a=b\r\n!\r\n000\r\n\r\n":
            client.send(bytes([byte]))
        assert client.response().status == 200
    assert upstream.wait_for(path).body == b"hello!"


def test_chunk_extensions_are_dropped(gateway, upstream, path):
    with gateway.client() as client:
        client.send(f"POST {path} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5;name=value;x=\"y\"\r\nhello\r\n0;end\r\n\r\n".encode())
        assert client.response().status == 200
    assert upstream.wait_for(path).body == b"hello"


def test_a_body_is_streamed_and_not_collected(gateway, upstream, path):
    """The first part reaches the upstream while the client has not sent the second."""
    with gateway.client() as client:
        client.send(f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nfirst".encode())
        upstream.wait_for(path)
        client.send(b"other")
        assert client.response().json()["body"] == 10


@pytest.mark.parametrize("route, kept", [("/open", []), ("/trailers", [("x-checksum", "abc")])])
def test_trailers_are_dropped_unless_the_route_names_them(gateway, upstream, path, route, kept):
    target = route + path
    with gateway.client() as client:
        client.send(f"POST {target} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Checksum: abc\r\nX-Other: no\r\n\r\n".encode())
        assert client.response().status == 200
    assert [(name.lower(), value) for name, value in upstream.wait_for(target).trailers] == kept


@pytest.mark.parametrize("route, kept", [("/open", []), ("/trailers", [("x-checksum", "abc")])])
def test_trailers_of_an_answer_are_dropped_unless_the_route_names_them(gateway, upstream, path, route, kept):
    target = route + path
    upstream.script[target] = raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Checksum: abc\r\nX-Other: no\r\n\r\n")
    response = gateway.ask("GET", target)
    assert response.body == b"a"
    assert [(name.lower(), value) for name, value in response.trailers] == kept


# --- Bodies towards the client


@pytest.mark.parametrize("size", [0, 1, 8192, 65_537, 1_000_003])
def test_an_answer_with_content_length_arrives_whole_and_with_its_length(gateway, upstream, path, size):
    body = os.urandom(size)
    upstream.script[path] = answer(body)
    response = gateway.ask("GET", path)
    assert response.body == body
    assert response.get("content-length") == str(size)


def test_a_chunked_answer_arrives_whole_and_chunked(gateway, upstream, path):
    pieces = [b"a", os.urandom(100_000), b"b" * 17]
    data = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    upstream.script[path] = raw(data)
    with gateway.client() as client:
        response = client.ask("GET", path)
        assert response.body == b"".join(pieces)
        assert (response.get("transfer-encoding"), response.get("content-length")) == ("chunked", None)
        assert client.ask("GET", path).status == 200


def test_an_answer_that_ends_with_its_connection_is_chunked_for_the_client(gateway, upstream, path):
    upstream.script[path] = raw(b"HTTP/1.1 200 OK\r\n\r\nall of it", then_close=True)
    with gateway.client() as client:
        response = client.ask("GET", path)
        assert (response.body, response.get("transfer-encoding")) == (b"all of it", "chunked")
        assert client.ask("GET", "/open/after").status == 200


def test_an_answer_is_streamed_and_not_collected(gateway, upstream, path):
    """Each event reaches the client before the upstream sends the next."""
    import threading

    go_on = threading.Semaphore(0)

    def events(line, request):
        line.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(3):
            line.send(b"9\r\ndata: 1\n\n\r\n")
            assert go_on.acquire(timeout=20)
        line.send(b"0\r\n\r\n")

    upstream.script[path] = events
    with gateway.client() as client:
        client.request("GET", path)
        assert b"text/event-stream" in client.read_until(b"\r\n\r\n")
        for _ in range(3):
            assert client.read_until(b"\r\n") == b"9\r\n"
            assert client.read_exactly(11) == b"data: 1\n\n\r\n"
            go_on.release()
        assert client.read_until(b"\r\n\r\n") == b"0\r\n\r\n"


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "cut",
    [b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", CHUNKED + b"5\r\nwhole\r\n", CHUNKED + b"5\r\nha", CHUNKED + b"5\r\nwhole\r\n0\r\nSet-Cookie: a=b\r\n\r\n"],
    ids=["length", "between chunks", "inside a chunk", "forbidden trailer"],
)
def test_an_answer_that_is_cut_never_looks_whole(gateway, upstream, path, cut):
    upstream.script[path] = raw(cut, then_close=True)
    with gateway.client() as client:
        client.request("GET", path)
        with pytest.raises(Cut):
            client.response()


# --- HEAD, 204, 304, 1xx


def test_an_answer_to_head_has_the_length_and_no_body(gateway, upstream, path):
    upstream.script[path] = answer(b"x" * 42)
    with gateway.client() as client:
        response = client.ask("HEAD", path)
        assert (response.status, response.get("content-length"), response.body) == (200, "42", b"")
        assert client.ask("GET", path).body == b"x" * 42


@pytest.mark.parametrize("status, length", [("204 No Content", None), ("304 Not Modified", None), ("304 Not Modified", "42")])
def test_an_answer_without_a_body_does_not_hold_the_connection_up(gateway, upstream, path, status, length):
    upstream.script[path] = raw(f"HTTP/1.1 {status}\r\nETag: \"a\"\r\n{f'Content-Length: {length}{chr(13)}{chr(10)}' if length else ''}\r\n".encode())
    with gateway.client() as client:
        response = client.ask("GET", path)
        assert (response.status, response.body, response.get("etag"), response.get("content-length")) == (int(status[:3]), b"", '"a"', length)
        assert response.get("transfer-encoding") is None
        assert client.ask("GET", "/open/after").status == 200


def test_early_hints_are_passed_on(gateway, upstream, path):
    upstream.script[path] = raw(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    with gateway.client() as client:
        client.request("GET", path)
        hints = client.any_response()
        assert (hints.status, hints.get("link")) == (103, "</a.css>; rel=preload")
        assert client.any_response().body == b"ok"


def test_a_100_of_the_upstreams_is_not_passed_to_a_client_that_did_not_ask(gateway, upstream, path):
    upstream.script[path] = raw(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    with gateway.client() as client:
        client.request("GET", path)
        assert client.any_response().status == 200


# --- Expect


def expecting(path: str, length: int = 5, *more: str) -> bytes:
    return ("\r\n".join([f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Length: {length}", "Expect: 100-continue", *more]) + "\r\n\r\n").encode()


def test_100_continue_is_said_by_the_gateway_and_expect_goes_no_further(gateway, upstream, path):
    with gateway.client() as client:
        client.send(expecting(path))
        assert client.any_response().status == 100
        client.send(b"hello")
        assert client.any_response().status == 200
    request = upstream.wait_for(path)
    assert (request.body, request.get("expect")) == (b"hello", None)


@pytest.mark.parametrize(
    "target, length, status", [("/secure/x", 5, 401), ("/small/x", 2000, 413), ("/nowhere-else\\", 5, 400), ("/get-only", 5, 405), ("/dead/x", 5, 503)]
)
def test_a_refused_request_that_expects_100_gets_its_refusal_and_no_100(gateway, target, length, status):
    with gateway.client() as client:
        client.send(expecting(target, length))
        response = client.any_response()
        assert (response.status, response.get("connection")) == (status, "close")


def test_a_body_that_came_without_waiting_gets_no_100(gateway, path):
    with gateway.client() as client:
        client.send(expecting(path) + b"hello")
        assert client.any_response().status == 200


def test_another_expectation_is_417(gateway):
    with gateway.client() as client:
        assert client.ask("POST", "/open", [("Expect", "the-moon")], b"x").status == 417


# --- HTTP/1.0


def test_http_10_gets_a_close_and_no_chunks(gateway, upstream, path):
    upstream.script[path] = raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
    with gateway.client() as client:
        client.request("GET", path, version="HTTP/1.0")
        response = client.response()
        assert (response.body, response.get("transfer-encoding"), response.get("connection")) == (b"hello", None, "close")
        assert client.is_closed()
    assert b" HTTP/1.1\r\n" in upstream.wait_for(path).head


def test_http_10_is_not_kept_alive(gateway, path):
    with gateway.client() as client:
        client.request("GET", path, version="HTTP/1.0")
        assert client.response().get("connection") == "close"
        assert client.is_closed()


def test_http_10_gets_no_interim_answer(gateway, upstream, path):
    upstream.script[path] = raw(b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    with gateway.client() as client:
        client.request("GET", path, version="HTTP/1.0")
        assert client.any_response().status == 200


# --- Early answers


def test_an_answer_before_the_body_is_whole_reaches_the_client(gateway, upstream, path):
    def early(line, request):
        line.send(b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 4\r\n\r\nlate")
        line.read_exactly(1 << 30)

    upstream.script[path] = early
    with gateway.client() as client:
        client.send(f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n".encode() + b"x" * 1000)
        response = client.response()
        assert (response.status, response.body) == (429, b"late")


def test_a_refused_body_is_drained_so_that_the_connection_serves_on(gateway):
    with gateway.client() as client:
        client.request("POST", "/secure/x", body=b"x" * 10_000)
        assert client.response().status == 401
        assert client.ask("GET", "/open/after").status == 200


def test_a_large_refused_body_ends_the_connection(gateway):
    with gateway.client() as client:
        client.send(b"POST /secure/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 1000)
        response = client.response()
        assert (response.status, response.get("connection")) == (401, "close")


def test_a_request_inside_a_refused_body_is_never_a_request(gateway, upstream, path):
    inner = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    with gateway.client() as client:
        client.request("POST", "/secure/x", body=inner)
        assert client.response().status == 401
        assert client.ask("GET", "/open/after").status == 200
    assert upstream.seen(path) == []


# --- Upgrade


UPGRADE = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"


def mirror(line, request):
    line.send(SWITCH + b"hello from behind")
    while data := line.buffer or line._more():
        line.buffer = b""
        line.send(data.upper())


def test_after_101_bytes_pass_both_ways_those_behind_the_101_first(gateway, upstream, path):
    upstream.script[path] = mirror
    with gateway.client() as client:
        client.send(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{UPGRADE}\r\n".encode())
        response = client.response()
        assert (response.status, response.get("upgrade"), response.get("connection").lower()) == (101, "websocket", "upgrade")
        assert response.get("sec-websocket-accept") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        assert client.read_exactly(17) == b"hello from behind"
        for payload in (b"abc", b"\x00\xff" * 10, b"x" * 200_000):
            client.send(payload)
            assert client.read_exactly(len(payload)) == payload.upper()
    request = upstream.wait_for(path)
    assert (request.get("upgrade"), request.get("connection").lower(), request.get("sec-websocket-key")) == ("websocket", "upgrade", "dGhlIHNhbXBsZSBub25jZQ==")


def test_the_end_of_either_side_ends_the_tunnel(gateway, upstream, path):
    def brief(line, request):
        line.send(SWITCH + b"bye")
        raise Cut("as scripted")

    upstream.script[path] = brief
    with gateway.client() as client:
        client.send(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{UPGRADE}\r\n".encode())
        answered = client.response()
        assert answered.status == 101
        assert client.read_exactly(3) == b"bye"
        assert client.is_closed()
    entry = gateway.entry(answered.get("x-request-id"))
    assert (entry["status"], entry["bytes_out"]) == (101, 3)

    def stays(line, request):
        line.send(SWITCH)
        line.read_to_end()

    other = f"{path}/other"
    upstream.script[other] = stays
    with gateway.client() as client:
        client.send(f"GET {other} HTTP/1.1\r\nHost: localhost\r\n{UPGRADE}\r\n".encode())
        assert client.response().status == 101
    upstream.wait_until_left(upstream.wait_for(other).connection)


def test_nothing_is_tunnelled_before_101(gateway, upstream, path):
    """CVE-2026-2833: what follows an upgrade that is refused is the next request, checked like any other."""
    upstream.script[path] = raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno")
    hidden = f"{path}/hidden"
    with gateway.client() as client:
        client.send(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{UPGRADE}\r\nGET /secure{hidden} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert client.response().body == b"no"
        assert client.response().status == 401
    assert upstream.seen("/secure" + hidden) == []


def test_bytes_sent_before_101_wait_for_it(gateway, upstream, path):
    upstream.script[path] = mirror
    with gateway.client() as client:
        client.send(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{UPGRADE}\r\nearly".encode())
        assert client.response().status == 101
        assert client.read_exactly(22) == b"hello from behind" + b"EARLY"


@pytest.mark.parametrize(
    "data",
    [b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\r\n"],
    ids=["unasked", "without a protocol"],
)
def test_a_101_that_nobody_asked_for_is_502(gateway, upstream, path, data):
    target = "/page" + path
    upstream.script[target] = raw(data)
    assert gateway.ask("GET", target).status == 502


def test_an_upgrade_with_a_body_is_refused(gateway, upstream, path):
    with gateway.client() as client:
        client.send(f"POST {path} HTTP/1.1\r\nHost: localhost\r\n{UPGRADE}Content-Length: 5\r\n\r\nhello".encode())
        assert client.response().status == 400
    assert upstream.seen(path) == []


def test_an_upgrade_on_a_protected_route_needs_a_token(gateway, upstream, path, bearer):
    target = "/secure" + path
    upstream.script[target] = mirror
    with gateway.client() as client:
        client.send(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n{UPGRADE}\r\n".encode())
        assert client.response().status == 401
    assert upstream.seen(target) == []
    with gateway.client() as client:
        client.send(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n{UPGRADE}{': '.join(bearer()[0])}\r\n\r\n".encode())
        assert client.response().status == 101


# --- Methods and targets


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_every_usual_method_reaches_the_upstream(gateway, path, method):
    assert gateway.ask(method, path).json()["method"] == method


@pytest.mark.parametrize("method, status", [("CONNECT", 501), ("TRACE", 405), ("BREW", 501), ("get", 501), ("X" * 33, 400)])
def test_a_method_that_no_policy_knows_goes_nowhere(gateway, upstream, method, status):
    before = len(upstream.received)
    assert gateway.ask(method, "/open/m").status == status
    assert len(upstream.received) == before


def test_an_absolute_target_is_taken_where_it_names_the_host(gateway, path):
    assert gateway.ask("GET", f"https://localhost{path}").json()["target"] == path


def test_the_client_that_leaves_is_logged_and_its_upstream_request_ended(gateway, upstream, path):
    from gateway import eventually

    gone = []

    def waits(line, request):
        try:
            line.read_exactly(1)
        except Exception:
            gone.append(True)

    upstream.script[path] = waits
    client = gateway.client()
    client.request("GET", path)
    upstream.wait_for(path)
    client.close()
    eventually(lambda: gone, "the upstream's connection to be closed")
    entry = eventually(lambda: [entry for entry in gateway.log() if entry.get("path") == path], "its log line")[0]
    assert "DC" in entry["flags"]
