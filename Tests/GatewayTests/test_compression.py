"""gzip on the way to clients: what is compressed, what never is, and that nothing waits for it."""

import json
import os
import subprocess
import threading
import zlib

import pytest
from gateway import eventually
from http2 import H2
from upstream import Upstream, answer
from wire import Cut, trusting

ACCEPTS = [("Accept-Encoding", "gzip, deflate, br")]
# About what Metaflow's cards are: 1.1 MB of HTML with data inside.
CARD = ("<html>" + "".join(f'<tr class="row"><td>step{number % 7}</td><td>{number * 7919 % 104729}</td></tr>\n' for number in range(23_000)) + "</html>").encode()


def unzip(body: bytes) -> bytes:
    reader = zlib.decompressobj(wbits=31)
    data = reader.decompress(body)
    assert reader.eof and not reader.unused_data, "the body is no whole gzip file"
    return data


def text(body: bytes, fields: str = "", *, kind: str = "text/html", status: str = "200 OK"):
    return answer(body, status=status, fields=f"Content-Type: {kind}\r\n{fields}")


def test_a_card_leaves_compressed(gateway, upstream, path):
    assert len(CARD) > 1_100_000
    upstream.script[path] = text(CARD, 'ETag: "card-1"\r\nAccept-Ranges: bytes\r\nCache-Control: private\r\n')
    response = gateway.ask("GET", path, ACCEPTS)
    assert unzip(response.body) == CARD
    assert len(response.body) < len(CARD) // 4
    print(f"\n{len(CARD)} bytes left as {len(response.body)}")
    assert (response.get("content-encoding"), response.get("transfer-encoding"), response.get("content-length")) == ("gzip", "chunked", None)
    assert (response.get("vary"), response.get("etag"), response.get("accept-ranges"), response.get("cache-control")) == ("accept-encoding", 'W/"card-1"', None, "private")
    entry = gateway.entry(response.get("x-request-id"))
    assert entry["bytes_out"] == len(response.body)


def test_a_card_leaves_compressed_over_http2(gateway, upstream, path):
    upstream.script[path] = text(CARD)
    with H2(gateway) as client:
        response = client.ask("GET", path, [("accept-encoding", "gzip")])
        assert unzip(response.body) == CARD
        assert (response.get("content-encoding"), response.get("content-length"), response.get("vary")) == ("gzip", None, "accept-encoding")


def test_curl_and_python_read_it(gateway, upstream, path):
    import urllib.request

    upstream.script[path] = text(CARD)
    port = gateway.port("listeners[0].address")
    for version in ("--http1.1", "--http2"):
        result = subprocess.run(
            ["curl", "--silent", "--show-error", "--fail", "--compressed", version, "--cacert", str(gateway.authority), "--write-out", "%{stderr}%{size_download} %{http_version}", f"https://localhost:{port}{path}"],
            capture_output=True, timeout=60,
        )
        size, spoken = result.stderr.decode().split()
        assert result.stdout == CARD and int(size) < len(CARD) // 4
        assert spoken == ("2" if version == "--http2" else "1.1")
    with urllib.request.urlopen(urllib.request.Request(f"https://localhost:{port}{path}"), context=trusting(gateway.authority)) as plain:
        assert plain.read() == CARD and plain.headers["content-encoding"] is None and plain.headers["vary"] == "accept-encoding"


@pytest.mark.parametrize("kind", ["application/json", "image/svg+xml", "text/plain; charset=utf-8", "text/css", "application/javascript"])
def test_text_of_every_kind_is_compressed(gateway, upstream, path, kind):
    body = b"abc " * 1000
    upstream.script[path] = text(body, kind=kind)
    assert unzip(gateway.ask("GET", path, ACCEPTS).body) == body


@pytest.mark.parametrize("chunked", [False, True])
def test_a_connection_serves_on_behind_a_compressed_answer(gateway, upstream, path, chunked):
    body = os.urandom(50_000).hex().encode()

    def chunks(line, request):
        line.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n")
        for start in range(0, len(body), 7000):
            piece = body[start : start + 7000]
            line.send(b"%x\r\n%s\r\n" % (len(piece), piece))
        line.send(b"0\r\n\r\n")

    upstream.script[path] = chunks if chunked else text(body, kind="text/plain")
    with gateway.client() as client:
        for _ in range(3):
            assert unzip(client.ask("GET", path, ACCEPTS).body) == body
            assert client.ask("GET", path).body == body


@pytest.mark.parametrize(
    "kind, fields, status",
    [("text/event-stream", "", "200 OK"), ("image/png", "", "200 OK"), ("application/octet-stream", "", "200 OK"), ("text/html", "Content-Encoding: br\r\n", "200 OK"),
     ("text/html", "Cache-Control: public, no-transform\r\n", "200 OK"), ("text/html", "Content-Range: bytes 0-4999/9999\r\n", "206 Partial Content")],
    ids=["event stream", "picture", "bytes", "coded", "no-transform", "range"],
)
def test_what_must_not_be_touched_is_not(gateway, upstream, path, kind, fields, status):
    body = b"x" * 5000
    upstream.script[path] = text(body, fields + 'ETag: "strong"\r\n', kind=kind, status=status)
    response = gateway.ask("GET", path, ACCEPTS)
    assert (response.body, response.get("etag"), response.get("content-length"), response.get("vary")) == (body, '"strong"', "5000", None)


def test_a_short_body_leaves_as_it_is(gateway, upstream, path):
    upstream.script[path] = text(b"short")
    response = gateway.ask("GET", path, ACCEPTS)
    assert (response.body, response.get("content-encoding"), response.get("vary")) == (b"short", None, None)


def test_head_is_told_what_get_would_get(gateway, upstream, path):
    upstream.script[path] = text(CARD, 'ETag: "x"\r\n')
    with gateway.client() as client:
        head = client.ask("HEAD", path, ACCEPTS)
        assert (head.get("content-encoding"), head.get("content-length"), head.get("transfer-encoding"), head.get("etag"), head.get("vary")) == ("gzip", None, None, 'W/"x"', "accept-encoding")
        plain = client.ask("HEAD", path)
        assert (plain.get("content-encoding"), plain.get("content-length"), plain.get("etag")) == (None, str(len(CARD)), '"x"')


def test_204_passes_untouched(gateway, upstream, path):
    upstream.script[path] = lambda line, request: line.send(b"HTTP/1.1 204 No Content\r\nContent-Type: text/html\r\n\r\n")
    response = gateway.ask("GET", path, ACCEPTS)
    assert (response.status, response.get("content-encoding")) == (204, None)


@pytest.mark.parametrize("compares", ["weakly", "byte for byte"])
def test_the_weak_tag_revalidates(gateway, upstream, path, compares):
    def serve(line, request):
        asked = [tag.strip() for tag in (request.get("if-none-match") or "").split(",")]
        if compares == "weakly":
            asked = [tag.removeprefix("W/") for tag in asked]
        if '"v1"' in asked:
            line.send(b'HTTP/1.1 304 Not Modified\r\nETag: "v1"\r\n\r\n')
        else:
            text(CARD, 'ETag: "v1"\r\n')(line, request)

    upstream.script[path] = serve
    with gateway.client() as client:
        tag = client.ask("GET", path, ACCEPTS).get("etag")
        assert tag == 'W/"v1"'
        again = client.ask("GET", path, [*ACCEPTS, ("If-None-Match", tag)])
        assert (again.status, again.get("etag"), again.get("content-encoding")) == (304, tag, None)
        assert client.ask("GET", path, [*ACCEPTS, ("If-None-Match", '"v1"')]).get("etag") == '"v1"'
        assert client.ask("GET", path, [*ACCEPTS, ("If-None-Match", 'W/"v2"')]).status == 200


def test_cookies_from_another_site_get_no_compressed_answer(gateway, upstream, path):
    """BREACH: who sees the length of an answer that holds a secret and what he chose himself, learns the secret from compressed ones."""
    upstream.script[path] = text(CARD)
    cookie = ("Cookie", "theme=dark")
    for site, coding in (("same-origin", "gzip"), ("none", "gzip"), ("cross-site", None), ("same-site", None), (None, None)):
        response = gateway.ask("GET", path, [*ACCEPTS, cookie, *([("Sec-Fetch-Site", site)] if site else [])])
        assert (response.get("content-encoding"), response.get("vary")) == (coding, "accept-encoding"), site
    with H2(gateway) as client:
        response = client.ask("GET", path, [("accept-encoding", "gzip"), ("cookie", "a=b"), ("cookie", "c=d"), ("sec-fetch-site", "cross-site")])
        assert response.get("content-encoding") is None and response.body == CARD


@pytest.mark.parametrize("protocol", ["http/1.1", "h2"])
def test_a_long_poll_gets_each_piece_when_it_comes(gateway, upstream, path, protocol):
    """The next piece is only sent when the client has read the last one out of the compressed stream."""
    turn = threading.Semaphore(0)

    def poll(line, request):
        line.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
        for number in range(5):
            if not turn.acquire(timeout=20):
                raise Cut("the test has gone on without this line")
            line.send(b"c\r\n" + b'{"line": %d}\n' % number + b"\r\n")
        line.send(b"0\r\n\r\n")

    upstream.script[path] = poll
    reader, seen = zlib.decompressobj(wbits=31), b""
    if protocol == "h2":
        with H2(gateway) as client:
            number = client.open("GET", path, [("accept-encoding", "gzip")])
            stream = client.streams[number]
            client.until(lambda: stream.heads, "the head")
            taken = 0
            for line in range(5):
                turn.release()
                wanted = len(seen) + 12
                while len(seen) < wanted:
                    client.until(lambda: len(stream.body) > taken, f"line {line}")
                    seen += reader.decompress(stream.body[taken:])
                    taken = len(stream.body)
            client.response(number)
    else:
        with gateway.client() as client:
            client.request("GET", path, ACCEPTS)
            head = client.read_until(b"\r\n\r\n")
            assert b"content-encoding: gzip" in head.lower()
            for _ in range(5):
                turn.release()
                wanted = len(seen) + 12
                while len(seen) < wanted:
                    size = int(client.read_until(b"\r\n"), 16)
                    seen += reader.decompress(client.read_exactly(size + 2)[:-2])
    assert [json.loads(line) for line in seen.splitlines()] == [{"line": number} for number in range(5)]


def test_a_body_that_breaks_off_is_not_taken_for_whole(gateway, upstream, path):
    def breaks(line, request):
        line.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 100000\r\n\r\n" + b"x" * 50_000)
        raise Cut("as scripted")

    upstream.script[path] = breaks
    with gateway.client() as client, pytest.raises(Cut):
        client.ask("GET", path, ACCEPTS)
    # And the compressor that was under way serves another body.
    upstream.script[path] = text(CARD)
    assert unzip(gateway.ask("GET", path, ACCEPTS).body) == CARD


@pytest.fixture
def own(start, surroundings):
    upstream = Upstream()

    def begin(*, routes: list[dict] | None = None, **more):
        return start(surroundings.configuration(routes=routes, upstreams={"main": {"endpoints": [upstream.address]}}, event_loops=1, **more)), upstream

    yield begin
    upstream.close()


def test_one_setting_switches_it_off(own):
    gateway, upstream = own(compression={"enabled": False})
    upstream.default = text(CARD, 'ETag: "x"\r\n')
    response = gateway.ask("GET", "/card", ACCEPTS)
    assert (response.body, response.get("etag"), response.get("vary"), response.get("content-encoding")) == (CARD, '"x"', None, None)


def test_a_route_can_do_without(own):
    gateway, upstream = own(routes=[{"path": "/", "upstream": "main", "public": "tests"}, {"path": "/plain", "upstream": "main", "public": "tests", "compress": False}])
    upstream.default = text(CARD)
    assert gateway.ask("GET", "/plain/card", ACCEPTS).body == CARD
    assert unzip(gateway.ask("GET", "/card", ACCEPTS).body) == CARD


def test_over_the_limit_of_bodies_at_a_time_the_next_leaves_as_it_is(own):
    gateway, upstream = own(compression={"streams": 2})
    go_on = threading.Event()

    def waits(line, request):
        line.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n")
        assert go_on.wait(30)
        line.send(b"0\r\n\r\n")

    upstream.script["/wait"] = waits
    upstream.default = text(CARD)
    waiting = [gateway.client() for _ in range(2)]
    for client in waiting:
        client.request("GET", "/wait", ACCEPTS)
        client.read_until(b"\r\n\r\n")
    response = gateway.ask("GET", "/card", ACCEPTS)
    assert (response.body, response.get("content-encoding"), response.get("vary")) == (CARD, None, "accept-encoding")
    # One leaves in the middle of its body: its place is free.
    waiting[0].close()
    eventually(lambda: gateway.ask("GET", "/card", ACCEPTS).get("content-encoding") == "gzip", "a place to be free")
    go_on.set()
    waiting[1].close()


def test_compressors_give_their_memory_back(own):
    gateway, upstream = own()
    go_on = threading.Event()

    def waits(line, request):
        line.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n")
        go_on.wait(60)
        line.send(b"0\r\n\r\n")

    upstream.default = waits

    count = 50

    def round() -> int:
        """The memory while that many bodies are under way."""
        clients = [gateway.client() for _ in range(count)]
        for client in clients:
            client.request("GET", "/wait", ACCEPTS)
            client.read_until(b"\r\n\r\n")
        most = gateway.status("RssAnon")
        for client in clients:
            client.close()
        eventually(lambda: gateway.metrics()["gw_conn_open"] == 0, "the clients to be gone")
        return most

    before = gateway.status("RssAnon")
    rounds = [round() for _ in range(5)]
    go_on.set()
    print(f"\n{before} KiB before, {rounds} with {count} bodies under way")
    # A compressor and a connection take about 200 KiB; five rounds that gave nothing back would take a thousand for each.
    assert max(rounds) - before <= count * 300


def test_a_client_that_reads_slowly_holds_the_upstream_up(own):
    gateway, upstream = own()
    size = 64 << 20
    block = os.urandom(1 << 19).hex().encode()
    sent = []

    def pours(line, request):
        line.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(size // len(block)):
            line.send(block)
            sent.append(len(block))

    upstream.default = pours
    with gateway.client(receive_buffer=65_536) as client:
        client.request("GET", "/much", ACCEPTS)
        client.read_until(b"\r\n\r\n")
        before = gateway.status("RssAnon")

        def stands_still() -> bool:
            last = len(sent)
            return all(not threading.Event().wait(0.1) and len(sent) == last for _ in range(5)) and last > 0

        eventually(stands_still, "the upstream to be held up")
        assert sum(sent) < size // 2
        assert gateway.status("RssAnon") - before < 2048
