"""HTTP/2 downstream: the same exchange as HTTP/1.1, held to RFC 9113 (B12, A10)."""

import os
import signal
import threading

import h2.exceptions
import hpack
import pytest
from gateway import eventually
from http2 import H2
from upstream import Upstream, answer, echo, raw
from wire import Cut, again

PREFACE_SETTINGS = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])


@pytest.fixture
def client(gateway):
    with H2(gateway) as client:
        yield client


def test_a_request_reaches_the_upstream_as_http_11_and_is_logged_as_http_2(gateway, upstream, client, path):
    response = client.ask("GET", path + "?a=b", [("accept", "text/plain"), ("cookie", "a=1"), ("cookie", "b=2")])
    assert response.status == 200
    assert response.get("content-type") == "application/json"
    received = upstream.wait_for(path)
    assert received.target == path + "?a=b"
    assert received.get("host") == received.get("x-forwarded-host") == "localhost"
    assert received.get("cookie") == "a=1; b=2"
    assert received.get("x-forwarded-proto") == "https"
    assert received.all("transfer-encoding") == received.all("content-length") == received.all("connection") == []
    entry = gateway.entry(response.get("x-request-id"))
    assert entry["protocol"] == "HTTP/2"
    assert (entry["status"], entry["method"], entry["path"], entry["bytes_out"]) == (200, "GET", path, len(response.body))


@pytest.mark.parametrize("says_length", [True, False])
def test_a_body_goes_up_with_its_length_or_in_chunks(upstream, client, path, says_length):
    body = bytes(range(256)) * 1000
    response = client.ask("POST", path, [("content-length", str(len(body)))] if says_length else [], body)
    assert response.json()["body"] == len(body)
    received = upstream.wait_for(path)
    assert received.body == body
    assert received.get("content-length") == (str(len(body)) if says_length else None)
    assert received.get("transfer-encoding") == (None if says_length else "chunked")


def test_trailers_pass_where_the_route_names_them(upstream, client):
    upstream.script["/trailers/h2"] = raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Checksum: 9\r\nX-Other: 1\r\n\r\n")
    number = client.open("POST", "/trailers/h2", ends=False)
    client.send_body(number, b"abc", trailers=[("x-checksum", "7"), ("x-other", "8")])
    response = client.response(number)
    assert upstream.wait_for("/trailers/h2").trailers == [("x-checksum", "7")]
    assert (response.status, response.body, response.trailers) == (200, b"ok", [("x-checksum", "9")])


@pytest.mark.parametrize("method, status, fields", [("HEAD", "200 OK", ""), ("GET", "204 No Content", ""), ("GET", "304 Not Modified", "ETag: \"a\"\r\n")])
def test_a_response_without_a_body_ends_with_its_head(upstream, client, path, method, status, fields):
    if method == "HEAD":
        upstream.script[path] = answer(b"four", status)
    else:
        upstream.script[path] = raw(f"HTTP/1.1 {status}\r\n{fields}\r\n".encode())
    response = client.ask(method, path)
    assert response.status == int(status[:3])
    assert response.body == b""
    assert response.get("content-length") == ("4" if method == "HEAD" else None)


def test_many_streams_at_once_each_get_their_own_answer(upstream, client):
    numbers = {client.open("POST", f"/open/many/{index}", ends=False): index for index in range(60)}
    for number, index in numbers.items():
        client.send_body(number, b"x" * index)
    for number, index in numbers.items():
        response = client.response(number)
        assert (response.status, response.json()["target"], response.json()["body"]) == (200, f"/open/many/{index}", index)


def test_one_connection_serves_request_after_request(client, path):
    for _ in range(300):
        assert client.ask("GET", path).status == 200


def test_tokens_are_demanded_and_taken(client, bearer):
    refused = client.ask("GET", "/secure/h2")
    assert (refused.status, refused.json()["code"]) == (401, "token_missing")
    assert refused.get("www-authenticate").startswith("Bearer")
    name, token = bearer()[0]
    assert client.ask("GET", "/secure/h2", [(name.lower(), token)]).status == 200


def test_an_authority_that_the_connection_is_not_for_gets_421_and_the_connection_lives(gateway, upstream, client):
    response = client.ask("GET", "/open/misdirected", authority="second.localhost")
    assert response.status == 421
    assert client.ask("GET", "/open/directed").status == 200
    assert upstream.seen("/open/misdirected") == []


def fields(**changes) -> list[tuple[str, str]]:
    whole = {":method": "GET", ":scheme": "https", ":authority": "localhost", ":path": "/open/abuse"}
    whole.update({f":{name}": value for name, value in changes.items()})
    return [(name, value) for name, value in whole.items() if value is not None]


def test_a_malformed_head_is_logged(gateway):
    before = len(gateway.log())
    with H2(gateway) as client:
        number = client.open_raw([("accept", "*/*"), *fields()])
        assert client.response(number).reset == 1
    eventually(lambda: [entry for entry in gateway.log()[before:] if entry.get("details") == "http2_head_malformed"], "the log line")


def test_a_client_that_resets_its_stream_ends_the_work_upstream(gateway, upstream, client, path):
    left = threading.Event()

    def waits(line, request):
        try:
            line.read_exactly(1)
        except (Cut, OSError):
            left.set()
            raise

    upstream.script[path] = waits
    number = client.open("GET", path)
    upstream.wait_for(path)
    client.reset(number)
    assert left.wait(20)
    assert client.ask("GET", "/open/after-reset").status == 200
    entry = eventually(lambda: [entry for entry in gateway.log() if entry.get("path") == path], "the log line")[0]
    assert "status" not in entry and "DC" in entry["flags"]


def test_a_response_that_breaks_off_resets_the_stream(upstream, client, path):
    upstream.script[path] = raw(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", then_close=True)
    response = client.ask("GET", path)
    assert response.reset == 2
    assert client.ask("GET", "/open/after-break").status == 200


def test_a_body_over_the_limit_gets_413_and_the_client_may_stop_sending(upstream, client):
    number = client.open("POST", "/small/h2", ends=False)
    client.send_body(number, b"x" * 1025, ends=False)
    stream = client.streams[number]
    client.until(lambda: stream.reset is not None, "the reset behind the answer")
    assert (stream.status, stream.ended, stream.reset) == (413, True, 0)
    assert client.ask("GET", "/open/after-413").status == 200


def test_an_early_answer_ends_the_stream_without_the_rest_of_the_body(upstream, client, path):
    number = client.open("POST", "/secure/early", [("content-length", "1000000")], ends=False)
    stream = client.streams[number]
    client.until(lambda: stream.reset is not None, "the reset behind the answer")
    assert (stream.status, stream.reset) == (401, 0)


def test_a_client_that_ends_its_request_behind_an_early_answer_is_not_reset(client):
    # It has two seconds to end, which a machine that stalls may let pass once.
    for _ in range(3):
        number = client.open("POST", "/secure/early-end", ends=False)
        stream = client.streams[number]
        client.until(lambda: stream.ended, "the answer")
        client.send_body(number, bytes(10_000))
        assert client.ask("GET", "/open/after-early-end").status == 200
        if stream.reset is None:
            break
    assert (stream.status, stream.reset) == (401, None)


def test_100_continue_comes_when_the_upstream_is_there(upstream, client, path):
    number = client.open("POST", path, [("content-length", "2"), ("expect", "100-continue")], ends=False)
    stream = client.streams[number]
    client.until(lambda: stream.informational, "100 (Continue)")
    assert dict(stream.informational[0])[":status"] == "100"
    client.send_body(number, b"ok")
    assert client.response(number).status == 200


def test_early_hints_pass(upstream, client, path):
    upstream.script[path] = raw(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    response = client.ask("GET", path)
    assert response.informational == [[(":status", "103"), ("link", "</a>")]]
    assert (response.status, response.body) == (200, b"ok")


def test_an_upstream_that_cannot_be_reached_is_503_with_the_sentence(client):
    response = client.ask("GET", "/dead/h2")
    assert (response.status, response.json()["code"], response.get("retry-after")) == (503, "upstream_connect_failed", "1")


def test_a_late_upstream_is_answered_for(client, upstream):
    upstream.script["/late/h2"] = lambda line, request: line.read_exactly(1)
    assert client.ask("GET", "/late/h2").status == 503
    assert client.ask("GET", "/open/after-late").status == 200


BIG = 6 << 20


def test_large_bodies_pass_both_ways(gateway, upstream):
    body = bytes(BIG)
    upstream.script["/big/h2-down"] = answer(body)
    with H2(gateway) as client:
        assert len(client.ask("GET", "/big/h2-down").body) == BIG
        response = client.ask("POST", "/big/h2-up", body=body)
        assert response.json()["body"] == BIG


FRAMED = {
    "length": lambda body: b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body,
    "chunked": lambda body: b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n",
    "close": lambda body: b"HTTP/1.1 200 OK\r\n\r\n" + body,
}


@pytest.mark.parametrize("framing", FRAMED)
def test_an_answer_reaches_a_slow_client_whole_when_its_upstream_has_left(gateway, upstream, path, framing):
    # More than the windows let through, and little enough that the upstream can be done before the client takes any of it.
    body = os.urandom(1_000_000)
    upstream.script[path] = raw(FRAMED[framing](body), then_close=True)
    with H2(gateway, takes_bodies=False) as client:
        number = client.open("GET", path)
        upstream.wait_until_left(upstream.wait_for(path).connection)
        stream = client.streams[number]
        client.until(lambda: len(stream.body) == 65_535, "a full window")
        client.connection.increment_flow_control_window(1 << 20)
        client.connection.increment_flow_control_window(1 << 20, number)
        client.flush()
        client.response(number)
        assert (stream.status, stream.reset, stream.body == body) == (200, None, True)


def test_a_stream_that_is_not_read_stalls_no_other_and_holds_little(start, surroundings):
    upstream, size = Upstream(), 64 << 20
    body = bytes(size)

    def much(line, request):
        line.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        # Not joined with the head: twenty copies would fill the machine.
        line.send(body)

    upstream.script["/slow"] = much
    gateway = start(surroundings.configuration(
        routes=[{"path": "/", "upstream": "main", "public": "tests"}], upstreams={"main": {"endpoints": [upstream.address]}}, event_loops=1))
    with H2(gateway, takes_bodies=False) as client:
        client.connection.increment_flow_control_window(16 << 20)
        client.ask("GET", "/warm-up")
        before = gateway.status("RssAnon")
        slow = [client.open("GET", "/slow") for _ in range(20)]
        for number in slow:
            client.until(lambda: len(client.streams[number].body) == 65_535, "a full window")
        for _ in range(50):
            assert client.ask("GET", "/quick").status == 200
        # Each slow stream may hold a read and its share of the pending bytes.
        assert gateway.status("RssAnon") - before < 20 * 300
        for number in slow:
            client.reset(number)
        assert client.ask("GET", "/quick").status == 200
    upstream.close()


def test_an_upload_that_the_upstream_does_not_take_stops_at_its_window(gateway, upstream, client, path):
    go_on = threading.Event()

    def slow(line, request):
        go_on.wait(60)
        echo(line, request)

    upstream.script[path] = slow
    number = client.open("POST", path, [("content-length", str(24 << 20))], ends=False)
    sent = 0
    while (room := min(client.connection.local_flow_control_window(number), 16_384)) > 0 or sent < 65_536:
        if room <= 0:
            client.read()
            continue
        client.connection.send_data(number, bytes(room))
        client.flush()
        sent += room
        assert sent < 20 << 20
        if client.connection.local_flow_control_window(number) <= 0:
            client.client.sock.settimeout(1)
            try:
                client.read()
            except TimeoutError:
                break
            finally:
                client.client.sock.settimeout(20)
    assert client.ask("GET", "/open/while-stalled").status == 200
    go_on.set()
    client.send_body(number, bytes((24 << 20) - sent))
    assert client.response(number).json()["body"] == 24 << 20


def test_resets_in_quick_succession_end_the_connection_and_nothing_else(gateway, upstream):
    failures = gateway.metrics()["gw_conn_http2_failures_total"]
    with H2(gateway) as client:
        try:
            for _ in range(300):
                number = client.open("GET", "/open/rapid")
                client.reset(number)
            client.until_end()
        except (OSError, Cut, h2.exceptions.ProtocolError):
            pass
        try:
            client.until_end()
        except (OSError, Cut, h2.exceptions.ProtocolError):
            pass
        if client.goaways:
            assert int(client.goaways[-1].error_code) == 11
    eventually(lambda: gateway.metrics()["gw_conn_http2_failures_total"] > failures, "the count of the failure")
    with H2(gateway) as client:
        assert client.ask("GET", "/open/after-rapid").status == 200


def test_thousands_of_one_byte_fields_end_the_connection_without_growing_memory(gateway):
    encoder = hpack.Encoder()
    block = encoder.encode(fields()) + encoder.encode([("x", "a" * 3900)]) + b"\xbe" * 10_000
    frame = len(block).to_bytes(3, "big") + bytes([1, 5]) + (1).to_bytes(4, "big") + block
    before = gateway.status("RssAnon")
    with gateway.client(alpn=["h2"]) as client:
        client.send(PREFACE_SETTINGS + frame)
        try:
            data = client.read_to_end()
        except (Cut, OSError):
            data = client.buffer
        assert bytes([7, 0, 0, 0, 0, 0]) in data and data.endswith((11).to_bytes(4, "big"))
    assert gateway.status("RssAnon") - before < 4096


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", PREFACE_SETTINGS + bytes([0, 0, 1, 0, 0, 0, 0, 0, 0, 1])])
def test_a_client_that_speaks_otherwise_than_it_chose_is_cut_off(gateway, data):
    with gateway.client(alpn=["h2"]) as client:
        client.send(data)
        try:
            client.read_to_end()
        except Cut:
            pass


def test_a_preface_that_does_not_come_is_not_waited_for(hurried):
    client = again(lambda: hurried.client(alpn=["h2"]))
    with client:
        try:
            client.read_to_end()
        except Cut:
            pass


def test_a_head_that_does_not_end_is_not_waited_for(hurried):
    def is_told() -> bool:
        with hurried.client(alpn=["h2"]) as client:
            client.send(PREFACE_SETTINGS + bytes([0, 0, 1, 1, 0, 0, 0, 0, 1, 0x82]))
            try:
                return client.read_to_end().endswith((11).to_bytes(4, "big"))
            except Cut:
                return True

    # A machine that stalls before it has sent anything is let go without a word.
    assert any(again(is_told) for _ in range(3))


def test_the_plain_listener_speaks_no_http_2(gateway):
    from wire import Client

    with Client(gateway.port("listeners[1].address")) as client:
        client.send(PREFACE_SETTINGS)
        assert client.response().status in (400, 501, 505)


def test_draining_announces_the_end_serves_what_is_under_way_and_closes(start, surroundings):
    go_on = threading.Event()

    def slow(line, request):
        go_on.wait(20)
        echo(line, request)

    upstream = Upstream()
    upstream.script["/slow"] = slow
    gateway = start(surroundings.configuration(
        routes=[{"path": "/", "upstream": "main", "public": "tests"}], upstreams={"main": {"endpoints": [upstream.address]}},
        drain={"accept_for": "2s", "finish_for": "20s"}))
    with H2(gateway) as client:
        assert client.ask("GET", "/before").status == 200
        number = client.open("GET", "/slow")
        upstream.wait_for("/slow")
        gateway.signal(signal.SIGTERM)
        client.until(lambda: client.goaways, "GOAWAY")
        assert (client.goaways[0].last_stream_id, int(client.goaways[0].error_code)) == (2**31 - 1, 0)
        client.until(lambda: len(client.goaways) == 2, "the final GOAWAY")
        assert client.goaways[1].last_stream_id == number
        go_on.set()
        client.until_end()
        assert (client.streams[number].status, client.streams[number].ended) == (200, True)
    assert gateway.process.wait(20) == 0
    upstream.close()


# --- Time


@pytest.fixture
def impatient(start, surroundings):
    """A gateway whose waits are as short as they may be."""
    upstream = Upstream()
    yield upstream, lambda **timeouts: start(surroundings.configuration(
        routes=[{"path": "/", "upstream": "main", "public": "tests"}], upstreams={"main": {"endpoints": [upstream.address]}}, event_loops=1,
        timeouts={"keep_alive": "60s", "http2_ping": "60s"} | timeouts, limits={"http2_streams": 3}))
    upstream.close()


def test_a_client_that_answers_pings_stays_and_one_that_is_gone_is_let_go(impatient):
    _, start = impatient
    gateway = start(http2_ping="1s")

    def present_stays() -> None:
        with H2(gateway) as present, H2(gateway) as absent:
            assert present.ask("GET", "/x").status == absent.ask("GET", "/x").status == 200
            # The package answers a PING by itself; `absent` is not read, as if its machine were gone.
            pings = []
            note = present._note
            present._note = lambda event: (pings.append(event) if type(event).__name__ == "PingReceived" else None, note(event))
            present.until(lambda: len(pings) >= 3, "three pings")
            eventually(lambda: gateway.metrics()["gw_conn_open"] <= 1, "the connection without a client to be gone")
            assert present.ask("GET", "/y").status == 200
            absent.until_end()

    again(present_stays)


def test_an_idle_connection_ends_in_order(impatient):
    _, start = impatient
    gateway = start(keep_alive="1s")

    def ends() -> list[int]:
        with H2(gateway) as client:
            assert client.ask("GET", "/x").status == 200
            client.until_end()
            return [int(goaway.error_code) for goaway in client.goaways]

    assert again(ends) == [0]


def test_an_exchange_keeps_its_connection_from_being_idle(impatient):
    upstream, start = impatient
    gateway = start(keep_alive="1s")
    go_on = threading.Event()

    def slow(line, request):
        assert go_on.wait(20)
        echo(line, request)

    upstream.script["/slow"] = slow

    def idle_one_ends() -> None:
        with H2(gateway) as idle:
            assert idle.ask("GET", "/x").status == 200
            idle.until_end()

    with H2(gateway) as client:
        number = client.open("GET", "/slow")
        upstream.wait_for("/slow")
        # By the time that an idle one has been closed, this one would have been too.
        again(idle_one_ends)
        go_on.set()
        assert client.response(number).status == 200


def test_a_window_that_stays_shut_cuts_its_stream_and_no_other(impatient):
    upstream, start = impatient
    gateway = start(send_idle="1s")
    upstream.script["/much"] = answer(bytes(8 << 20))
    with H2(gateway, takes_bodies=False) as client:
        client.connection.increment_flow_control_window(16 << 20)
        number = client.open("GET", "/much")
        client.until(lambda: len(client.streams[number].body) == 65_535, "a full window")
        assert client.response(number).reset is not None
        assert client.ask("GET", "/other").status == 200
    entry = eventually(lambda: [entry for entry in gateway.log() if entry.get("path") == "/much"], "the log line")[0]
    assert "SI" in entry["flags"]


def test_a_client_is_told_of_the_setting_of_streams_at_a_time(impatient):
    upstream, start = impatient
    gateway = start()
    go_on = threading.Event()

    def slow(line, request):
        assert go_on.wait(20)
        echo(line, request)

    upstream.script["/slow"] = slow
    with H2(gateway) as client:
        client.until(lambda: client.connection.remote_settings.max_concurrent_streams == 3, "the limit to be told")
        numbers = [client.open("GET", "/slow") for _ in range(3)]
        upstream.wait_for("/slow", 3)
        with pytest.raises(h2.exceptions.TooManyStreamsError):
            client.open("GET", "/slow")
        go_on.set()
        assert [client.response(number).status for number in numbers] == [200] * 3
        assert client.ask("GET", "/after").status == 200
